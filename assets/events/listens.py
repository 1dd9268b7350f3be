"""Listens: which recording a listener played and when, each listen once.

Several records of one listen, for example of a player and a scrobbler, are one row. `duplicate_listens` has the other
records, and `recording_matches` determines the recording. The same recording at another time is another listen.
"""

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of, row_count_reconciles, timestamp_in_partition, valid_recording_id
from assets.events.recording_matches import identify
from assets.imports.listens import RAW_LISTENS, ended_at
from assets.imports.name_key import NAME_KEY
from assets.imports.record_type import BY_ARRIVAL
from assets.partitions import daily
from resources.frames.frame import Frame
from resources.schema import INSTANT, column

LISTENS = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which the listen began"),
        column("user_id", pa.string(), "listener", personal=True),
        column("recording_id", pa.string(), "MusicBrainz recording, else a UUID of artist credit and title"),
        column("listened_at", INSTANT, "start of play", unit="UTC"),
        column("ms_played", pa.int64(), "time listened, if the source provides it", unit="ms", null=True),
        column("source", pa.string(), "service or program that the listen is from"),
        column("time_zone", pa.string(), "listener's time zone, as an IANA name", null=True),
        column("artist_name", pa.string(), "artist credit as submitted"),
        column("recording_name", pa.string(), "title as submitted"),
        column("release_name", pa.string(), "release as submitted", null=True),
        column("artist_ids", pa.list_(pa.string()), "MusicBrainz artists, else one UUID of the artist credit"),
        column("ended_at", INSTANT, "end of play, if the source provides the time listened", unit="UTC", null=True),
    ]
)
MATCHED = ["recording_id", "artist_ids"]
SUBMITTED = [n for n in LISTENS.names if n in RAW_LISTENS.names]


def without_duplicates(raw: nw.LazyFrame, duplicates: nw.LazyFrame) -> nw.LazyFrame:
    """Return the raw listens that are not duplicates."""
    return raw.join(duplicates, on=BY_ARRIVAL, how="anti").select(*SUBMITTED, NAME_KEY.name)


def with_ends(listens: pa.Table) -> pa.Table:
    """Add the end of play."""
    ended = ended_at(listens)
    return pa.table([ended if n == "ended_at" else listens[n] for n in LISTENS.names], LISTENS)


@dg.asset(
    key_prefix="events",
    ins={
        "raw_listens": dg.AssetIn(["events", "raw_listens"]),
        "recording_matches": dg.AssetIn(["events", "recording_matches"]),
        "duplicate_listens": dg.AssetIn(["events", "duplicate_listens"]),
    },
    **daily(LISTENS, key=["user_id", "listened_at", "recording_id"], order=["user_id", "listened_at"]),
)
def listens(raw_listens: Frame, recording_matches: Frame, duplicate_listens: Frame) -> Frame:
    """Listens of recordings, each once, by the UTC day on which they began."""
    raw = raw_listens.select(*SUBMITTED, NAME_KEY.name, *BY_ARRIVAL)
    unique = raw.per(BY_ARRIVAL, without_duplicates, duplicate_listens.select(*BY_ARRIVAL))
    return identify(unique, recording_matches, *MATCHED).map(with_ends, schema=LISTENS, kernel="arrow")


checks = [
    checks_of(
        listens,
        timestamp_in_partition("listened_at"),
        valid_recording_id(dg.AssetKey(["content", "recordings"])),
        row_count_reconciles(dg.AssetKey(["events", "raw_listens"]), dg.AssetKey(["events", "duplicate_listens"])),
    )
]
