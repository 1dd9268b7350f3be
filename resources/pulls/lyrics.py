"""Pulls of lyrics: LRCLIB is asked for each recording of the catalog, into the landing folder.

A recording is asked for until LRCLIB knows it. Lyrics that LRCLIB did not know are asked for again after `AGAIN`, and
those on which it failed by the next pull.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from resources.errors import TuttiError
from resources.folders.landing import Landing
from resources.pulls.landing_files import Answers, Log, one_pull
from resources.services.api import Record
from resources.services.lrclib import LrcLib, Refused
from resources.sources.formats import lrclib
from resources.sources.records.lyrics import NOT_FOUND, STATUSES, Lyrics

AGAIN = timedelta(days=30)  # people add lyrics
REFUSALS = 10  # in a row: the fault is not in the tracks


@dataclass(frozen=True, slots=True)
class Track:
    """A recording to ask for."""

    recording_id: str
    title: str
    artist_credit: str
    length_ms: int | None


def settled(landing: Landing, now: datetime) -> set[str]:
    """Return the recordings not to ask for: those with an answer in any file of the landing folder's lyrics."""
    answers = (a for _, path in landing.files("lyrics") for a in lrclib.lyrics(path))
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
    log: Log = len,
) -> Counter[str]:
    """Ask for the tracks that `choose` returns, given the recordings not to ask for, and count the answers by status.

    Raises `TuttiError` with what to do; answers that have arrived land.
    """
    folder = f"lyrics/{api.NAME}"
    pulled, in_a_row = Counter[str](dict.fromkeys([*STATUSES, "refused", "files"], 0)), 0
    with one_pull(landing.store / folder, log), Answers(landing.store / folder, landing.local / folder, now) as answers:
        for track in choose(settled(landing, now())):
            try:
                record = api.get(track.title, track.artist_credit, length_ms=track.length_ms)
            except Refused as error:
                pulled["refused"] += 1
                in_a_row += 1
                log(f"{track.artist_credit} – {track.title} is skipped: {error}")
                if in_a_row == REFUSALS:
                    raise TuttiError(f"{REFUSALS} recordings in a row: {error}") from None
                continue
            in_a_row = 0
            answer = _answer(track, record, now())
            answers.add(answer)
            pulled[lrclib.parse(answer).status] += 1
    pulled["files"] = answers.files
    return pulled


def _answer(track: Track, record: Record | None, at: datetime) -> Record:
    """Return an answer with the recording that it is about and the time, as it lands."""
    asked = {"recording_mbid": track.recording_id, "fetched_at": at.isoformat(timespec="seconds")}
    unknown = {"statusCode": 404, "trackName": track.title, "artistName": track.artist_credit}
    return (unknown if record is None else record) | asked
