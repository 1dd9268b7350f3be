"""Posts: what people said and when, each as it read last, without those taken back; and which recording was playing.

Which recording "#nowplaying Artist – Title" is, the rules of `recording_matches` decide; what the catalog does not know
keeps an id made of its names, as a listen of it would.
"""

from functools import partial

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of, timestamp_in_partition
from assets.events.recording_matches import ON_DAY, decided, identify
from assets.imports.deletions import deleted
from assets.imports.record_type import BY_ARRIVAL
from assets.partitions import daily
from resources.frames.frame import Frame
from resources.schema import INSTANT, column

POSTS = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which it was posted"),
        column("post_id", pa.string(), "a UUID of the post's address"),
        column("user_id", pa.string(), "who posted it", personal=True),
        column("posted_at", INSTANT, "when it was posted", unit="UTC"),
        column("text", pa.string(), "what it says, without markup", personal=True),
        column("mentions", pa.list_(pa.string()), "whom it mentions", personal=True),
        column("hashtags", pa.list_(pa.string()), "its hashtags, without the sign and in lower case"),
        column("artist_name", pa.string(), "artist credit of what it says is playing", null=True),
        column("recording_name", pa.string(), "title of what it says is playing", null=True),
        column("recording_id", pa.string(), "what is playing: MusicBrainz recording, else a UUID of names", null=True),
        column("rule", pa.string(), "how that was found, as in recording_matches", null=True),
        column("confidence", pa.float64(), "how sure that is, from 0 to 1", null=True),
        column("source", pa.string(), "format it was submitted in"),
    ]
)
OF = ["user_id", "post_id"]
KEY = ["day", *OF]
DECIDED = ["recording_id", "rule", "confidence"]
GIVEN = ["artist_name", "recording_name", "recording_mbid"]  # of what is playing


def standing(told: nw.LazyFrame, deleted: nw.LazyFrame) -> nw.LazyFrame:
    """Each post once, as it was told last, unless any record takes it back, or its author did by its id."""
    gone = told.filter(nw.col("taken_back")).select(*KEY)
    rows = told.unique(KEY, keep="last", order_by=["told_at", *BY_ARRIVAL])
    return rows.join(gone, on=KEY, how="anti").join(deleted, on=OF, how="anti")


def playing(posts: nw.LazyFrame) -> nw.LazyFrame:
    """Keep the names in posts that say what is playing."""
    names = posts.filter(~nw.col("recording_name").is_null() | ~nw.col("recording_mbid").is_null())
    return names.select(*ON_DAY, *GIVEN)


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
    """What people posted, by the UTC day, and which recording they said was playing."""
    gone = raw_deletions.map(partial(deleted, id="post_id"))
    standing_posts = raw_posts.per(OF, standing, gone).persist()
    names = decided(standing_posts.map(playing), match_keys, blocking_keys)
    return identify(standing_posts, names, *DECIDED).select(*POSTS.names)


checks = [checks_of(posts, timestamp_in_partition("posted_at"))]
