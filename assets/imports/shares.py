"""Raw shares: recordings, playlists and posts that users shared, as submitted."""

import pyarrow as pa

from assets.imports.record_type import ARRIVAL, RecordType
from resources.schema import INSTANT, column
from resources.sources.records.social import Share

RAW_SHARES = pa.schema(
    [
        column("day", pa.date32(), "UTC day of the share"),
        column("share_id", pa.string(), "UUID of the share's address"),
        column("user_id", pa.string(), "user who shared it", personal=True),
        column("shared_at", INSTANT, "time of the share", unit="UTC"),
        column("entity", pa.string(), "kind of the shared entity: recording, playlist or post"),
        column("entity_id", pa.string(), "MusicBrainz recording, playlist_id or post_id"),
        column("is_deleted", pa.bool_(), "whether this record withdraws the share"),
        column("source", pa.string(), "format of the record"),
        *ARRIVAL,
    ]
)


SHARE_RECORDS = RecordType(
    table="events/raw_shares",
    description="Shares of recordings, playlists and posts, as submitted. Written by imports.",
    counted="shares",
    record=Share,
    schema=RAW_SHARES,
    dated_by="shared_at",
    order=("day", "user_id", "shared_at"),
    id="share_id",
)
