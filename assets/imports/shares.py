"""Landed shares: recordings, playlists and posts that people passed on, as sources tell it."""

from typing import Any

import pyarrow as pa

from assets.imports.record_type import ARRIVAL, Kind
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


def row(share: Share) -> tuple[Any, ...]:
    """What was shared by whom."""
    return (
        share.shared_at.date(),
        share.share_id,
        share.user_id,
        share.shared_at,
        share.entity,
        share.entity_id,
        share.taken_back,
        share.source,
    )


SHARED = Kind(
    table="events/raw_shares",
    says="Shares as submitted, before what is told of one share is brought together; written by imports.",
    counted="shares",
    found=Share,
    schema=RAW_SHARES,
    row=row,
    order=("day", "user_id", "shared_at"),
    id="share_id",
)
