"""Genres: what people call recordings, artists, releases and release groups, in words of their own.

A tag that is on MusicBrainz's list of genres is a genre; the others may be anything, "seen live" among them.
"""

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from assets.checks import checks_of, well_formed
from assets.content.catalog import ENTITY, TABLES, of_each
from resources.frames.frame import Frame
from resources.schema import column, declare

GENRES = pa.schema(
    [
        ENTITY,
        column("entity_id", pa.string(), "its MusicBrainz id"),
        column("name", pa.string(), "genre or tag, as MusicBrainz writes it"),
        column("count", pa.int64(), "how many more people gave it than took it away"),
        column("is_genre", pa.bool_(), "whether it is on MusicBrainz's list of genres"),
    ]
)


def each(rows: pa.Table, entity: str) -> pa.Table:
    """A row for each tag of each entity."""
    names = rows["tags"].combine_chunks()
    of = pc.list_parent_indices(names)
    genres = [set(found) for found in rows["genres"].to_pylist()]
    flat = pc.list_flatten(names)
    is_genre = [name in genres[row] for name, row in zip(flat.to_pylist(), of.to_pylist(), strict=True)]
    return pa.table(
        {
            "entity": pa.array([entity] * len(of), pa.string()),
            "entity_id": rows[f"{entity}_id"].take(of),
            "name": flat,
            "count": pc.list_flatten(rows["tag_counts"].combine_chunks()),
            "is_genre": pa.array(is_genre, pa.bool_()),
        },
        GENRES,
    )


@dg.asset(
    key_prefix="content",
    ins={name: dg.AssetIn(["content", name]) for name in TABLES.values()},
    metadata=declare(GENRES, key=["entity", "entity_id", "name"]),
)
def genres(recordings: Frame, artists: Frame, releases: Frame, release_groups: Frame) -> Frame:
    """What people call each entity of the catalog, and which of that are genres."""
    tables = {"recordings": recordings, "artists": artists, "releases": releases, "release_groups": release_groups}
    return of_each(tables, ["tags", "tag_counts", "genres"], each, GENRES)


checks = [checks_of(genres, well_formed("entity_id"))]
