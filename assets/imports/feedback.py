"""Landed feedback: which recordings listeners love and hate, as their sources told it."""

import pyarrow as pa

from assets.imports.record_type import ARRIVAL, BY_ARRIVAL, RecordType
from resources.schema import INSTANT, column
from resources.sources.records.feedback import Feedback

RAW_FEEDBACK = pa.schema(
    [
        column("user_id", pa.string(), "whose opinion it is", personal=True),
        column("recording_mbid", pa.string(), "MusicBrainz recording, where the source tells", null=True),
        column("recording_msid", pa.string(), "ListenBrainz's id of names, where the source tells", null=True),
        column("artist_name", pa.string(), "artist credit, where the source tells", null=True),
        column("recording_name", pa.string(), "title, where the source tells", null=True),
        column("score", pa.int64(), "1 love, -1 hate, 0 taken back"),
        column("created_at", INSTANT, "when it was given, where the source tells", unit="UTC", null=True),
        column("source", pa.string(), "service or program that kept it"),
        *ARRIVAL,
    ]
)


FEEDBACK_RECORDS = RecordType(
    table="events/raw_feedback",
    description="Love and hate given to recordings, and taken back, as submitted.",
    counted="feedback",
    record=Feedback,
    schema=RAW_FEEDBACK,
    order=("user_id", "created_at"),
    row_key=tuple(BY_ARRIVAL),
)
