"""Plays: how often each listener played each recording and each artist on a day.

Charts are computed from these two tables. They keep the listener, so that a week's distinct listeners can be counted:
they are not the sum of the listeners of its days.
"""

from functools import partial

import dagster as dg
import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from assets.checks import DAYS_AND_TIME, ROWS, checks_of, in_both, sum_of, sums_match_upstream
from assets.partitions import DAY, daily
from resources.frames.frame import Frame
from resources.schema import column

ON = column("day", pa.date32(), "UTC day on which the listens began")
USER = column("user_id", pa.string(), "listener", personal=True)
COUNTS = [
    column("plays", pa.int64(), "number of listens"),
    column("ms_played", pa.int64(), "time listened, as far as sources provide it", unit="ms"),
]
RECORDING_PLAYS = pa.schema([ON, USER, column("recording_id", pa.string(), "recording of the listens"), *COUNTS])
ARTIST_PLAYS = pa.schema([ON, USER, column("artist_id", pa.string(), "artist credited with the recording"), *COUNTS])
CREDITS = pa.schema([ON, USER, ("artist_id", pa.string()), ("ms_played", pa.int64())])


def count_plays(listens: nw.LazyFrame, of: str) -> nw.LazyFrame:
    """Return plays and time listened by day, listener and the column `of`."""
    return listens.group_by("day", "user_id", of).agg(plays=nw.len(), ms_played=nw.col("ms_played").sum())


def credit(listens: pa.Table) -> pa.Table:
    """Return a row for each artist of each listen, so that a recording by two artists counts once for each.

    An artist whom the credit names twice gets one row.
    """
    artists = listens["artist_ids"].combine_chunks()
    credited = pa.table({"row": pc.list_parent_indices(artists), "artist": pc.list_flatten(artists)})
    once = credited.group_by(["row", "artist"], use_threads=False).aggregate([])
    day, user, ms = (listens[c].take(once["row"]) for c in ("day", "user_id", "ms_played"))
    return pa.table([day, user, once["artist"], ms], CREDITS.names).cast(CREDITS)


@dg.asset(
    key_prefix="derived",
    ins={"listens": dg.AssetIn(["events", "listens"])},
    **daily(RECORDING_PLAYS, key=["day", "user_id", "recording_id"]),
)
def recording_plays(listens: Frame) -> Frame:
    """Plays of each listener and recording by UTC day."""
    needed = listens.select("day", "user_id", "recording_id", "ms_played")
    return needed.per(["day", "user_id", "recording_id"], partial(count_plays, of="recording_id"))


@dg.asset(
    key_prefix="derived",
    ins={"listens": dg.AssetIn(["events", "listens"])},
    **daily(ARTIST_PLAYS, key=["day", "user_id", "artist_id"]),
)
def artist_plays(listens: Frame) -> Frame:
    """Plays of each listener and artist by UTC day."""
    credits = listens.select("day", "user_id", "artist_ids", "ms_played").map(credit, schema=CREDITS, kernel="arrow")
    return credits.per(["day", "user_id", "artist_id"], partial(count_plays, of="artist_id"))


checks = [
    checks_of(
        recording_plays,
        sums_match_upstream(
            dg.AssetKey(["events", "listens"]),
            DAYS_AND_TIME,
            {
                "plays": (sum_of("plays"), ROWS),
                "milliseconds": in_both("ms_played"),
            },
            DAY,
        ),
    ),
    checks_of(artist_plays),
]
