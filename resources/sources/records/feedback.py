"""The `Feedback` record: a listener loves a recording, hates it, or withdraws that."""

from dataclasses import dataclass
from datetime import datetime

LOVE, HATE, NEITHER = 1, -1, 0  # ListenBrainz's scores. Last.fm and others only have love and its withdrawal.


@dataclass(frozen=True, slots=True)
class Feedback:
    """One listener's opinion of one recording, identified by MBID, by MSID or by artist and title."""

    user_id: str
    recording_mbid: str | None
    recording_msid: str | None  # ListenBrainz's id of an artist and title as submitted
    artist_name: str | None
    recording_name: str | None
    score: int
    created_at: datetime | None  # aware, UTC
    source: str
