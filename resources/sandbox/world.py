"""The sandbox's outside world as files: what public sources would hold, in the shapes they hold it.

What belongs here: the file formats, when each listen arrives, and the dirt on the way. What is true comes from the
catalog, the performers and the listeners; nothing that only the truth may tell is written.
"""

import functools
import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from resources.files import publish
from resources.sandbox import app, catalog, performers, social
from resources.sandbox.entities import entities
from resources.sandbox.listeners import (
    ZONES,
    Bools,
    Ints,
    Listens,
    Population,
    epoch,
    population,
    simulate,
    with_turnover,
)
from resources.sandbox.performers import Recording

# Shares of all listens. Each is rare enough to be noise and frequent enough that a demo shows it hundreds of times,
# except impossible dates: a player with a dead clock battery is a curiosity.
LATE, DUPLICATE, MALFORMED, IMPOSSIBLE = 0.01, 0.01, 0.003, 0.001
NAMES_ONLY = 0.10  # of listens carry no MBIDs: their player knows only what the file's tags say
IMPOSSIBLE_TIMES = (0, -441_849_600, 4_070_908_800)  # never set, the year 1956, the year 2099
CLIENTS = ("Sandbox Desktop Player", "Sandbox Phone Player", "Sandbox Browser Extension")
DAY = 86_400
SENT, AGAIN, BROKEN, MISDATED = range(4)  # what a delivered line is: the listen, or one more line made of it
# Folders of the landing folder, and what lies in them, as MusicBrainz's addresses name it.
CATALOG = (
    ("recordings", "recording"),
    ("artists", "artist"),
    ("releases", "release"),
    ("release_groups", "release-group"),
)


@dataclass(frozen=True)
class Summary:
    """What was written. `listens` counts each listen once, late ones included; the other dirt comes on top."""

    works: int
    recordings: int
    artists: int
    lyrics: int
    listens: int
    late: int
    duplicates: int
    malformed: int
    impossible: int
    app_events: int  # lines, and of them those that arrive once more
    app_events_again: int
    posts: int
    files: tuple[Path, ...]


@dataclass(frozen=True)
class World:
    """What is true of a world, and what arrives of it: each line's listen, its kind and when."""

    recordings: Sequence[Recording]
    people: Population
    listens: Listens
    unmapped: Bools  # of the listens: those whose player knows names alone
    row: Ints
    kind: Ints
    arrived: Ints
    late: int


def simulated(*, first_day: date, days: int = 14, seed: int = 7, listeners: int = 240, turnover: bool = False) -> World:
    """The world that `write` writes: the same for the same arguments.

    Raises `ValueError` for an empty window or population.
    """
    if days < 1 or listeners < 1:
        raise ValueError(f"nothing to write for {days} days and {listeners} listeners")
    recordings = performers.recordings(catalog.works(), seed)
    people = population(recordings, seed, listeners)
    if turnover:
        people = with_turnover(people, first_day=first_day, days=days, seed=seed)
    listens = simulate(people, recordings, first_day=first_day, days=days, seed=seed)
    rng = np.random.default_rng([seed, 3])
    row, kind, arrived, late = _deliveries(listens, epoch(first_day) + days * DAY - 1, rng)
    unmapped = rng.random(len(listens.listener)) < NAMES_ONLY
    return World(recordings, people, listens, unmapped, row, kind, arrived, late)


def write(
    landing: Path,
    *,
    first_day: date,
    days: int = 14,
    seed: int = 7,
    listeners: int = 240,
    known_until: str = "9999",
    lyrics: bool = True,
    turnover: bool = False,
) -> Summary:
    """Write the world's files under `landing`; the same arguments write the same bytes.

    - `recordings/sandbox.jsonl`, and so `artists`, `releases`, `release_groups`: MusicBrainz's entities, one a line.
    - `lyrics/sandbox.jsonl`: LRCLIB records, one for each recording of a work with open lyrics, if `lyrics` is set.
    - `listens/sandbox-<day>.listens`: ListenBrainz's public dump lines, by the UTC day and in the order of arrival.
    - `app_events/sandbox-<day>.jsonl`: what the listeners who use the sandbox's own program do in it, likewise.
    - `social/sandbox-<day>.jsonl`: ActivityStreams activities, by the UTC day.

    Listens begin in the UTC days from `first_day`, `days` of them; what arrives later than that is in the last file.
    Of releases since `known_until`, a year or a date, there is neither metadata nor lyrics: services must be asked.
    With `turnover`, listeners join, stop and skip weeks. A day without app events or activities has no file of them.
    Each file appears whole or not at all; files of other days are left alone. Raises `ValueError` for an empty window
    or population.
    """
    world = simulated(first_day=first_day, days=days, seed=seed, listeners=listeners, turnover=turnover)
    recordings, listens, kind, start = world.recordings, world.listens, world.kind, epoch(first_day)
    known = [recording for recording in recordings if recording.release.date < known_until]
    cataloged, named = entities(recordings), entities(known).of
    files = [
        *(
            _publish(
                landing / folder / "sandbox.jsonl",
                (_json(entity) for entity in cataloged.landed(kind) if entity["id"] in named[kind]),
            )
            for folder, kind in CATALOG
        ),
    ]
    if lyrics:
        files.append(_publish(landing / "lyrics" / "sandbox.jsonl", map(_json, _lrclib(known))))
    midnights = start + DAY * np.arange(days + 1)
    bounds = np.searchsorted(world.arrived, midnights)
    app_events = app.delivered(world.people, recordings, listens, world.unmapped, seed=seed, first=start, days=days)
    rng = np.random.default_rng([seed, 4])
    told = social.activities(world.people, recordings, listens, start, start + days * DAY, rng)
    said, sent = (np.searchsorted([at for at, _ in lines], midnights) for lines in (told, app_events))
    for n in range(days):
        today, name = slice(bounds[n], bounds[n + 1]), f"sandbox-{first_day + timedelta(days=n)}"
        lines = _lines(world, world.row[today], kind[today])
        pressed = [line for _, line in app_events[sent[n] : sent[n + 1]]]
        activities = [_json(what) for _, what in told[said[n] : said[n + 1]]]
        files.append(_publish(landing / "listens" / f"{name}.listens", lines))
        for folder, happened in (("app_events", pressed), ("social", activities)):
            path = landing / folder / f"{name}.jsonl"
            if happened:
                files.append(_publish(path, happened))
            else:
                path.unlink(missing_ok=True)  # of a world with other listeners
    return Summary(
        works=len({recording.work.id for recording in recordings}),
        recordings=len(recordings),
        artists=len({artist.id for recording in recordings for artist, _ in recording.credit}),
        lyrics=sum(recording.work.lyrics is not None for recording in recordings),
        listens=len(listens.listener),
        late=world.late,
        duplicates=int((kind == AGAIN).sum()),
        malformed=int((kind == BROKEN).sum()),
        impossible=int((kind == MISDATED).sum()),
        app_events=len(app_events),
        app_events_again=len(app_events) - len({line for _, line in app_events}),
        posts=len({what["id"] for _, what in told if what["id"].endswith("/activity")}),
        files=tuple(files),
    )


def _deliveries(listens: Listens, last: int, rng: Generator) -> tuple[Ints, Ints, Ints, int]:
    """Every line that arrives, by time of arrival: its listen, its kind, when (never after `last`), and how many late.

    Broken and misdated lines come besides the listen they are made of, as from a player that fails once and tries
    again: so all listens are there to be found.
    """
    total = len(listens.listener)
    arrived = listens.listened_at + listens.ms_played // 1000 + rng.integers(1, 60, size=total)
    late = rng.random(total) < LATE
    arrived[late] += rng.integers(DAY, 5 * DAY, size=int(late.sum()))
    rows, kinds, times = [np.arange(total)], [np.full(total, SENT)], [arrived]
    for kind, share in ((AGAIN, DUPLICATE), (BROKEN, MALFORMED), (MISDATED, IMPOSSIBLE)):
        row = np.flatnonzero(rng.random(total) < share)
        soon, days_later = rng.integers(1, 7_200, size=len(row)), rng.integers(DAY, 3 * DAY, size=len(row))
        wait = np.where((kind == AGAIN) & (rng.random(len(row)) < 0.5), days_later, soon)
        rows.append(row)
        kinds.append(np.full(len(row), kind))
        times.append(arrived[row] + wait)
    row, kind_, when = np.concatenate(rows), np.concatenate(kinds), np.minimum(np.concatenate(times), last)
    order = np.lexsort((kind_, row, when))
    return row[order], kind_[order], when[order], int(late.sum())


def _lines(world: World, rows: Ints, kinds: Ints) -> Iterator[str]:
    """The lines of the given listens, each of its kind, as the public dump of ListenBrainz has them."""
    people, listens = world.people, world.listens
    columns = (listens.listener, listens.recording, listens.listened_at, listens.ms_played, world.unmapped)
    picked = (column[rows].tolist() for column in columns)
    for row, kind, listener, played, listened_at, ms_played, plain in zip(
        rows.tolist(), kinds.tolist(), *picked, strict=True
    ):
        recording = world.recordings[played]
        listen: dict[str, Any] = {
            "user_id": int(people.user_id[listener]),
            "user_name": people.user_name[listener],
            "timestamp": IMPOSSIBLE_TIMES[row % len(IMPOSSIBLE_TIMES)] if kind == MISDATED else listened_at,
            "track_metadata": track_metadata(people, listener, recording, ms_played, plain),
            "recording_msid": msid(recording),
        }
        yield _malformed(listen, row) if kind == BROKEN else _json(listen)


def track_metadata(
    people: Population, listener: int, recording: Recording, ms_played: int, plain: bool
) -> dict[str, Any]:
    """What a listener's player submits of a listen; a `plain` one knows no MBIDs."""
    info: dict[str, object] = {
        "duration_ms": recording.length_ms,
        "duration_played": ms_played // 1000,
        "submission_client": CLIENTS[listener % len(CLIENTS)],
        # ListenBrainz names no such field; additional_info takes any
        "time_zone": list(ZONES)[people.zone[listener]],
    }
    if not plain:
        info["recording_mbid"] = recording.id
        info["artist_mbids"] = [artist.id for artist, _ in recording.credit]
    names = zip(("artist_name", "track_name", "release_name"), _names(recording), strict=True)
    return {**dict(names), "additional_info": info}


def msid(recording: Recording) -> str:
    """What ListenBrainz calls a recording by: one id for each spelling."""
    return _msid(_names(recording))


@functools.cache  # each is played many times
def _msid(names: tuple[str, str, str]) -> str:
    return str(uuid.uuid5(catalog.NAMESPACE, "msid/" + "/".join(names)))


def _names(recording: Recording) -> tuple[str, str, str]:
    return recording.credited, recording.work.title, recording.release.title


def _malformed(listen: dict[str, Any], row: int) -> str:
    """The listen spoilt in one of the ways that real lines are."""
    match row % 4:
        case 0:  # the connection was lost
            text = _json(listen)
            return text[: len(text) // 2 + row % (len(text) // 2)]
        case 1:
            return _json({**listen, "timestamp": "yesterday"})
        case 2:
            return _json({**listen, "track_metadata": [listen["track_metadata"]]})
        case _:
            del listen["track_metadata"]["track_name"]
            return _json(listen)


def _lrclib(recordings: Iterable[Recording]) -> Iterator[dict[str, object]]:
    """LRCLIB's records of the recordings whose work has open lyrics."""
    sung = (recording for recording in recordings if recording.work.lyrics)
    for number, recording in enumerate(sung, start=1):
        # not a field of LRCLIB, which knows recordings by name and length alone
        yield lrclib(number, recording) | {"recording_mbid": recording.id}


def lrclib(number: int, recording: Recording) -> dict[str, object]:
    """The recording as LRCLIB would know it by number: one of a work without open lyrics is instrumental."""
    return {
        "id": number,
        "name": recording.work.title,
        "trackName": recording.work.title,
        "artistName": recording.credited,
        "albumName": recording.release.title,
        "duration": recording.length_ms / 1000,
        "instrumental": recording.work.lyrics is None,
        "plainLyrics": recording.work.lyrics,
        "syncedLyrics": None,
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _publish(path: Path, lines: Iterable[str]) -> Path:
    return publish(path, (f"{line}\n".encode() for line in lines))
