"""Landed application events: each as its program told it, before those that were sent twice are told apart."""

import pyarrow as pa

from assets.imports.name_key import NAME_KEY
from assets.imports.record_type import ARRIVAL, RecordType
from resources.schema import INSTANT, column
from resources.sources.records.app_event import AppEvent

RAW_APP_EVENTS = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which it happened"),
        column("user_id", pa.string(), "who did it", personal=True),
        column("at", INSTANT, "when it happened, by the program's clock", unit="UTC"),
        column("event", pa.string(), "what was done, as submitted"),
        column("event_id", pa.string(), "the program's own id of it, else half a SHA-256 of all that it says"),
        column("recording_mbid", pa.string(), "MusicBrainz recording", null=True),
        column("artist_name", pa.string(), "artist credit as submitted", null=True),
        column("recording_name", pa.string(), "title as submitted", null=True),
        column("release_name", pa.string(), "release as submitted", null=True),
        column("position_ms", pa.int64(), "place in the recording; where a seek leaves from", unit="ms", null=True),
        column("to_ms", pa.int64(), "place in the recording at which a seek arrives", unit="ms", null=True),
        column("query", pa.string(), "what was searched for", null=True),
        column("playlist", pa.string(), "the playlist to which it was added", null=True),
        column("page", pa.string(), "the page that was viewed", null=True),
        column("client", pa.string(), "program that submitted it", null=True),
        column("client_version", pa.string(), "its version", null=True),
        column("schema_version", pa.string(), "version of the record, where it tells", null=True),
        column("extra", pa.string(), "what no column holds, as JSON", null=True, personal=True),
        column("shape", pa.string(), "its fields, a line each: name, JSON type and outcome, between tabs"),
        NAME_KEY,
        *ARRIVAL,
    ]
)


APP_EVENT_RECORDS = RecordType(
    table="events/raw_app_events",
    description="Application events as submitted, duplicates included; written by imports.",
    counted="app_events",
    record=AppEvent,
    schema=RAW_APP_EVENTS,
    dated_by="at",
    order=("day", "user_id", "at"),
)
