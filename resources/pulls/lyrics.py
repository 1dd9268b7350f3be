"""Pull the lyrics of the catalog's recordings from LRCLIB into the landing folder.

A recording that LRCLIB does not have is requested again after `RETRY_AFTER`. A request that failed is repeated by the
next pull.
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

RETRY_AFTER = timedelta(days=30)  # people add lyrics
MAX_REFUSALS = 10  # in a row: more means that the tracks are not the problem


@dataclass(frozen=True, slots=True)
class Track:
    """A recording to request."""

    recording_id: str
    title: str
    artist_credit: str
    length_ms: int | None


def settled(landing: Landing, now: datetime) -> set[str]:
    """Return the ids of recordings that need no request: the landing folder's lyrics have a valid answer."""
    answers = (a for _, path in landing.files("lyrics") for a in lrclib.lyrics(path))
    return {
        answer.recording_id
        for answer in answers
        if isinstance(answer, Lyrics)
        and answer.recording_id
        and (answer.status != NOT_FOUND or (answer.fetched_at is not None and answer.fetched_at + RETRY_AFTER > now))
    }


def pull(
    api: LrcLib,
    choose: Callable[[Collection[str]], Iterable[Track]],
    landing: Landing,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    log: Log = len,
) -> Counter[str]:
    """Request the tracks that `choose` returns, and count the answers by status, refused requests and new files.

    `choose` gets the ids of the recordings that need no request. Raises `TuttiError` if LRCLIB fails or refuses
    `MAX_REFUSALS` tracks in a row; answers that have arrived land.
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
                if in_a_row == MAX_REFUSALS:
                    raise TuttiError(f"stopped after {MAX_REFUSALS} refused recordings in a row: {error}") from None
                continue
            in_a_row = 0
            answer = _answer(track, record, now())
            answers.add(answer)
            pulled[lrclib.parse(answer).status] += 1
    pulled["files"] = answers.files
    return pulled


def _answer(track: Track, record: Record | None, at: datetime) -> Record:
    """Return an answer as it lands: with the id of the recording and the time of the request."""
    asked = {"recording_mbid": track.recording_id, "fetched_at": at.isoformat(timespec="seconds")}
    unknown = {"statusCode": 404, "trackName": track.title, "artistName": track.artist_credit}
    return (unknown if record is None else record) | asked
