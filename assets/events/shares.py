"""Shares: recordings, playlists and posts that users shared, each share once, without withdrawn ones."""

from functools import partial

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of, timestamp_in_partition
from assets.imports.deletions import deleted
from assets.imports.record_type import BY_ARRIVAL
from assets.partitions import daily
from resources.frames.frame import Frame
from resources.schema import INSTANT, column

SHARES = pa.schema(
    [
        column("day", pa.date32(), "UTC day of the share"),
        column("share_id", pa.string(), "UUID of the share's address"),
        column("user_id", pa.string(), "user who shared it", personal=True),
        column("shared_at", INSTANT, "time of the share", unit="UTC"),
        column("entity", pa.string(), "kind of the shared entity: recording, playlist or post"),
        column("entity_id", pa.string(), "MusicBrainz recording, playlist_id or post_id"),
        column("source", pa.string(), "format of the record"),
    ]
)
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
