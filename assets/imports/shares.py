"""Landed shares: recordings, playlists and posts that people passed on, as sources tell it."""

import pyarrow as pa

from assets.imports.record_type import ARRIVAL, RecordType
from resources.schema import INSTANT, column
from resources.sources.records.social import Share

RAW_SHARES = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which it was shared"),
        column("share_id", pa.string(), "a UUID of the share's address"),
        column("user_id", pa.string(), "who shared it", personal=True),
        column("shared_at", INSTANT, "when it was shared", unit="UTC"),
        column("entity", pa.string(), "recording, playlist or post"),
        column("entity_id", pa.string(), "MusicBrainz recording, the playlist's own identifier, or post_id"),
        column("taken_back", pa.bool_(), "whether it was taken back"),
        column("source", pa.string(), "format it was submitted in"),
        *ARRIVAL,
    ]
)


SHARE_RECORDS = RecordType(
    table="events/raw_shares",
    description="Shares as submitted, a row for each submitted record; written by imports.",
    counted="shares",
    record=Share,
    schema=RAW_SHARES,
    dated_by="shared_at",
    order=("day", "user_id", "shared_at"),
    id="share_id",
)
