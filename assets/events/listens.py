"""Listens: who heard which recording and when, each once.

The same listen handed in twice (a file exported again, a line sent again) is one listen: one listener cannot start one
recording twice at one instant. A recording heard again at another time is another listen.
"""

import dagster as dg
import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from assets.checks import bounded, complete, referential, unique
from assets.events.identity import artist_id, recording_id
from assets.partitions import DAILY
from resources.columns import INSTANT, column, declare
from resources.frame import Frame

LISTENS = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which the listen began"),
        column("user_id", pa.string(), "who listened", personal=True),
        column("recording_id", pa.string(), "MusicBrainz recording, else a UUID of artist credit and title"),
        column("listened_at", INSTANT, "start of play", unit="UTC"),
        column("ms_played", pa.int64(), "how long it was heard, where the source tells", unit="ms", null=True),
        column("source", pa.string(), "format it was submitted in"),
        column("time_zone", pa.string(), "where the listener was, as an IANA name", null=True),
        column("artist_name", pa.string(), "artist credit as submitted"),
        column("recording_name", pa.string(), "title as submitted"),
        column("release_name", pa.string(), "release as submitted", null=True),
        column("artist_ids", pa.list_(pa.string()), "MusicBrainz artists, else one UUID of the artist credit"),
        column("ended_at", INSTANT, "end of play, where the source tells", unit="UTC", null=True),
    ]
)
ARRIVAL = ["import_id", "file", "record"]
IDENTIFIED = pa.schema(
    [*LISTENS, *(pa.field(n, t) for n, t in zip(ARRIVAL, (pa.string(), pa.string(), pa.int64()), strict=True))]
)


def identify(raw: pa.Table) -> pa.Table:
    """Give each raw listen its recording, its artists and its end."""
    names = zip(raw["artist_name"].to_pylist(), raw["recording_name"].to_pylist(), strict=True)
    recordings = [mbid or recording_id(*n) for mbid, n in zip(raw["recording_mbid"].to_pylist(), names, strict=True)]
    credited = zip(raw["artist_mbids"].to_pylist(), raw["artist_name"].to_pylist(), strict=True)
    artists = [mbids or [artist_id(credit)] for mbids, credit in credited]
    played = pc.cast(raw["ms_played"], pa.duration("ms"))
    columns = {
        "recording_id": pa.array(recordings, pa.string()),
        "artist_ids": pa.array(artists, pa.list_(pa.string())),
        "ended_at": pc.add(raw["listened_at"], pc.cast(played, pa.duration("us"))),
    }
    return pa.table([columns[n] if n in columns else raw[n] for n in IDENTIFIED.names], IDENTIFIED)


def once(listens: nw.LazyFrame) -> nw.LazyFrame:
    """Each listen once: of equal ones the first by file and record, whatever order the files came in."""
    key = ["day", "user_id", "listened_at", "recording_id"]
    return listens.unique(key, keep="first", order_by=ARRIVAL).select(LISTENS.names)


@dg.asset(
    key_prefix="events",
    ins={"raw_listens": dg.AssetIn(["events", "raw_listens"])},
    partitions_def=DAILY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    metadata=declare(LISTENS, slices="day", order=["day", "user_id", "listened_at"]),
)
def listens(raw_listens: Frame) -> Frame:
    """Who heard which recording and when, by the UTC day it began."""
    identified = raw_listens.map(identify, schema=IDENTIFIED, kernel="arrow")
    return identified.per(["day", "user_id", "listened_at", "recording_id"], once)


checks = [
    unique(listens, "user_id", "listened_at", "recording_id"),
    complete(listens, LISTENS),
    bounded(listens, "listened_at"),
    referential(listens, ["content", "recordings"]),
]
