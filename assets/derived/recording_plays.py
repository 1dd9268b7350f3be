"""Plays: what each listener played on a day, recording by recording and artist by artist.

The two rollups from which every chart is counted; they keep the listener, so that distinct listeners of a week are
never the sum of those of its days.
"""

from functools import partial

import dagster as dg
import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from assets.checks import DAYS_AND_TIME, ROWS, added, alike, checks_of, sums_match_upstream
from assets.partitions import DAY, daily
from resources.frames.frame import Frame
from resources.schema import column

ON = column("day", pa.date32(), "UTC day on which the listens began")
USER = column("user_id", pa.string(), "who listened", personal=True)
COUNTS = [
    column("plays", pa.int64(), "listens"),
    column("ms_played", pa.int64(), "time listened, as far as sources tell", unit="ms"),
]
RECORDING_PLAYS = pa.schema([ON, USER, column("recording_id", pa.string(), "recording heard"), *COUNTS])
ARTIST_PLAYS = pa.schema([ON, USER, column("artist_id", pa.string(), "artist credited"), *COUNTS])
CREDITS = pa.schema([ON, USER, ("artist_id", pa.string()), ("ms_played", pa.int64())])


def count_plays(listens: nw.LazyFrame, of: str) -> nw.LazyFrame:
    """Plays and time of each listener and recording (or artist) in a day."""
    return listens.group_by("day", "user_id", of).agg(plays=nw.len(), ms_played=nw.col("ms_played").sum())


def credit(listens: pa.Table) -> pa.Table:
    """A row for each artist of each listen: a recording by two is heard once, and counts once for either.

    So it does for one whom the credit names twice.
    """
    artists = listens["artist_ids"].combine_chunks()
    named = pa.table({"row": pc.list_parent_indices(artists), "artist": pc.list_flatten(artists)})
    once = named.group_by(["row", "artist"], use_threads=False).aggregate([])
    day, user, ms = (listens[c].take(once["row"]) for c in ("day", "user_id", "ms_played"))
    return pa.table([day, user, once["artist"], ms], CREDITS.names).cast(CREDITS)


@dg.asset(
    key_prefix="derived",
    ins={"listens": dg.AssetIn(["events", "listens"])},
    **daily(RECORDING_PLAYS, key=["day", "user_id", "recording_id"]),
)
def recording_plays(listens: Frame) -> Frame:
    """What each listener played on a day, recording by recording."""
    needed = listens.select("day", "user_id", "recording_id", "ms_played")
    return needed.per(["day", "user_id", "recording_id"], partial(count_plays, of="recording_id"))


@dg.asset(
    key_prefix="derived",
    ins={"listens": dg.AssetIn(["events", "listens"])},
    **daily(ARTIST_PLAYS, key=["day", "user_id", "artist_id"]),
)
def artist_plays(listens: Frame) -> Frame:
    """What each listener played on a day, artist by artist."""
    credits = listens.select("day", "user_id", "artist_ids", "ms_played").map(credit, schema=CREDITS, kernel="arrow")
    return credits.per(["day", "user_id", "artist_id"], partial(count_plays, of="artist_id"))


checks = [
    checks_of(
        recording_plays,
        sums_match_upstream(
            dg.AssetKey(["events", "listens"]),
            DAYS_AND_TIME,
            {
                "plays": (added("plays"), ROWS),
                "milliseconds": alike("ms_played"),
            },
            DAY,
        ),
    ),
    checks_of(artist_plays),
]
