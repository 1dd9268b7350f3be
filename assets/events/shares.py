"""Shares: recordings, playlists and posts that users shared, each share once, without withdrawn ones."""

from functools import partial

import dagster as dg
import narwhals as nw

from assets.checks import checks_of, timestamp_in_partition
from assets.imports.deletions import deleted
from assets.imports.record_type import BY_ARRIVAL
from assets.imports.shares import RAW_SHARES
from assets.partitions import daily
from resources.frames.frame import Frame
from resources.schema import subset

SHARES = subset(RAW_SHARES, ["day", "share_id", "user_id", "shared_at", "entity", "entity_id", "source"])
SHARE = ["user_id", "share_id"]
KEY = ["day", *SHARE]


def earliest(raw: nw.LazyFrame, deleted: nw.LazyFrame) -> nw.LazyFrame:
    """Return the earliest record of each share, unless a record or a deletion by its author withdraws it."""
    removed = raw.filter(nw.col("is_deleted")).select(*KEY)
    rows = raw.unique(KEY, keep="first", order_by=["shared_at", "entity", "entity_id", *BY_ARRIVAL])
    return rows.join(removed, on=KEY, how="anti").join(deleted, on=SHARE, how="anti").select(*SHARES.names)


@dg.asset(
    key_prefix="events",
    ins={
        "raw_shares": dg.AssetIn(["events", "raw_shares"]),
        "raw_deletions": dg.AssetIn(["events", "raw_deletions"]),
    },
    **daily(SHARES, key=KEY, order=["user_id", "shared_at"]),
)
def shares(raw_shares: Frame, raw_deletions: Frame) -> Frame:
    """Shares of recordings, playlists and posts, each once, by UTC day. Withdrawn shares are left out."""
    return raw_shares.per(SHARE, earliest, raw_deletions.map(partial(deleted, id_column="share_id")))


checks = [checks_of(shares, timestamp_in_partition("shared_at"))]
