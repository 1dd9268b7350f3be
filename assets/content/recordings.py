"""Recordings: the catalog, as MusicBrainz tells of each.

Read from files of MusicBrainz recordings, one JSON object a line, in the landing folder ("recordings"). A platform
without such files has an empty catalog: listens count all the same.
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
        column("artist_credit", pa.string(), "the artists as credited, with what joins them"),
        column("artist_ids", pa.list_(pa.string()), "MusicBrainz artists, in the order of the credit"),
        column("release_id", pa.string(), "first release it is on", null=True),
        column("length_ms", pa.int64(), "length", unit="ms", null=True),
        column("isrcs", pa.list_(pa.string()), "International Standard Recording Codes"),
        column("first_release_date", pa.string(), "as partial as known: 1883, 1883-05 or 1883-05-01", null=True),
        column("provenance", pa.string(), "where this is from, and what of it is invented"),
        column("credited_names", pa.list_(pa.string()), "what each artist is called in the credit, in its order"),
        column("join_phrases", pa.list_(pa.string()), "what follows each name in the credit: &, feat., or nothing"),
        *TAGS,
        MERGED,
    ]
)


@dg.asset(key_prefix="content", metadata=declare(RECORDINGS, key=["recording_id"]))
def recordings(context: dg.AssetExecutionContext, landing: Landing) -> pa.Table:
    """What the catalog knows of each recording."""
    return table(context, landing, musicbrainz.RECORDINGS, RECORDINGS)


checks = [checks_of(recordings, well_formed("recording_id"))]
