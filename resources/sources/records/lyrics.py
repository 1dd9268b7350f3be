"""Lyrics, whichever source has them."""

from dataclasses import dataclass
from datetime import datetime

LRCLIB, LRC, EMBEDDED, SCORE = "lrclib", "lrc", "embedded", "score"
SOURCES = (EMBEDDED, LRC, LRCLIB, SCORE)
WORDS, INSTRUMENTAL, NOT_FOUND = "words", "instrumental", "not found"
STATUSES = (WORDS, INSTRUMENTAL, NOT_FOUND)


@dataclass(frozen=True, slots=True)
class Lyrics:
    """The words of a recording as a source has them, or that it has none, or that the source does not know it."""

    lyrics_id: str
    source: str
    origin: str | None  # the source's id, or where the file is
    recording_id: str | None
    title: str | None
    artist_credit: str | None
    status: str
    text: str | None = None
    lrc: str | None = None  # the words with the times at which they are sung
    language: str | None = None
    fetched_at: datetime | None = None
