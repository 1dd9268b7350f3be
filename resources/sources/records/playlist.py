"""The `Track` record: one track of a playlist."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Track:
    """One track of a playlist. The fields of the playlist are repeated in each track."""

    playlist_id: str
    title: str | None
    creator: str | None
    user_id: str | None  # the listener named by the operator
    position: int  # from 1
    recording_mbid: str | None
    artist_name: str | None
    recording_name: str | None
    release_name: str | None
    duration_ms: int | None
    created_at: datetime | None  # of the playlist, aware, UTC
    source: str
