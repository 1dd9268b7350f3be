"""Landed relationships: who follows or befriends whom, or no longer does, as sources tell it."""

import pyarrow as pa

from assets.imports.record_type import ARRIVAL, RecordType
from resources.schema import INSTANT, column
from resources.sources.records.social import Relationship

RAW_RELATIONSHIPS = pa.schema(
    [
        column(
            "day", pa.date32(), "UTC day on which it began or ended; the first there is where the source tells none"
        ),
        column("user_id", pa.string(), "who follows; of friends either", personal=True),
        column("other_id", pa.string(), "who is followed; the other friend", personal=True),
        column("relation", pa.string(), "follow or friendship"),
        column("ends", pa.bool_(), "whether it ended then, or began"),
        column("happened_at", INSTANT, "when that was, where the source tells", unit="UTC", null=True),
        column("source", pa.string(), "format it was submitted in"),
        column("submitted_id", pa.string(), "a UUID of the address it was told under, where it has one", null=True),
        *ARRIVAL,
    ]
)


RELATIONSHIP_RECORDS = RecordType(
    table="events/raw_relationships",
    description="Who follows or befriends whom, begun and ended, as submitted; written by imports.",
    counted="relationships",
    record=Relationship,
    schema=RAW_RELATIONSHIPS,
    dated_by="happened_at",
    order=("day", "user_id", "other_id"),
    id="submitted_id",
)
