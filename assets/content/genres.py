"""Genres: the genres and tags that MusicBrainz users gave to recordings, artists, releases and release groups.

A tag that is on MusicBrainz's list of genres is a genre. The others may be anything, such as "seen live".
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
        column("entity_id", pa.string(), "MusicBrainz id of the entity"),
        column("name", pa.string(), "genre or tag, as MusicBrainz writes it"),
        column("count", pa.int64(), "votes for it minus votes against it"),
        column("is_genre", pa.bool_(), "whether it is on MusicBrainz's list of genres"),
    ]
)


def split_tags(rows: pa.Table, entity: str) -> pa.Table:
    """Return a row for each tag of each entity."""
    names = rows["tags"].combine_chunks()
    parent = pc.list_parent_indices(names)
    genres = [set(listed) for listed in rows["genres"].to_pylist()]
    flat = pc.list_flatten(names)
    is_genre = [name in genres[row] for name, row in zip(flat.to_pylist(), parent.to_pylist(), strict=True)]
    return pa.table(
        {
            "entity": pa.array([entity] * len(parent), pa.string()),
            "entity_id": rows[f"{entity}_id"].take(parent),
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
    """Genres and tags of each catalog entity, one row per entity and tag."""
    tables = {"recordings": recordings, "artists": artists, "releases": releases, "release_groups": release_groups}
    return of_each(tables, ["tags", "tag_counts", "genres"], split_tags, GENRES)


checks = [checks_of(genres, well_formed("entity_id"))]
