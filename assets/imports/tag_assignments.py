"""Raw tag assignments: tags that users gave to artists, as submitted."""

import pyarrow as pa

from assets.imports.record_type import ARRIVAL, RecordType
from resources.schema import column
from resources.sources.records.social import TagAssignment
from resources.span import UNDATED

RAW_TAG_ASSIGNMENTS = pa.schema(
    [
        column("day", pa.date32(), f"UTC day of the assignment, {UNDATED} if unknown"),
        column("user_id", pa.string(), "user who gave the tag", personal=True),
        column("artist_name", pa.string(), "artist name, if the source provides it", null=True),
        column("source_ref", pa.string(), "id of the artist in the source"),
        column("tag", pa.string(), "tag as submitted"),
        column("tagged_on", pa.date32(), "date of the assignment, if the source provides a valid one", null=True),
        column("source", pa.string(), "format of the record"),
        *ARRIVAL,
    ]
)


TAG_ASSIGNMENT_RECORDS = RecordType(
    table="events/raw_tag_assignments",
    description="Tags that users gave to artists, as submitted. Written by imports.",
    counted="tag_assignments",
    record=TagAssignment,
    schema=RAW_TAG_ASSIGNMENTS,
    dated_by="tagged_on",
    order=("day", "user_id", "source_ref"),
)
