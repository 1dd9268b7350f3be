"""An application event as its program tells it: somebody pressed play, looked for something, opened a page."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AppEvent:
    """One event. What is told beside these fields is kept in `extra`: no version of a program loses any."""

    user_id: str
    at: datetime  # when it happened, aware, UTC, microseconds
    event: str  # as told: "play", "Add to Playlist"
    event_id: str  # the program's own, else made of all that the event says
    recording_mbid: str | None
    artist_name: str | None
    recording_name: str | None
    release_name: str | None
    position_ms: int | None  # in the recording, at the event; where a seek leaves from
    to_ms: int | None  # where a seek arrives
    query: str | None  # what was searched for
    playlist: str | None  # to which it was added
    page: str | None  # which was viewed
    client: str | None
    client_version: str | None
    schema_version: str | None
    extra: str | None  # what was not read, as JSON; None where everything was
    shape: str  # every field with its JSON type and what became of it: `path<TAB>type<TAB>outcome`, a line each
