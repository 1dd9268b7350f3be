"""Artists: the persons and groups that MusicBrainz credits.

Read from files of MusicBrainz artists, one JSON object per line, in the landing folder `artists`.
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
        column("sort_name", pa.string(), "name for sorting, for example Beatles, The"),
        column("type", pa.string(), "Person, Group, Orchestra, Choir, Character or Other", null=True),
        column("gender", pa.string(), "gender of a person, in MusicBrainz's words", null=True),
        column("country", pa.string(), "ISO 3166-1 code of the country (two letters)", null=True),
        column("area", pa.string(), "country, region or city that the artist belongs to", null=True),
        column("begin_date", pa.string(), "date of birth or founding, possibly partial: 1883, ????-05-01", null=True),
        column("end_date", pa.string(), "date of death or dissolution, possibly partial", null=True),
        column("ended", pa.bool_(), "whether the artist has died or dissolved, even without a known date", null=True),
        column("disambiguation", pa.string(), "comment that distinguishes artists of the same name", null=True),
        column("provenance", pa.string(), "origin of the record, and which of its fields are synthetic"),
        *TAGS,
        MERGED,
    ]
)


@dg.asset(key_prefix="content", metadata=declare(ARTISTS, key=["artist_id"]))
def artists(context: dg.AssetExecutionContext, landing: Landing) -> pa.Table:
    """Catalog data of each artist: names, kind, origin, dates, genres and tags."""
    return table(context, landing, musicbrainz.ARTISTS, ARTISTS)


checks = [checks_of(artists, well_formed("artist_id"))]
