"""The `AppEvent` record: an event that an application logged, such as a play, a search or a page view."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AppEvent:
    """One event. Fields without a column here are stored in `extra`, so that no program version loses data."""

    user_id: str
    at: datetime  # when it happened, aware, UTC, microseconds
    event: str  # as submitted: "play", "Add to Playlist"
    event_id: str  # the program's own, else a hash of the event's content
    recording_mbid: str | None
    artist_name: str | None
    recording_name: str | None
    release_name: str | None
    position_ms: int | None  # position in the recording at the event, or before a seek
    to_ms: int | None  # position after a seek
    query: str | None  # the search text
    playlist: str | None  # the playlist to which the recording was added
    page: str | None  # the viewed page
    client: str | None
    client_version: str | None
    schema_version: str | None
    extra: str | None  # the fields that were not read, as JSON, or None if all were
    shape: str  # one line per field: `path<TAB>JSON type<TAB>outcome`
