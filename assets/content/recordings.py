"""Recordings: the catalog that listens are matched with, from MusicBrainz.

Read from files of MusicBrainz recordings, one JSON object per line, in the landing folder `recordings`. Without such
files the catalog is empty. Listens then get ids made of their names, and count in the same way.
"""

import dagster as dg
import pyarrow as pa

from assets.checks import checks_of, well_formed
from assets.content.catalog import MERGED, TAGS, table
from resources.folders.landing import Landing
from resources.schema import column, declare
from resources.sources.formats import musicbrainz

RECORDINGS = pa.schema(
    [
        column("recording_id", pa.string(), "MusicBrainz recording"),
        column("title", pa.string(), "title"),
        column("artist_credit", pa.string(), "artists as credited, with the phrases that join them"),
        column("artist_ids", pa.list_(pa.string()), "MusicBrainz artists, in the order of the credit"),
        column("release_id", pa.string(), "MusicBrainz id of the first release with this recording", null=True),
        column("length_ms", pa.int64(), "length", unit="ms", null=True),
        column("isrcs", pa.list_(pa.string()), "International Standard Recording Codes"),
        column(
            "first_release_date",
            pa.string(),
            "date of the first release, possibly partial: 1883, 1883-05 or 1883-05-01",
            null=True,
        ),
        column("provenance", pa.string(), "origin of the record, and which of its fields are synthetic"),
        column("credited_names", pa.list_(pa.string()), "name of each artist in the credit, in its order"),
        column("join_phrases", pa.list_(pa.string()), "phrase after each name in the credit: &, feat., or empty"),
        *TAGS,
        MERGED,
    ]
)


@dg.asset(key_prefix="content", metadata=declare(RECORDINGS, key=["recording_id"]))
def recordings(context: dg.AssetExecutionContext, landing: Landing) -> pa.Table:
    """Catalog data of each recording: title, artists, length, ISRCs, release, genres and tags."""
    return table(context, landing, musicbrainz.RECORDINGS, RECORDINGS)


checks = [checks_of(recordings, well_formed("recording_id"))]
