"""Taggings: the words that people put to artists, each once.

An artist is known as in listens: by its MBID where the source tells it, else by the catalog where one artist alone is
credited so, else by an id made of the name; one whose source tells a number only keeps an id of that.
"""

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of, well_formed
from assets.events.name_ids import artist_id
from assets.events.recording_matches import ARTISTS, known_artists, one_artist_for_each_name
from resources.frames.frame import Frame
from resources.schema import as_table, column, declare
from resources.sources.records.social import OF_ARTIST
from resources.text.names import normalize

TAG_ASSIGNMENTS = pa.schema(
    [
        column("user_id", pa.string(), "who put it", personal=True),
        column("entity", pa.string(), "what it was put to: artist"),
        column("entity_id", pa.string(), "MusicBrainz artist, else a UUID of the artist credit"),
        column("artist_name", pa.string(), "artist, where the source tells its name", null=True),
        column("tag", pa.string(), "the word, whatever its case and space"),
        column("tagged_on", pa.date32(), "when it was first put, where a source tells", null=True),
        column("source", pa.string(), "format it was submitted in"),
    ]
)
ARTIST = "artist"
KEY = ["user_id", "entity", "entity_id", "tag"]
TOLD = pa.schema(
    [("key", pa.string()), ("own_id", pa.string()), *(f for f in TAG_ASSIGNMENTS if f.name != "entity_id")]
)


def as_told(raw: pa.Table) -> pa.Table:
    """Each raw tag_assignment with the name by which the catalog may know the artist, and an id if it does not."""
    columns = (raw[n].to_pylist() for n in ("user_id", "artist_name", "source_ref", "tag", "tagged_on", "source"))
    rows = [
        (*_known_by(name, source_ref), user, ARTIST, name, normalize(tag), on, source)
        for user, name, source_ref, tag, on, source in zip(*columns, strict=True)
    ]
    return as_table(rows, TOLD)


def _known_by(name: str | None, source_ref: str) -> tuple[str, str]:
    """The name to look an artist up by, empty where that need not be, and the id of one that is not found."""
    if source_ref.startswith(OF_ARTIST):
        return "", source_ref.removeprefix(OF_ARTIST)
    return normalize(name or ""), artist_id(name or source_ref)


def identified(told: nw.LazyFrame, artists: nw.LazyFrame) -> nw.LazyFrame:
    """Taggings with the artist's id."""
    rows = told.join(artists, on="key", how="left")
    known = nw.col("artist_id")
    return rows.with_columns(entity_id=nw.when(known.is_null()).then(nw.col("own_id")).otherwise(known))


def once(told: nw.LazyFrame) -> nw.LazyFrame:
    """Each tag_assignment once, as of its first date."""
    found = told.group_by(*KEY).agg(*(nw.col(c).min() for c in ("artist_name", "tagged_on", "source")))
    return found.select(*TAG_ASSIGNMENTS.names)


@dg.asset(
    key_prefix="events",
    ins={
        "raw_tag_assignments": dg.AssetIn(["events", "raw_tag_assignments"]),
        "recordings": dg.AssetIn(["content", "recordings"]),
    },
    metadata=declare(TAG_ASSIGNMENTS, key=KEY, order=["user_id", "entity_id", "tag"]),
)
def tag_assignments(raw_tag_assignments: Frame, recordings: Frame) -> Frame:
    """Which words each person put to which artists."""
    artists = recordings.select("artist_credit", "artist_ids").map(known_artists, schema=ARTISTS, kernel="arrow")
    told = raw_tag_assignments.map(as_told, schema=TOLD, kernel="arrow")
    found = told.per("key", identified, artists.per("key", one_artist_for_each_name))
    return found.per(KEY, once)


checks = [checks_of(tag_assignments, well_formed("entity_id"))]
