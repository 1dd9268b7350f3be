"""Application events: what people did in a program (play, pause, like, search), each event once.

A program sends an event again until it knows that it arrived: an event is known by whose it is, the UTC day on which it
happened and its id, so that it counts once in whatever files and on whatever days it comes. Of records that differ, the
earliest by its own time is kept. The rule is local to a day: an id that a program gives to events of two days is two
events, as one that is set right over midnight is.

The recording of an event is the MBID it contains, else the match of its names in `recording_matches`, which has every
name that was listened to that day. Other events have no recording and keep their names.

Events are no listens, and none is made of them: a program that tells of its plays here submits them as listens too, to
whichever service its listener has chosen, and a play would count twice.
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
from resources.schema import INSTANT, column, subset

APP_EVENTS = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which it happened"),
        column("user_id", pa.string(), "who did it", personal=True),
        column("at", INSTANT, "when it happened, by the program's clock", unit="UTC"),
        column("event", pa.string(), "what was done: play, add_to_playlist, …, or another name, spelled alike"),
        column("event_id", pa.string(), "the program's own id of it, else half a SHA-256 of all that it says"),
        column("recording_id", pa.string(), "MusicBrainz recording, else what the names were heard as", null=True),
        column("artist_name", pa.string(), "artist credit as submitted", null=True),
        column("recording_name", pa.string(), "title as submitted", null=True),
        column("position_ms", pa.int64(), "place in the recording; where a seek leaves from", unit="ms", null=True),
        column("to_ms", pa.int64(), "place in the recording at which a seek arrives", unit="ms", null=True),
        column("query", pa.string(), "what was searched for", null=True),
        column("playlist", pa.string(), "the playlist to which it was added", null=True),
        column("page", pa.string(), "the page that was viewed", null=True),
        column("client", pa.string(), "program that submitted it", null=True),
        column("client_version", pa.string(), "its version", null=True),
        column("schema_version", pa.string(), "version of the record, where it tells", null=True),
        column("extra", pa.string(), "what no column holds, as JSON", null=True, personal=True),
    ]
)
KEY = ["day", "user_id", "event_id"]
RAW = [n for n in RAW_APP_EVENTS.names if n in APP_EVENTS.names] + ["recording_mbid", NAME_KEY.name]
SPELLED = subset(RAW_APP_EVENTS, [*RAW, *BY_ARRIVAL])
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
BETWEEN = re.compile(r"[\W_]+")


def spelt_alike(event: str) -> str:
    """The name of an event in small letters and underscores: "Add to Playlist" and "addToPlaylist" are one."""
    return BETWEEN.sub("_", HUMP.sub("_", event).casefold()).strip("_") or event


def with_names_alike(raw: pa.Table) -> pa.Table:
    """Spell the name of each raw event as all are spelled."""
    events = raw["event"].combine_chunks().dictionary_encode()
    names = pa.array([spelt_alike(e) for e in events.dictionary.to_pylist()], pa.string()).take(events.indices)
    return raw.set_column(raw.column_names.index("event"), "event", names)


def once(raw: nw.LazyFrame) -> nw.LazyFrame:
    """Return each event once: of those with one id the earliest."""
    return raw.unique(KEY, keep="first", order_by=["at", *BY_ARRIVAL]).select(*RAW)


def about(events: nw.LazyFrame) -> nw.LazyFrame:
    """Give events the recording they are about, if that is known."""
    mbid = nw.col("recording_mbid")
    found = nw.when(mbid.is_null()).then(nw.col("recording_id")).otherwise(mbid)
    return events.with_columns(recording_id=found).select(APP_EVENTS.names)


@dg.asset(
    key_prefix="events",
    ins={
        "raw_app_events": dg.AssetIn(["events", "raw_app_events"]),
        "recording_matches": dg.AssetIn(["events", "recording_matches"]),
    },
    **daily(APP_EVENTS, key=KEY, order=["user_id", "at"]),
)
def app_events(raw_app_events: Frame, recording_matches: Frame) -> Frame:
    """What people did in their programs, each event once, by the UTC day it happened."""
    raw = raw_app_events.select(*SPELLED.names).map(with_names_alike, schema=SPELLED, kernel="arrow")
    return identify(raw.per(KEY, once), recording_matches, "recording_id").map(about)


checks = [
    checks_of(
        app_events,
        timestamp_in_partition("at"),
        keys_match_upstream(dg.AssetKey(["events", "raw_app_events"]), RAW_APP_EVENTS, *KEY),
    )
]
