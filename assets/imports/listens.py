"""Landed listens: each as its source told it, before repeats of one listen are told apart."""

import pyarrow as pa
import pyarrow.compute as pc

from assets.imports.name_key import NAME_KEY
from assets.imports.record_type import ARRIVAL, RecordType
from resources.schema import INSTANT, column
from resources.sources.records.listen import Listen

RAW_LISTENS = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which the listen began"),
        column("user_id", pa.string(), "who listened", personal=True),
        column("listened_at", INSTANT, "start of play", unit="UTC"),
        column("ms_played", pa.int64(), "how long it was heard, where the source tells", unit="ms", null=True),
        column("source", pa.string(), "service or program that kept it"),
        column("time_zone", pa.string(), "where the listener was, as an IANA name", null=True),
        column("artist_name", pa.string(), "artist credit as submitted"),
        column("recording_name", pa.string(), "title as submitted"),
        column("release_name", pa.string(), "release as submitted", null=True),
        column("recording_mbid", pa.string(), "MusicBrainz recording", null=True),
        column("artist_mbids", pa.list_(pa.string()), "MusicBrainz artists; empty where not told"),
        column("isrc", pa.string(), "International Standard Recording Code", null=True),
        column("source_ref", pa.string(), "the source's own id of the track", null=True),
        column("client", pa.string(), "program that submitted it: a feed is a source and a client", null=True),
        NAME_KEY,
        *ARRIVAL,
    ]
)


def ended_at(raw: pa.Table) -> pa.ChunkedArray:
    """When the plays of raw listens ended, where the source tells how long they were heard."""
    played = pc.cast(raw["ms_played"], pa.duration("ms"))
    return pc.add(raw["listened_at"], pc.cast(played, pa.duration("us")))


LISTEN_RECORDS = RecordType(
    table="events/raw_listens",
    description="Listens as submitted, duplicates included; written by imports.",
    counted="listens",
    record=Listen,
    schema=RAW_LISTENS,
    dated_by="listened_at",
    order=("day", "user_id", "listened_at"),
)
