"""Raw deletions: deletions that give an id only, of anything with that id, imported before or later."""

import narwhals as nw
import pyarrow as pa

from assets.imports.record_type import ARRIVAL, RecordType
from resources.schema import INSTANT, column
from resources.sources.records.social import Deletion

RAW_DELETIONS = pa.schema(
    [
        column("user_id", pa.string(), "listener who deleted it", personal=True),
        column("deleted_id", pa.string(), "UUID of the deleted address: a post_id, share_id or submitted_id"),
        column("deleted_at", INSTANT, "time of the deletion, if the source provides it", unit="UTC", null=True),
        column("source", pa.string(), "format of the record"),
        *ARRIVAL,
    ]
)


def deleted(deletions: nw.LazyFrame, id_column: str) -> nw.LazyFrame:
    """Return the deletions as `user_id` and `id_column`, the id's name in the table that they delete from."""
    return deletions.select("user_id", nw.col("deleted_id").alias(id_column))


DELETION_RECORDS = RecordType(
    table="events/raw_deletions",
    description="Deletions that give an id only, as submitted. Written by imports.",
    counted="deletions",
    record=Deletion,
    schema=RAW_DELETIONS,
    order=("user_id", "deleted_id"),
)
