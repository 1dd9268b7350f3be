"""Shares: recordings, playlists and posts that people passed on, each once, without those taken back."""

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
        column("day", pa.date32(), "UTC day on which it was shared"),
        column("share_id", pa.string(), "a UUID of the share's address"),
        column("user_id", pa.string(), "who shared it", personal=True),
        column("shared_at", INSTANT, "when it was shared", unit="UTC"),
        column("entity", pa.string(), "recording, playlist or post"),
        column("entity_id", pa.string(), "MusicBrainz recording, the playlist's own identifier, or post_id"),
        column("source", pa.string(), "format it was submitted in"),
    ]
)
OF = ["user_id", "share_id"]
KEY = ["day", *OF]


def standing(told: nw.LazyFrame, deleted: nw.LazyFrame) -> nw.LazyFrame:
    """Each share once, as its earliest record has it, unless any takes it back, or its author did by its id."""
    gone = told.filter(nw.col("taken_back")).select(*KEY)
    rows = told.unique(KEY, keep="first", order_by=["shared_at", "entity", "entity_id", *BY_ARRIVAL])
    return rows.join(gone, on=KEY, how="anti").join(deleted, on=OF, how="anti").select(*SHARES.names)


@dg.asset(
    key_prefix="events",
    ins={
        "raw_shares": dg.AssetIn(["events", "raw_shares"]),
        "raw_deletions": dg.AssetIn(["events", "raw_deletions"]),
    },
    **daily(SHARES, key=KEY, order=["user_id", "shared_at"]),
)
def shares(raw_shares: Frame, raw_deletions: Frame) -> Frame:
    """Who passed on which recording, playlist or post, by the UTC day."""
    return raw_shares.per(OF, standing, raw_deletions.map(partial(deleted, id="share_id")))


checks = [checks_of(shares, timestamp_in_partition("shared_at"))]
