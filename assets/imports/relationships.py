"""Raw relationships: begun and ended follows and friendships, as submitted."""

import pyarrow as pa

from assets.imports.record_type import ARRIVAL, RecordType
from resources.schema import INSTANT, column
from resources.sources.records.social import Relationship
from resources.span import UNDATED

RAW_RELATIONSHIPS = pa.schema(
    [
        column("day", pa.date32(), f"UTC day of its beginning or end, {UNDATED} if unknown"),
        column("user_id", pa.string(), "follower, or one of two friends", personal=True),
        column("other_id", pa.string(), "followed user, or the other friend", personal=True),
        column("relation", pa.string(), "kind of relationship: follow or friendship"),
        column("ends", pa.bool_(), "whether it ended (true) or began (false)"),
        column("happened_at", INSTANT, "time of its beginning or end, if provided", unit="UTC", null=True),
        column("source", pa.string(), "format of the record"),
        column("submitted_id", pa.string(), "UUID of the record's address, if it has one", null=True),
        *ARRIVAL,
    ]
)


RELATIONSHIP_RECORDS = RecordType(
    table="events/raw_relationships",
    description="Beginnings and ends of follows and friendships, as submitted. Written by imports.",
    counted="relationships",
    record=Relationship,
    schema=RAW_RELATIONSHIPS,
    dated_by="happened_at",
    order=("day", "user_id", "other_id"),
    id="submitted_id",
)
