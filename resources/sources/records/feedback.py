"""Feedback as its source tells it: a listener loves a recording, hates it, or takes that back."""

from dataclasses import dataclass
from datetime import datetime

LOVE, HATE, NEITHER = 1, -1, 0  # ListenBrainz's scores; Last.fm and others know love and its end only


@dataclass(frozen=True, slots=True)
class Feedback:
    """What one listener says of one recording, which is named by MBID, by MSID or by artist and title."""

    user_id: str
    recording_mbid: str | None
    recording_msid: str | None  # ListenBrainz's id of an artist and title as submitted
    artist_name: str | None
    recording_name: str | None
    score: int
    created_at: datetime | None  # aware, UTC
    source: str
