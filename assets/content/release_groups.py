"""Release groups: albums, singles and EPs, each with all of its releases.

Read from files of MusicBrainz release groups, one JSON object per line, in the landing folder `release_groups`.
"""

import dagster as dg
import pyarrow as pa

from assets.checks import checks_of, well_formed
from assets.content.catalog import MERGED, TAGS, table
from resources.folders.landing import Landing
from resources.schema import column, declare
from resources.sources.formats import musicbrainz

RELEASE_GROUPS = pa.schema(
    [
        column("release_group_id", pa.string(), "MusicBrainz release group"),
        column("title", pa.string(), "title"),
        column("artist_credit", pa.string(), "artists as credited, with the phrases that join them", null=True),
        column("artist_ids", pa.list_(pa.string()), "MusicBrainz artists, in the order of the credit"),
        column("primary_type", pa.string(), "Album, Single, EP, Broadcast or Other", null=True),
        column("secondary_types", pa.list_(pa.string()), "further types: Compilation, Live, Soundtrack, Remix, …"),
        column(
            "first_release_date",
            pa.string(),
            "date of the first release, possibly partial: 1983, 1983-05 or 1983-05-01",
            null=True,
        ),
        column("disambiguation", pa.string(), "comment that distinguishes release groups of the same title", null=True),
        column("provenance", pa.string(), "origin of the record, and which of its fields are synthetic"),
        *TAGS,
        MERGED,
    ]
)


@dg.asset(key_prefix="content", metadata=declare(RELEASE_GROUPS, key=["release_group_id"]))
def release_groups(context: dg.AssetExecutionContext, landing: Landing) -> pa.Table:
    """Catalog data of each release group: title, artists, types, date, genres and tags."""
    return table(context, landing, musicbrainz.RELEASE_GROUPS, RELEASE_GROUPS)


checks = [checks_of(release_groups, well_formed("release_group_id"))]
