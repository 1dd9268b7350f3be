"""Landed tag_assignments: words that people put to artists, as sources tell them."""

import pyarrow as pa

from assets.imports.record_type import ARRIVAL, RecordType
from resources.schema import column
from resources.sources.records.social import TagAssignment

RAW_TAG_ASSIGNMENTS = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which it was put; the first there is where the source tells none"),
        column("user_id", pa.string(), "who put it", personal=True),
        column("artist_name", pa.string(), "artist, where the source tells its name", null=True),
        column("source_ref", pa.string(), "the source's own id of the artist"),
        column("tag", pa.string(), "the word as it was put"),
        column("tagged_on", pa.date32(), "when it was put, where the source tells a possible date", null=True),
        column("source", pa.string(), "format it was submitted in"),
        *ARRIVAL,
    ]
)


TAG_ASSIGNMENT_RECORDS = RecordType(
    table="events/raw_tag_assignments",
    description="Tags as people put them to artists, as submitted; written by imports.",
    counted="tag_assignments",
    record=TagAssignment,
    schema=RAW_TAG_ASSIGNMENTS,
    dated_by="tagged_on",
    order=("day", "user_id", "source_ref"),
)
