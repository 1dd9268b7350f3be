"""Raw feedback: recordings that listeners love or hate, as submitted."""

import pyarrow as pa

from assets.imports.record_type import ARRIVAL, BY_ARRIVAL, RecordType
from resources.schema import INSTANT, column
from resources.sources.records.feedback import Feedback

RAW_FEEDBACK = pa.schema(
    [
        column("user_id", pa.string(), "listener", personal=True),
        column("recording_mbid", pa.string(), "MusicBrainz recording, if the source provides it", null=True),
        column("recording_msid", pa.string(), "ListenBrainz's id of the names, if the source provides it", null=True),
        column("artist_name", pa.string(), "artist credit, if the source provides it", null=True),
        column("recording_name", pa.string(), "title, if the source provides it", null=True),
        column("score", pa.int64(), "1 for love, -1 for hate, 0 for withdrawn"),
        column("created_at", INSTANT, "time of the feedback, if the source provides it", unit="UTC", null=True),
        column("source", pa.string(), "service or program that the feedback is from"),
        *ARRIVAL,
    ]
)


FEEDBACK_RECORDS = RecordType(
    table="events/raw_feedback",
    description="Love and hate for recordings, given and withdrawn, as submitted. Written by imports.",
    counted="feedback",
    record=Feedback,
    schema=RAW_FEEDBACK,
    order=("user_id", "created_at"),
    row_key=tuple(BY_ARRIVAL),
)
