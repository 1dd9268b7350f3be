"""The `Lyrics` record, common to all sources of lyrics."""

from dataclasses import dataclass
from datetime import datetime

LRCLIB, LRC, EMBEDDED, SCORE = "lrclib", "lrc", "embedded", "score"
SOURCES = (EMBEDDED, LRC, LRCLIB, SCORE)
WORDS, INSTRUMENTAL, NOT_FOUND = "words", "instrumental", "not found"
STATUSES = (WORDS, INSTRUMENTAL, NOT_FOUND)


@dataclass(frozen=True, slots=True)
class Lyrics:
    """The lyrics of a recording from one source, or its answer "instrumental" or "not found"."""

    lyrics_id: str
    source: str
    origin: str | None  # the source's id, or the path of the file
    recording_id: str | None
    title: str | None
    artist_credit: str | None
    status: str
    text: str | None = None
    lrc: str | None = None  # the words with the times at which they are sung, in LRC format
    language: str | None = None
    fetched_at: datetime | None = None
