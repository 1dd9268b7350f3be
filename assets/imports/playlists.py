"""Playlists: one row per track of an imported playlist, in its order."""

import pyarrow as pa

from assets.imports.record_type import ARRIVAL, RecordType
from resources.schema import INSTANT, column
from resources.sources.records.playlist import Track

PLAYLISTS = pa.schema(
    [
        column("playlist_id", pa.string(), "identifier in the file, else a UUID of the playlist's content"),
        column("title", pa.string(), "title of the playlist, if given", null=True),
        column("creator", pa.string(), "creator named in the file", null=True, personal=True),
        column("user_id", pa.string(), "listener that the playlist was imported for", null=True, personal=True),
        column("position", pa.int64(), "place in the playlist, from 1"),
        column("recording_mbid", pa.string(), "MusicBrainz recording, if given", null=True),
        column("artist_name", pa.string(), "artist credit, if given", null=True),
        column("recording_name", pa.string(), "title of the track, if given", null=True),
        column("release_name", pa.string(), "release, if given", null=True),
        column("duration_ms", pa.int64(), "length of the track, if given", unit="ms", null=True),
        column("created_at", INSTANT, "creation time of the playlist, if given", unit="UTC", null=True),
        column("source", pa.string(), "format of the playlist"),
        *ARRIVAL,
    ]
)


TRACK_RECORDS = RecordType(
    table="content/playlists",
    description="Tracks of imported playlists, in order. Written by imports.",
    counted="playlist_tracks",
    record=Track,
    schema=PLAYLISTS,
    order=("playlist_id", "position"),
    row_key=("import_id", "file", "playlist_id", "position"),
)
