"""Raw posts: every submitted version of a post, including edits and deletions."""

import pyarrow as pa

from assets.imports.name_key import NAME_KEY
from assets.imports.record_type import ARRIVAL, RecordType
from resources.schema import INSTANT, column
from resources.sources.records.social import Post

RAW_POSTS = pa.schema(
    [
        column("day", pa.date32(), "UTC day of the post"),
        column("post_id", pa.string(), "UUID of the post's address"),
        column("user_id", pa.string(), "author", personal=True),
        column("posted_at", INSTANT, "time of the post", unit="UTC"),
        column("updated_at", INSTANT, "time of this version: posted, edited or deleted", unit="UTC"),
        column("text", pa.string(), "text without markup", personal=True),
        column("mentions", pa.list_(pa.string()), "mentioned users", personal=True),
        column("hashtags", pa.list_(pa.string()), "hashtags in lower case, without the sign"),
        column("artist_name", pa.string(), "artist credit of the recording named as playing", null=True),
        column("recording_name", pa.string(), "title of the recording named as playing", null=True),
        column("recording_mbid", pa.string(), "MusicBrainz recording linked as playing", null=True),
        column("is_deleted", pa.bool_(), "whether this version deletes the post"),
        column("source", pa.string(), "format of the record"),
        NAME_KEY,
        *ARRIVAL,
    ]
)


POST_RECORDS = RecordType(
    table="events/raw_posts",
    description="Posts as submitted, one row per version. Written by imports.",
    counted="posts",
    record=Post,
    schema=RAW_POSTS,
    dated_by="posted_at",
    order=("day", "user_id", "posted_at"),
    id="post_id",
)
