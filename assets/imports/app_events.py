"""Raw application events: events as programs submitted them, duplicates included."""

import pyarrow as pa

from assets.imports.name_key import NAME_KEY
from assets.imports.record_type import ARRIVAL, RecordType
from resources.schema import INSTANT, column
from resources.sources.records.app_event import AppEvent

RAW_APP_EVENTS = pa.schema(
    [
        column("day", pa.date32(), "UTC day of the event"),
        column("user_id", pa.string(), "listener", personal=True),
        column("at", INSTANT, "time of the event by the program's clock", unit="UTC"),
        column("event", pa.string(), "name of the event as submitted"),
        column("event_id", pa.string(), "event id from the program, else half a SHA-256 of the record"),
        column("recording_mbid", pa.string(), "MusicBrainz recording", null=True),
        column("artist_name", pa.string(), "artist credit as submitted", null=True),
        column("recording_name", pa.string(), "title as submitted", null=True),
        column("release_name", pa.string(), "release as submitted", null=True),
        column("position_ms", pa.int64(), "position in the recording, of a seek its start", unit="ms", null=True),
        column("to_ms", pa.int64(), "position in the recording at the end of a seek", unit="ms", null=True),
        column("query", pa.string(), "search query", null=True),
        column("playlist", pa.string(), "playlist to which the recording was added", null=True),
        column("page", pa.string(), "viewed page", null=True),
        column("client", pa.string(), "program that submitted the event", null=True),
        column("client_version", pa.string(), "version of the program", null=True),
        column("schema_version", pa.string(), "version of the record format, if submitted", null=True),
        column("extra", pa.string(), "fields without a column, as JSON", null=True, personal=True),
        column("shape", pa.string(), "fields of the record, one per line: name, JSON type and outcome, tab-separated"),
        NAME_KEY,
        *ARRIVAL,
    ]
)


APP_EVENT_RECORDS = RecordType(
    table="events/raw_app_events",
    description="Application events as submitted, duplicates included. Written by imports.",
    counted="app_events",
    record=AppEvent,
    schema=RAW_APP_EVENTS,
    dated_by="at",
    order=("day", "user_id", "at"),
)
