"""Releases: the published editions of release groups, from MusicBrainz.

Read from files of MusicBrainz releases, one JSON object per line, in the landing folder `releases`.
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
        column("artist_credit", pa.string(), "artists as credited, with the phrases that join them", null=True),
        column("artist_ids", pa.list_(pa.string()), "MusicBrainz artists, in the order of the credit"),
        column("release_group_id", pa.string(), "MusicBrainz id of the album, single or EP", null=True),
        column("status", pa.string(), "Official, Promotion, Bootleg, Pseudo-Release, …", null=True),
        column("date", pa.string(), "release date, possibly partial: 1983, 1983-05 or 1983-05-01", null=True),
        column("country", pa.string(), "ISO 3166-1 code of the country, or XW (worldwide), XE (Europe)", null=True),
        column("barcode", pa.string(), "digits of the barcode", null=True),
        column("media", pa.int64(), "number of discs, tapes or files", null=True),
        column("tracks", pa.int64(), "number of tracks on all media", null=True),
        column("disambiguation", pa.string(), "comment that distinguishes releases of the same title", null=True),
        column("provenance", pa.string(), "origin of the record, and which of its fields are synthetic"),
        *TAGS,
        MERGED,
    ]
)


@dg.asset(key_prefix="content", metadata=declare(RELEASES, key=["release_id"]))
def releases(context: dg.AssetExecutionContext, landing: Landing) -> pa.Table:
    """Catalog data of each release: title, artists, status, date, country, tracks, genres and tags."""
    return table(context, landing, musicbrainz.RELEASES, RELEASES)


checks = [checks_of(releases, well_formed("release_id"))]
