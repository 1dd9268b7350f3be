"""Releases: what was published at once, as MusicBrainz tells of each.

Read from files of MusicBrainz releases, one JSON object a line, in the landing folder ("releases").
"""

import dagster as dg
import pyarrow as pa

from assets.checks import checks_of, well_formed
from assets.content.catalog import MERGED, TAGS, table
from resources.folders.landing import Landing
from resources.schema import column, declare
from resources.sources.formats import musicbrainz

RELEASES = pa.schema(
    [
        column("release_id", pa.string(), "MusicBrainz release"),
        column("title", pa.string(), "title"),
        column("artist_credit", pa.string(), "the artists as credited, with what joins them", null=True),
        column("artist_ids", pa.list_(pa.string()), "MusicBrainz artists, in the order of the credit"),
        column("release_group_id", pa.string(), "MusicBrainz release group: the album it is an issue of", null=True),
        column("status", pa.string(), "Official, Promotion, Bootleg, Pseudo-Release, …", null=True),
        column("date", pa.string(), "published, as partial as known: 1983, 1983-05 or 1983-05-01", null=True),
        column("country", pa.string(), "ISO 3166-1 code of the country, or XW (worldwide), XE (Europe)", null=True),
        column("barcode", pa.string(), "digits under the barcode", null=True),
        column("media", pa.int64(), "discs, tapes or files it comes on", null=True),
        column("tracks", pa.int64(), "tracks on all of them", null=True),
        column("disambiguation", pa.string(), "what tells the release from others of the title", null=True),
        column("provenance", pa.string(), "where this is from, and what of it is invented"),
        *TAGS,
        MERGED,
    ]
)


@dg.asset(key_prefix="content", metadata=declare(RELEASES, key=["release_id"]))
def releases(context: dg.AssetExecutionContext, landing: Landing) -> pa.Table:
    """What the catalog knows of each release."""
    return table(context, landing, musicbrainz.RELEASES, RELEASES)


checks = [checks_of(releases, well_formed("release_id"))]
