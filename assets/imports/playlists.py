"""Landed playlists: a row for each track, in the order of the playlist."""

import pyarrow as pa

from assets.imports.record_type import ARRIVAL, RecordType
from resources.schema import INSTANT, column
from resources.sources.records.playlist import Track

PLAYLISTS = pa.schema(
    [
        column("playlist_id", pa.string(), "the playlist's own identifier, else a UUID of what is in it"),
        column("title", pa.string(), "title of the playlist, where it has one", null=True),
        column("creator", pa.string(), "who made it, as the file says", null=True, personal=True),
        column("user_id", pa.string(), "whose it is here", null=True, personal=True),
        column("position", pa.int64(), "place in the playlist, from 1"),
        column("recording_mbid", pa.string(), "MusicBrainz recording, where the playlist tells", null=True),
        column("artist_name", pa.string(), "artist credit, where the playlist tells", null=True),
        column("recording_name", pa.string(), "title of the track, where the playlist tells", null=True),
        column("release_name", pa.string(), "release, where the playlist tells", null=True),
        column("duration_ms", pa.int64(), "length of the track, where the playlist tells", unit="ms", null=True),
        column("created_at", INSTANT, "when the playlist was made, where it tells", unit="UTC", null=True),
        column("source", pa.string(), "format of the playlist"),
        *ARRIVAL,
    ]
)


TRACK_RECORDS = RecordType(
    table="content/playlists",
    description="Imported playlists, one row per track.",
    counted="playlist_tracks",
    record=Track,
    schema=PLAYLISTS,
    order=("playlist_id", "position"),
    row_key=("import_id", "file", "playlist_id", "position"),
)
