"""Artists: whom MusicBrainz credits, persons and groups.

Read from files of MusicBrainz artists, one JSON object a line, in the landing folder ("artists").
"""

import dagster as dg
import pyarrow as pa

from assets.checks import checks_of, well_formed
from assets.content.catalog import MERGED, TAGS, table
from resources.folders.landing import Landing
from resources.schema import column, declare
from resources.sources.formats import musicbrainz

ARTISTS = pa.schema(
    [
        column("artist_id", pa.string(), "MusicBrainz artist"),
        column("name", pa.string(), "name"),
        column("sort_name", pa.string(), "name as it is filed: Beatles, The"),
        column("type", pa.string(), "Person, Group, Orchestra, Choir, Character or Other", null=True),
        column("gender", pa.string(), "of a person, as MusicBrainz words it", null=True),
        column("country", pa.string(), "ISO 3166-1 code of the country (two letters)", null=True),
        column("area", pa.string(), "country, region or city that the artist belongs to", null=True),
        column("begin_date", pa.string(), "born or founded, as partial as known: 1883 or ????-05-01", null=True),
        column("end_date", pa.string(), "died or dissolved, as partial as known", null=True),
        column("ended", pa.bool_(), "whether the artist has died or dissolved, the date known or not", null=True),
        column("disambiguation", pa.string(), "what tells the artist from others of the name", null=True),
        column("provenance", pa.string(), "where this is from, and what of it is invented"),
        *TAGS,
        MERGED,
    ]
)


@dg.asset(key_prefix="content", metadata=declare(ARTISTS, key=["artist_id"]))
def artists(context: dg.AssetExecutionContext, landing: Landing) -> pa.Table:
    """What the catalog knows of each artist."""
    return table(context, landing, musicbrainz.ARTISTS, ARTISTS)


checks = [checks_of(artists, well_formed("artist_id"))]
