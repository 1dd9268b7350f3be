"""The sandbox's own program: what some listeners press while they listen, as events that the program sends.

What belongs here: events that agree with the listens, in two versions of the program (the second writes times and
positions otherwise and says more), and how they arrive: late, or twice. Both versions send an address and an agent, as
programs do. Who listens to what is the listeners' own affair.
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

SHARE = 0.1  # of listeners use the program
SILENCE = 30 * 60  # seconds after which somebody comes back to it, and opens its first page
SEARCHED, PAUSED, SOUGHT, LIKED, DISLIKED, ADDED = 0.3, 0.3, 0.3, 0.05, 0.05, 0.02  # chances, where there is occasion
LATE, AGAIN = 0.01, 0.01
DAY = 86_400
NAME = "Sandbox Player"
PLAYLIST = "Tunes for later"


@dataclass(frozen=True)
class Press:
    """What somebody does, and when, in milliseconds since 1970."""

    listener: int
    at: int
    event: str
    recording: Recording | None = None
    plain: bool = False  # its program knows no MBID
    position_ms: int | None = None
    more: tuple[tuple[str, str | int], ...] = ()


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
    """Every line that arrives in so many days from `first`, in seconds since 1970, each with when it does.

    What happens on those days arrives on them.
    """
    rng = np.random.default_rng([seed, 5])
    there, end = np.unique(listens.listener), (first + days * DAY) * 1000
    size = min(len(there), max(1, round(SHARE * len(people.user_name))))
    users = np.sort(rng.choice(there, size=size, replace=False))
    lines: list[tuple[int, str]] = []
    for user in users.tolist():
        upgraded = first + days // 2 * DAY + int(rng.integers(3)) * DAY // 2
        rows = np.flatnonzero(listens.listener == user)
        heard = [
            (recordings[r], at, ms, plain)
            for r, at, ms, plain in zip(
                *(c[rows].tolist() for c in (listens.recording, listens.listened_at, listens.ms_played, unmapped)),
                strict=True,
            )
        ]
        for press in _pressed(user, heard, rng):
            if not first * 1000 <= press.at < end:
                continue
            line = _line(press, people.user_name[user], newer=press.at >= upgraded * 1000)
            waits = [int(rng.integers(DAY, 3 * DAY)) if rng.random() < LATE else int(rng.integers(1, 30))]
            if rng.random() < AGAIN:
                waits.append(waits[0] + int(rng.integers(60, DAY)))
            lines += [(min(press.at // 1000 + wait, first + days * DAY - 1), line) for wait in waits]
    return sorted(lines)


def _pressed(user: int, heard: Sequence[tuple[Recording, int, int, bool]], rng: Generator) -> Iterator[Press]:
    """What a listener does about the listens of each recording, one after the other."""
    ended = 0
    for here, after in pairwise([*heard, None]):
        assert here
        recording, seconds, ms_played, plain = here
        at, over = seconds * 1000, ms_played >= recording.length_ms
        leaves = after is None or after[1] - seconds - ms_played // 1000 > SILENCE
        if seconds - ended > SILENCE:
            yield Press(user, at - 20_000, "page_view", more=(("page", "/home"),))
            if rng.random() < SEARCHED:
                yield Press(user, at - 9_000, "search", more=(("query", recording.work.title.lower()),))
                yield Press(user, at - 8_500, "page_view", more=(("page", "/search"),))
        ended = seconds + ms_played // 1000
        yield Press(user, at, "play", recording, plain, 0)
        middle = recording.length_ms // 2
        # Nothing follows at once, so that what takes longer by this disagrees with no other listen.
        if over and leaves and rng.random() < PAUSED:
            yield Press(user, at + middle, "pause", recording, plain, middle)
            at += 40_000
            yield Press(user, at + middle, "play", recording, plain, middle)
        elif over and leaves and rng.random() < SOUGHT:
            back = max(0, middle - 15_000)
            yield Press(user, at + middle, "seek", recording, plain, middle, (("to_ms", back),))
            at += middle - back
        yield from _judged(user, recording, at + ms_played // 2, plain, over, rng)
        if not over:
            yield Press(user, at + ms_played, "skip", recording, plain, ms_played)
        elif leaves:
            yield Press(user, at + ms_played, "pause", recording, plain, recording.length_ms)


def _judged(user: int, recording: Recording, at: int, plain: bool, over: bool, rng: Generator) -> Iterator[Press]:
    """What a listener thinks of a recording, if they say so."""
    if rng.random() < (LIKED if over else DISLIKED):
        yield Press(user, at, "like" if over else "dislike", recording, plain)
    if over and rng.random() < ADDED:
        yield Press(user, at + 1_000, "add_to_playlist", recording, plain, more=(("playlist", PLAYLIST),))


def _line(press: Press, user_name: str, newer: bool) -> str:
    """The event as either version of the program sends it."""
    properties: dict[str, Any] = dict(press.more)
    if press.position_ms is not None:
        properties["position_ms"] = press.position_ms
    if press.recording:
        names = {"artist_name": press.recording.credited, "track_name": press.recording.work.title}
        properties |= names if press.plain else {"recording_mbid": press.recording.id, **names}
    if newer:
        properties = {k: str(v) if k.endswith("_ms") else v for k, v in properties.items()} | {"shuffle": False}
    at = datetime.fromtimestamp(press.at / 1000, UTC)
    id = uuid.uuid5(catalog.NAMESPACE, f"app/{user_name}/{press.at}/{press.event}")
    context: dict[str, Any] = {"ip": f"203.0.113.{press.listener % 256}", "userAgent": "SandboxPlayer/2.0 (any)"}
    if newer:
        context["network"] = {"wifi": press.listener % 2 == 0}
    event = {
        "event": press.event,
        "event_id": str(id),
        "user_id": user_name,
        "timestamp": press.at if newer else at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "client": NAME,
        "client_version": "2.0" if newer else "1.9",
        "schema_version": 2 if newer else 1,
        "properties": properties,
        "context": context,
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))
