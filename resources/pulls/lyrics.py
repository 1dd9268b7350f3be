"""Lyrics of the catalogue, asked of LRCLIB recording by recording, into the landing folder.

Each answer is on disk before the next recording is asked for: it joins a file that is written anew whole, until that
has `LINES` of them. So whatever ends a pull loses no answer, and the next one goes on with what has none: a recording
is asked for until LRCLIB knows it, one that it did not know not before `AGAIN` has passed, one on which it failed at
the next pull.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from resources.errors import TuttiError
from resources.files import clear_drafts
from resources.folders.landing import Landing
from resources.pulls.listens import Tell, agent_of, one_at_a_time, write
from resources.services.api import Record
from resources.services.lrclib import URL, LrcLib, Refused, pace
from resources.services.web import Web
from resources.sources.formats import lrclib
from resources.sources.records.lyrics import NOT_FOUND, STATUSES, Lyrics

AGAIN = timedelta(days=30)  # until a recording is asked for once more that LRCLIB did not know: people add to it
LINES = 200  # answers in a file: about a megabyte, written anew with each of them
REFUSALS = 10  # in a row: then it is not the tracks that are wrong


@dataclass(frozen=True, slots=True)
class Track:
    """A recording as it is asked for."""

    recording_id: str
    title: str
    artist_credit: str
    length_ms: int | None


@dataclass
class Pulled:
    """What a pull brought: answers by what they say, recordings that LRCLIB does not take for such, and files."""

    answers: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    files: int = 0


def service(environ: Mapping[str, str], tell: Tell) -> LrcLib:
    """LRCLIB, as the environment says."""
    url = environ.get("TUTTI_LRCLIB_URL") or URL
    return LrcLib(Web("LRCLIB", url, agent=agent_of(environ), pace=pace(url), tell=tell))


def settled(landing: Landing, now: datetime) -> set[str]:
    """The recordings that need not be asked for: all that lies in the landing folder of their lyrics counts."""
    answers = (a for path in landing.files("lyrics") for a in lrclib.lyrics(path))
    return {
        answer.recording_id
        for answer in answers
        if isinstance(answer, Lyrics)
        and answer.recording_id
        and (answer.status != NOT_FOUND or (answer.fetched_at is not None and answer.fetched_at + AGAIN > now))
    }


def pull(
    api: LrcLib,
    choose: Callable[[Collection[str]], Iterable[Track]],
    landing: Landing,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    tell: Tell = len,
) -> Pulled:
    """Ask for the tracks that `choose` makes of the recordings that need not be asked for, in its order.

    Waits while another pull is at work. Raises `TuttiError` with what to do; what has landed stays.
    """
    folder, pulled, in_a_row = Path(landing.root, "lyrics", api.NAME), Pulled(), 0
    folder.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(folder, tell):
        clear_drafts(folder)
        path, lines = folder, list[str]()
        for track in choose(settled(landing, now())):
            try:
                record = api.get(track.title, track.artist_credit, length_ms=track.length_ms)
            except Refused as error:
                pulled.refused += 1
                in_a_row += 1
                tell(f"{track.artist_credit} – {track.title} is passed over: {error}")
                if in_a_row == REFUSALS:
                    raise TuttiError(f"{REFUSALS} recordings in a row: {error}") from None
                continue
            in_a_row = 0
            answer = _answer(track, record, now())
            if not lines:
                path = folder / f"{now():%Y%m%dT%H%M%SZ}-{track.recording_id}.jsonl"
                pulled.files += 1
            lines.append(json.dumps(answer, sort_keys=True) + "\n")
            write(path, "".join(lines).encode())
            pulled.answers[lrclib.parse(answer).status] += 1
            if len(lines) == LINES:
                lines = []
                tell(f"{api.NAME}: {told(pulled)}")
    return pulled


def told(pulled: Pulled) -> str:
    """What a pull brought, in words."""
    return ", ".join(f"{status}: {pulled.answers[status]:,}" for status in STATUSES)


def _answer(track: Track, record: Record | None, at: datetime) -> Record:
    """An answer as it lands: with the recording that was asked for, and when."""
    asked = {"recording_mbid": track.recording_id, "fetched_at": at.isoformat(timespec="seconds")}
    unknown = {"statusCode": 404, "trackName": track.title, "artistName": track.artist_credit}
    return (unknown if record is None else record) | asked
