"""World: the sandbox's data as files, in the formats of public sources.

This module defines file formats, arrival times and data errors. Catalog, performers and listeners provide the true
data. Ground truth such as who is a bot is never written.
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

# Shares of all listens. Each is rare enough to be noise and frequent enough that a demo shows it hundreds of times.
# Impossible dates are rarer, as a player with a dead clock battery is.
LATE_SHARE, DUPLICATE_SHARE, MALFORMED_SHARE, IMPOSSIBLE_SHARE = 0.01, 0.01, 0.003, 0.001
NAMES_ONLY_SHARE = 0.10  # of listens have no MBIDs, because their player knows only names
IMPOSSIBLE_TIMES = (0, -441_849_600, 4_070_908_800)  # clock never set, the year 1956, the year 2099
CLIENTS = ("Sandbox Desktop Player", "Sandbox Phone Player", "Sandbox Browser Extension")
DAY_S = 86_400
SENT, DUPLICATE, BROKEN, MISDATED = range(4)  # kinds of lines: the listen, or an additional line derived from it
# Subfolders of the landing folder, and the kind of entity in them as in MusicBrainz's URLs.
CATALOG = (
    ("recordings", "recording"),
    ("artists", "artist"),
    ("releases", "release"),
    ("release_groups", "release-group"),
)


@dataclass(frozen=True)
class Summary:
    """Counts of what was written. `listens` has each listen once, including late ones, without the other errors."""

    works: int
    recordings: int
    artists: int
    lyrics: int
    listens: int
    late: int
    duplicates: int
    malformed: int
    impossible: int
    app_events: int  # lines, including duplicates
    app_events_again: int  # duplicates
    posts: int
    files: tuple[Path, ...]


@dataclass(frozen=True)
class World:
    """The true data of a world, and the lines that arrive: the row of the listen, kind and time of arrival."""

    recordings: Sequence[Recording]
    people: Population
    listens: Listens
    unmapped: Bools  # listens without MBIDs
    row: Ints
    kind: Ints
    arrived: Ints
    late: int


def simulated(*, first_day: date, days: int = 14, seed: int = 7, listeners: int = 240, turnover: bool = False) -> World:
    """Simulate the world that `write` writes. The same arguments give the same world.

    Raise ValueError if there are no days or no listeners.
    """
    if days < 1 or listeners < 1:
        raise ValueError(f"nothing to simulate: {days} days, {listeners} listeners. Both must be at least 1.")
    recordings = performers.recordings(catalog.works(), seed)
    people = population(recordings, seed, listeners)
    if turnover:
        people = with_turnover(people, first_day=first_day, days=days, seed=seed)
    listens = simulate(people, recordings, first_day=first_day, days=days, seed=seed)
    rng = np.random.default_rng([seed, 3])
    row, kind, arrived, late = _deliveries(listens, epoch(first_day) + days * DAY_S - 1, rng)
    unmapped = rng.random(len(listens.listener)) < NAMES_ONLY_SHARE
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
    """Write the world's files to `landing`. The same arguments give the same bytes.

    - `recordings/sandbox.jsonl`, also `artists`, `releases`, `release_groups`: MusicBrainz entities, one per line.
    - `lyrics/sandbox.jsonl`: LRCLIB records, one per recording of a work with open lyrics, if `lyrics` is set.
    - `listens/sandbox-<day>.listens`: lines of ListenBrainz's public dumps, by UTC day, in order of arrival.
    - `app_events/sandbox-<day>.jsonl`: events of the sandbox's player, likewise.
    - `social/sandbox-<day>.jsonl`: ActivityStreams activities, by UTC day.

    Listens start in the `days` UTC days from `first_day`. Later arrivals are in the last file. Releases since
    `known_until`, a year or a date, have neither metadata nor lyrics, so that pulls have to request them. With
    `turnover`, listeners join, stop and skip weeks. A day without app events or activities has no file of them. Files
    are written atomically, and files of other days are not changed. Raise ValueError if there are no days or no
    listeners.
    """
    world = simulated(first_day=first_day, days=days, seed=seed, listeners=listeners, turnover=turnover)
    recordings, listens, kind, start = world.recordings, world.listens, world.kind, epoch(first_day)
    known = [recording for recording in recordings if recording.release.date < known_until]
    catalog_entities, known_entities = entities(recordings), entities(known).of
    files = [
        *(
            _publish(
                landing / folder / "sandbox.jsonl",
                (_json(entity) for entity in catalog_entities.landed(kind) if entity["id"] in known_entities[kind]),
            )
            for folder, kind in CATALOG
        ),
    ]
    if lyrics:
        files.append(_publish(landing / "lyrics" / "sandbox.jsonl", map(_json, _lrclib(known))))
    midnights = start + DAY_S * np.arange(days + 1)
    bounds = np.searchsorted(world.arrived, midnights)
    app_events = app.delivered(world.people, recordings, listens, world.unmapped, seed=seed, first=start, days=days)
    rng = np.random.default_rng([seed, 4])
    activities = social.activities(world.people, recordings, listens, start, start + days * DAY_S, rng)
    activity_bounds, event_bounds = (
        np.searchsorted([at for at, _ in lines], midnights) for lines in (activities, app_events)
    )
    for n in range(days):
        today, name = slice(bounds[n], bounds[n + 1]), f"sandbox-{first_day + timedelta(days=n)}"
        lines = _lines(world, world.row[today], kind[today])
        events_today = [line for _, line in app_events[event_bounds[n] : event_bounds[n + 1]]]
        activities_today = [_json(a) for _, a in activities[activity_bounds[n] : activity_bounds[n + 1]]]
        files.append(_publish(landing / "listens" / f"{name}.listens", lines))
        for folder, lines_today in (("app_events", events_today), ("social", activities_today)):
            path = landing / folder / f"{name}.jsonl"
            if lines_today:
                files.append(_publish(path, lines_today))
            else:
                path.unlink(missing_ok=True)  # may be left from a world with other listeners
    return Summary(
        works=len({recording.work.id for recording in recordings}),
        recordings=len(recordings),
        artists=len({artist.id for recording in recordings for artist, _ in recording.credit}),
        lyrics=sum(recording.work.lyrics is not None for recording in recordings),
        listens=len(listens.listener),
        late=world.late,
        duplicates=int((kind == DUPLICATE).sum()),
        malformed=int((kind == BROKEN).sum()),
        impossible=int((kind == MISDATED).sum()),
        app_events=len(app_events),
        app_events_again=len(app_events) - len({line for _, line in app_events}),
        posts=len({a["id"] for _, a in activities if a["id"].endswith("/activity")}),
        files=tuple(files),
    )


def _deliveries(listens: Listens, last: int, rng: Generator) -> tuple[Ints, Ints, Ints, int]:
    """Return the listen's row, kind and time (at most `last`) of each line by arrival, and the number of late lines.

    Broken and misdated lines are in addition to their listen, as from a player that fails and retries. So no listen is
    missing.
    """
    total = len(listens.listener)
    arrived = listens.listened_at + listens.ms_played // 1000 + rng.integers(1, 60, size=total)
    late = rng.random(total) < LATE_SHARE
    arrived[late] += rng.integers(DAY_S, 5 * DAY_S, size=int(late.sum()))
    rows, kinds, times = [np.arange(total)], [np.full(total, SENT)], [arrived]
    for kind, share in ((DUPLICATE, DUPLICATE_SHARE), (BROKEN, MALFORMED_SHARE), (MISDATED, IMPOSSIBLE_SHARE)):
        row = np.flatnonzero(rng.random(total) < share)
        soon, days_later = rng.integers(1, 7_200, size=len(row)), rng.integers(DAY_S, 3 * DAY_S, size=len(row))
        wait = np.where((kind == DUPLICATE) & (rng.random(len(row)) < 0.5), days_later, soon)
        rows.append(row)
        kinds.append(np.full(len(row), kind))
        times.append(arrived[row] + wait)
    row, kinds_of_lines, when = np.concatenate(rows), np.concatenate(kinds), np.minimum(np.concatenate(times), last)
    order = np.lexsort((kinds_of_lines, row, when))
    return row[order], kinds_of_lines[order], when[order], int(late.sum())


def _lines(world: World, rows: Ints, kinds: Ints) -> Iterator[str]:
    """Yield a line of each kind for each row of the listens, in the format of ListenBrainz's public dumps."""
    people, listens = world.people, world.listens
    columns = (listens.listener, listens.recording, listens.listened_at, listens.ms_played, world.unmapped)
    picked = (column[rows].tolist() for column in columns)
    for row, kind, listener, played, listened_at, ms_played, names_only in zip(
        rows.tolist(), kinds.tolist(), *picked, strict=True
    ):
        recording = world.recordings[played]
        listen: dict[str, Any] = {
            "user_id": int(people.user_id[listener]),
            "user_name": people.user_name[listener],
            "timestamp": IMPOSSIBLE_TIMES[row % len(IMPOSSIBLE_TIMES)] if kind == MISDATED else listened_at,
            "track_metadata": track_metadata(people, listener, recording, ms_played, names_only),
            "recording_msid": msid(recording),
        }
        yield _malformed(listen, row) if kind == BROKEN else _json(listen)


def track_metadata(
    people: Population, listener: int, recording: Recording, ms_played: int, names_only: bool
) -> dict[str, Any]:
    """Return the metadata that a listener's player submits. With `names_only`, it has no MBIDs."""
    info: dict[str, object] = {
        "duration_ms": recording.length_ms,
        "duration_played": ms_played // 1000,
        "submission_client": CLIENTS[listener % len(CLIENTS)],
        # Not a standard field of ListenBrainz, but additional_info allows any.
        "time_zone": list(ZONES)[people.zone[listener]],
    }
    if not names_only:
        info["recording_mbid"] = recording.id
        info["artist_mbids"] = [artist.id for artist, _ in recording.credit]
    names = zip(("artist_name", "track_name", "release_name"), _names(recording), strict=True)
    return {**dict(names), "additional_info": info}


def msid(recording: Recording) -> str:
    """Return the id that ListenBrainz gives to a recording: one per spelling."""
    return _msid(_names(recording))


@functools.cache  # recordings are played many times
def _msid(names: tuple[str, str, str]) -> str:
    return str(uuid.uuid5(catalog.NAMESPACE, "msid/" + "/".join(names)))


def _names(recording: Recording) -> tuple[str, str, str]:
    return recording.credited, recording.work.title, recording.release.title


def _malformed(listen: dict[str, Any], row: int) -> str:
    """Return the line of a listen, broken in one of the ways that occur in real data."""
    match row % 4:
        case 0:  # truncated
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
    """Yield LRCLIB's records of the recordings whose work has open lyrics."""
    with_lyrics = (recording for recording in recordings if recording.work.lyrics)
    for number, recording in enumerate(with_lyrics, start=1):
        # Not a field of LRCLIB, which identifies recordings by name and duration.
        yield lrclib(number, recording) | {"recording_mbid": recording.id}


def lrclib(number: int, recording: Recording) -> dict[str, object]:
    """Return a recording's LRCLIB record. Works without open lyrics are instrumental."""
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
