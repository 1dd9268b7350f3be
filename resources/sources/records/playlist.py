"""A playlist as its file tells it, track by track."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Track:
    """One place in a playlist; what belongs to the playlist is said again with each."""

    playlist_id: str
    title: str | None
    creator: str | None
    user_id: str | None  # of whom it is here: the listener given
    position: int  # from 1
    recording_mbid: str | None
    artist_name: str | None
    recording_name: str | None
    release_name: str | None
    duration_ms: int | None
    created_at: datetime | None  # of the playlist, aware, UTC
    source: str
