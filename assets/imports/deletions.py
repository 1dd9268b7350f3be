"""Landed deletions: what people took back by its id alone, whatever it was and whether or not it was told before."""

import narwhals as nw
import pyarrow as pa

from assets.imports.record_type import ARRIVAL, RecordType
from resources.schema import INSTANT, column
from resources.sources.records.social import Deletion

RAW_DELETIONS = pa.schema(
    [
        column("user_id", pa.string(), "who took it back", personal=True),
        column("deleted_id", pa.string(), "a UUID of its address: a post_id, a share_id or what a relation has"),
        column("deleted_at", INSTANT, "when that was, where the source tells", unit="UTC", null=True),
        column("source", pa.string(), "format it was submitted in"),
        *ARRIVAL,
    ]
)


def deleted(deletions: nw.LazyFrame, id: str) -> nw.LazyFrame:
    """Who took back what, under the name that an id has among what was told."""
    return deletions.select("user_id", nw.col("deleted_id").alias(id))


DELETION_RECORDS = RecordType(
    table="events/raw_deletions",
    description="What was taken back by its id alone, as submitted.",
    counted="deletions",
    record=Deletion,
    schema=RAW_DELETIONS,
    order=("user_id", "deleted_id"),
)
