"""App events: what some listeners do in the sandbox's player, as events that the player sends.

The events match the listens. They come from two versions of the player: the second has another format for times and
positions, and more fields. Some events arrive late or twice. Both versions send an IP address and a user agent, as real
programs do.
"""

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.random import Generator

from resources.sandbox import catalog
from resources.sandbox.listeners import Bools, Listens, Population
from resources.sandbox.performers import Recording

APP_USERS_SHARE = 0.1  # of listeners
SILENCE_S = 30 * 60  # after which a listener opens the player again
SEARCH, PAUSE, SEEK, LIKE, DISLIKE, ADD = 0.3, 0.3, 0.3, 0.05, 0.05, 0.02  # probability per opportunity
LATE_SHARE, DUPLICATE_SHARE = 0.01, 0.01
DAY_S = 86_400
NAME = "Sandbox Player"
PLAYLIST = "Tunes for later"


@dataclass(frozen=True)
class Action:
    """What a listener does in the player, and when, in milliseconds since 1970."""

    listener: int
    at: int
    event: str
    recording: Recording | None = None
    names_only: bool = False  # the player has no MBID
    position_ms: int | None = None
    extra: tuple[tuple[str, str | int], ...] = ()


def delivered(
    people: Population,
    recordings: Sequence[Recording],
    listens: Listens,
    unmapped: Bools,
    *,
    seed: int,
    first: int,
    days: int,
) -> list[tuple[int, str]]:
    """Return every line that arrives, with its time of arrival in seconds since 1970, in order of arrival.

    The window starts at `first`, in seconds since 1970, and has `days` days. Events of the window arrive within it.
    """
    rng = np.random.default_rng([seed, 5])
    active, end = np.unique(listens.listener), (first + days * DAY_S) * 1000
    size = min(len(active), max(1, round(APP_USERS_SHARE * len(people.user_name))))
    users = np.sort(rng.choice(active, size=size, replace=False))
    lines: list[tuple[int, str]] = []
    for user in users.tolist():
        upgraded = first + days // 2 * DAY_S + int(rng.integers(3)) * DAY_S // 2
        rows = np.flatnonzero(listens.listener == user)
        played = [
            (recordings[r], at, ms, names_only)
            for r, at, ms, names_only in zip(
                *(c[rows].tolist() for c in (listens.recording, listens.listened_at, listens.ms_played, unmapped)),
                strict=True,
            )
        ]
        for action in _actions(user, played, rng):
            if not first * 1000 <= action.at < end:
                continue
            line = _line(action, people.user_name[user], newer=action.at >= upgraded * 1000)
            delays = [int(rng.integers(DAY_S, 3 * DAY_S)) if rng.random() < LATE_SHARE else int(rng.integers(1, 30))]
            if rng.random() < DUPLICATE_SHARE:
                delays.append(delays[0] + int(rng.integers(60, DAY_S)))
            lines += [(min(action.at // 1000 + delay, first + days * DAY_S - 1), line) for delay in delays]
    return sorted(lines)


def _actions(user: int, played: Sequence[tuple[Recording, int, int, bool]], rng: Generator) -> Iterator[Action]:
    """Yield the actions of a listener around each of their listens, in order."""
    ended = 0
    for current, following in pairwise([*played, None]):
        assert current
        recording, seconds, ms_played, names_only = current
        at, completed = seconds * 1000, ms_played >= recording.length_ms
        is_last = following is None or following[1] - seconds - ms_played // 1000 > SILENCE_S
        if seconds - ended > SILENCE_S:
            yield Action(user, at - 20_000, "page_view", extra=(("page", "/home"),))
            if rng.random() < SEARCH:
                yield Action(user, at - 9_000, "search", extra=(("query", recording.work.title.lower()),))
                yield Action(user, at - 8_500, "page_view", extra=(("page", "/search"),))
        ended = seconds + ms_played // 1000
        yield Action(user, at, "play", recording, names_only, 0)
        middle = recording.length_ms // 2
        # Only before a break, because pausing and seeking lengthen the play and must not overlap the next listen.
        if completed and is_last and rng.random() < PAUSE:
            yield Action(user, at + middle, "pause", recording, names_only, middle)
            at += 40_000
            yield Action(user, at + middle, "play", recording, names_only, middle)
        elif completed and is_last and rng.random() < SEEK:
            back = max(0, middle - 15_000)
            yield Action(user, at + middle, "seek", recording, names_only, middle, (("to_ms", back),))
            at += middle - back
        yield from _feedback(user, recording, at + ms_played // 2, names_only, completed, rng)
        if not completed:
            yield Action(user, at + ms_played, "skip", recording, names_only, ms_played)
        elif is_last:
            yield Action(user, at + ms_played, "pause", recording, names_only, recording.length_ms)


def _feedback(
    user: int, recording: Recording, at: int, names_only: bool, completed: bool, rng: Generator
) -> Iterator[Action]:
    """Yield the feedback on a recording that the listener gives, if any."""
    if rng.random() < (LIKE if completed else DISLIKE):
        yield Action(user, at, "like" if completed else "dislike", recording, names_only)
    if completed and rng.random() < ADD:
        yield Action(user, at + 1_000, "add_to_playlist", recording, names_only, extra=(("playlist", PLAYLIST),))


def _line(action: Action, user_name: str, newer: bool) -> str:
    """Format an event as the old or the newer version of the player does."""
    properties: dict[str, Any] = dict(action.extra)
    if action.position_ms is not None:
        properties["position_ms"] = action.position_ms
    if action.recording:
        names = {"artist_name": action.recording.credited, "track_name": action.recording.work.title}
        properties |= names if action.names_only else {"recording_mbid": action.recording.id, **names}
    if newer:
        properties = {k: str(v) if k.endswith("_ms") else v for k, v in properties.items()} | {"shuffle": False}
    at = datetime.fromtimestamp(action.at / 1000, UTC)
    event_id = uuid.uuid5(catalog.NAMESPACE, f"app/{user_name}/{action.at}/{action.event}")
    context: dict[str, Any] = {"ip": f"203.0.113.{action.listener % 256}", "userAgent": "SandboxPlayer/2.0 (any)"}
    if newer:
        context["network"] = {"wifi": action.listener % 2 == 0}
    event = {
        "event": action.event,
        "event_id": str(event_id),
        "user_id": user_name,
        "timestamp": action.at if newer else at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "client": NAME,
        "client_version": "2.0" if newer else "1.9",
        "schema_version": 2 if newer else 1,
        "properties": properties,
        "context": context,
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))
