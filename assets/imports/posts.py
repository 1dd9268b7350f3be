"""Landed posts: each as it read when its source told it; one that is edited is told again, as is one taken back."""

import pyarrow as pa

from assets.imports.name_key import NAME_KEY
from assets.imports.record_type import ARRIVAL, RecordType
from resources.schema import INSTANT, column
from resources.sources.records.social import Post

RAW_POSTS = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which it was posted"),
        column("post_id", pa.string(), "a UUID of the post's address"),
        column("user_id", pa.string(), "who posted it", personal=True),
        column("posted_at", INSTANT, "when it was posted", unit="UTC"),
        column("told_at", INSTANT, "when it came to read so: posted, edited or taken back", unit="UTC"),
        column("text", pa.string(), "what it says, without markup", personal=True),
        column("mentions", pa.list_(pa.string()), "whom it mentions", personal=True),
        column("hashtags", pa.list_(pa.string()), "its hashtags, without the sign and in lower case"),
        column("artist_name", pa.string(), "artist credit of what it says is playing", null=True),
        column("recording_name", pa.string(), "title of what it says is playing", null=True),
        column("recording_mbid", pa.string(), "MusicBrainz recording that it links to as playing", null=True),
        column("taken_back", pa.bool_(), "whether it was deleted then"),
        column("source", pa.string(), "format it was submitted in"),
        NAME_KEY,
        *ARRIVAL,
    ]
)


POST_RECORDS = RecordType(
    table="events/raw_posts",
    description="Posts as submitted, a row for each submitted record; written by imports.",
    counted="posts",
    record=Post,
    schema=RAW_POSTS,
    dated_by="posted_at",
    order=("day", "user_id", "posted_at"),
    id="post_id",
)
