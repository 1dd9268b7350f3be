"""Raw listens: listens as submitted, duplicates included."""

import pyarrow as pa
import pyarrow.compute as pc

from assets.imports.name_key import NAME_KEY
from assets.imports.record_type import ARRIVAL, RecordType
from resources.schema import INSTANT, column
from resources.sources.records.listen import Listen

RAW_LISTENS = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which the listen began"),
        column("user_id", pa.string(), "listener", personal=True),
        column("listened_at", INSTANT, "start of play", unit="UTC"),
        column("ms_played", pa.int64(), "time listened, if the source provides it", unit="ms", null=True),
        column("source", pa.string(), "service or program that the listen is from"),
        column("time_zone", pa.string(), "listener's time zone, as an IANA name", null=True),
        column("artist_name", pa.string(), "artist credit as submitted"),
        column("recording_name", pa.string(), "title as submitted"),
        column("release_name", pa.string(), "release as submitted", null=True),
        column("recording_mbid", pa.string(), "MusicBrainz recording", null=True),
        column("artist_mbids", pa.list_(pa.string()), "MusicBrainz artists, empty if not submitted"),
        column("isrc", pa.string(), "International Standard Recording Code", null=True),
        column("source_ref", pa.string(), "id of the track in the source", null=True),
        column("client", pa.string(), "program that submitted the listen; source and client form a feed", null=True),
        NAME_KEY,
        *ARRIVAL,
    ]
)


def ended_at(raw: pa.Table) -> pa.ChunkedArray:
    """Return the end of play of raw listens, null without `ms_played`."""
    played = pc.cast(raw["ms_played"], pa.duration("ms"))
    return pc.add(raw["listened_at"], pc.cast(played, pa.duration("us")))


LISTEN_RECORDS = RecordType(
    table="events/raw_listens",
    description="Listens as submitted, duplicates included. Written by imports.",
    counted="listens",
    record=Listen,
    schema=RAW_LISTENS,
    dated_by="listened_at",
    order=("day", "user_id", "listened_at"),
)
