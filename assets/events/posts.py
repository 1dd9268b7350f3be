"""Posts: the latest version of each post that is not deleted, and the recording that it names as playing.

The rules of `recording_matches` match "#nowplaying Artist – Title" with a recording. A recording that the catalog lacks
gets an id made of its names, as in listens.
"""

from functools import partial

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of, timestamp_in_partition
from assets.events.recording_matches import ON_DAY, identify, match_names
from assets.imports.deletions import deleted
from assets.imports.posts import RAW_POSTS
from assets.imports.record_type import BY_ARRIVAL
from assets.partitions import daily
from resources.frames.frame import Frame
from resources.schema import column, subset

POSTS = pa.schema(
    [
        *subset(RAW_POSTS, ["day", "post_id", "user_id", "posted_at", "text", "mentions", "hashtags"]),
        *subset(RAW_POSTS, ["artist_name", "recording_name"]),
        column("recording_id", pa.string(), "MusicBrainz recording that is playing, else a UUID of names", null=True),
        column("rule", pa.string(), "match rule, as in recording_matches", null=True),
        column("confidence", pa.float64(), "confidence of the match, from 0 to 1", null=True),
        RAW_POSTS.field("source"),
    ]
)
POST = ["user_id", "post_id"]
KEY = ["day", *POST]
MATCHED = ["recording_id", "rule", "confidence"]
NAMES = ["artist_name", "recording_name", "recording_mbid"]  # of the recording that is playing


def latest(raw: nw.LazyFrame, deleted: nw.LazyFrame) -> nw.LazyFrame:
    """Return the latest version of each post, unless a record or a deletion by its author removes it."""
    removed = raw.filter(nw.col("is_deleted")).select(*KEY)
    rows = raw.unique(KEY, keep="last", order_by=["updated_at", *BY_ARRIVAL])
    return rows.join(removed, on=KEY, how="anti").join(deleted, on=POST, how="anti")


def playing(posts: nw.LazyFrame) -> nw.LazyFrame:
    """Return the names in posts that name a recording as playing."""
    names = posts.filter(~nw.col("recording_name").is_null() | ~nw.col("recording_mbid").is_null())
    return names.select(*ON_DAY, *NAMES)


@dg.asset(
    key_prefix="events",
    ins={
        "raw_posts": dg.AssetIn(["events", "raw_posts"]),
        "raw_deletions": dg.AssetIn(["events", "raw_deletions"]),
        "match_keys": dg.AssetIn(["content", "match_keys"]),
        "blocking_keys": dg.AssetIn(["content", "blocking_keys"]),
    },
    **daily(POSTS, key=KEY, order=["user_id", "posted_at"]),
)
def posts(raw_posts: Frame, raw_deletions: Frame, match_keys: Frame, blocking_keys: Frame) -> Frame:
    """Posts by UTC day, with the recording that they name as playing. Deleted posts are left out."""
    deletions = raw_deletions.map(partial(deleted, id_column="post_id"))
    latest_posts = raw_posts.per(POST, latest, deletions).persist()
    matches = match_names(latest_posts.map(playing), match_keys, blocking_keys)
    return identify(latest_posts, matches, *MATCHED).select(*POSTS.names)


checks = [checks_of(posts, timestamp_in_partition("posted_at"))]
