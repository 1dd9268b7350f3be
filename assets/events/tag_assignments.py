"""Tag assignments: tags that users gave to artists, each once.

An artist has the same id as in listens: the MBID if the source provides it, else the only catalog artist of the name,
else an id made of the name. If the source provides a number only, the id is made of the number.
"""

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of, well_formed
from assets.events.name_ids import artist_id
from assets.events.recording_matches import ARTISTS, artist_names, unambiguous_artists
from resources.frames.frame import Frame
from resources.schema import as_table, column, declare
from resources.sources.records.social import OF_ARTIST
from resources.text.names import normalize

TAG_ASSIGNMENTS = pa.schema(
    [
        column("user_id", pa.string(), "user who gave the tag", personal=True),
        column("entity", pa.string(), "kind of the tagged entity: artist"),
        column("entity_id", pa.string(), "MusicBrainz artist, else a UUID of the artist credit"),
        column("artist_name", pa.string(), "artist name, if the source provides it", null=True),
        column("tag", pa.string(), "tag, normalized in case and white space"),
        column("tagged_on", pa.date32(), "date of the first assignment, if a source provides it", null=True),
        column("source", pa.string(), "format of the record"),
    ]
)
ARTIST = "artist"
KEY = ["user_id", "entity", "entity_id", "tag"]
KEYED = pa.schema(
    [("key", pa.string()), ("own_id", pa.string()), *(f for f in TAG_ASSIGNMENTS if f.name != "entity_id")]
)


def with_keys(raw: pa.Table) -> pa.Table:
    """Add to each raw tag assignment the key to find its artist in the catalog, and the id if it has none there."""
    columns = (raw[n].to_pylist() for n in ("user_id", "artist_name", "source_ref", "tag", "tagged_on", "source"))
    rows = [
        (*_artist_key(name, source_ref), user, ARTIST, name, normalize(tag), on, source)
        for user, name, source_ref, tag, on, source in zip(*columns, strict=True)
    ]
    return as_table(rows, KEYED)


def _artist_key(name: str | None, source_ref: str) -> tuple[str, str]:
    """Return the normalized name of an artist, empty if the id is known, and the id if the catalog has no such name."""
    if source_ref.startswith(OF_ARTIST):
        return "", source_ref.removeprefix(OF_ARTIST)
    return normalize(name or ""), artist_id(name or source_ref)


def with_artists(keyed: nw.LazyFrame, artists: nw.LazyFrame) -> nw.LazyFrame:
    """Add the id of each artist: from the catalog, else the record's own."""
    rows = keyed.join(artists, on="key", how="left")
    in_catalog = nw.col("artist_id")
    return rows.with_columns(entity_id=nw.when(in_catalog.is_null()).then(nw.col("own_id")).otherwise(in_catalog))


def deduplicate(assignments: nw.LazyFrame) -> nw.LazyFrame:
    """Return each assignment once, with its first date."""
    rows = assignments.group_by(*KEY).agg(*(nw.col(c).min() for c in ("artist_name", "tagged_on", "source")))
    return rows.select(*TAG_ASSIGNMENTS.names)


@dg.asset(
    key_prefix="events",
    ins={
        "raw_tag_assignments": dg.AssetIn(["events", "raw_tag_assignments"]),
        "recordings": dg.AssetIn(["content", "recordings"]),
    },
    metadata=declare(TAG_ASSIGNMENTS, key=KEY, order=["user_id", "entity_id", "tag"]),
)
def tag_assignments(raw_tag_assignments: Frame, recordings: Frame) -> Frame:
    """Tags that users gave to artists, each once, with the date of the first assignment."""
    artists = recordings.select("artist_credit", "artist_ids").map(artist_names, schema=ARTISTS, kernel="arrow")
    keyed = raw_tag_assignments.map(with_keys, schema=KEYED, kernel="arrow")
    identified = keyed.per("key", with_artists, artists.per("key", unambiguous_artists))
    return identified.per(KEY, deduplicate)


checks = [checks_of(tag_assignments, well_formed("entity_id"))]
