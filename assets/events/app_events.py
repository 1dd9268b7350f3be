"""Application events: listeners' actions in a program (play, pause, like, search), each event once.

A program repeats an event until it is acknowledged. Records with the same listener, UTC day and event id are one event,
independent of their files and arrival. Of records that differ, the earliest by its own time is the event. The rule is
local to a day: equal ids on two days are two events, even if a corrected time moved the event over midnight.

The recording of an event is its MBID, else the match of its names in `recording_matches`, which has every name that was
listened to that day. Other events have no recording and keep their names.

Events do not become listens. A program that sends events here also submits its plays as listens to a service that its
listener chose, so that a play would count twice.
"""

import re

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of, keys_match_upstream, timestamp_in_partition
from assets.events.recording_matches import identify
from assets.imports.app_events import RAW_APP_EVENTS
from assets.imports.name_key import NAME_KEY
from assets.imports.record_type import BY_ARRIVAL
from assets.partitions import daily
from resources.frames.frame import Frame
from resources.schema import column, subset

APP_EVENTS = pa.schema(
    [
        *subset(RAW_APP_EVENTS, ["day", "user_id", "at"]),
        column("event", pa.string(), "name of the event in snake case: play, add_to_playlist, …"),
        RAW_APP_EVENTS.field("event_id"),
        column(
            "recording_id", pa.string(), "MusicBrainz recording, else the id of listens with these names", null=True
        ),
        *subset(RAW_APP_EVENTS, ["artist_name", "recording_name", "position_ms", "to_ms", "query", "playlist", "page"]),
        *subset(RAW_APP_EVENTS, ["client", "client_version", "schema_version", "extra"]),
    ]
)
KEY = ["day", "user_id", "event_id"]
RAW = [n for n in RAW_APP_EVENTS.names if n in APP_EVENTS.names] + ["recording_mbid", NAME_KEY.name]
RENAMED = subset(RAW_APP_EVENTS, [*RAW, *BY_ARRIVAL])
CASE_CHANGE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
SEPARATORS = re.compile(r"[\W_]+")


def snake_case(event: str) -> str:
    """Return the name of an event in snake case, for example add_to_playlist for "Add to Playlist"."""
    return SEPARATORS.sub("_", CASE_CHANGE.sub("_", event).casefold()).strip("_") or event


def rename_events(raw: pa.Table) -> pa.Table:
    """Convert the names of raw events to snake case."""
    events = raw["event"].combine_chunks().dictionary_encode()
    names = pa.array([snake_case(e) for e in events.dictionary.to_pylist()], pa.string()).take(events.indices)
    return raw.set_column(raw.column_names.index("event"), "event", names)


def deduplicate(raw: nw.LazyFrame) -> nw.LazyFrame:
    """Keep the earliest record of each event."""
    return raw.unique(KEY, keep="first", order_by=["at", *BY_ARRIVAL]).select(*RAW)


def with_recordings(events: nw.LazyFrame) -> nw.LazyFrame:
    """Set the recording of each event to its MBID, else to the match of its names, else to null."""
    mbid = nw.col("recording_mbid")
    recording = nw.when(mbid.is_null()).then(nw.col("recording_id")).otherwise(mbid)
    return events.with_columns(recording_id=recording).select(APP_EVENTS.names)


@dg.asset(
    key_prefix="events",
    ins={
        "raw_app_events": dg.AssetIn(["events", "raw_app_events"]),
        "recording_matches": dg.AssetIn(["events", "recording_matches"]),
    },
    **daily(APP_EVENTS, key=KEY, order=["user_id", "at"]),
)
def app_events(raw_app_events: Frame, recording_matches: Frame) -> Frame:
    """Application events of listeners, such as play, pause, like and search, each once, by UTC day."""
    raw = raw_app_events.select(*RENAMED.names).map(rename_events, schema=RENAMED, kernel="arrow")
    return identify(raw.per(KEY, deduplicate), recording_matches, "recording_id").map(with_recordings)


checks = [
    checks_of(
        app_events,
        timestamp_in_partition("at"),
        keys_match_upstream(dg.AssetKey(["events", "raw_app_events"]), RAW_APP_EVENTS, *KEY),
    )
]
