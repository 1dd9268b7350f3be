"""The catalog: code that recordings, artists, releases and release groups have in common.

Files in the landing folder are read in the order of their names, and the last record of an entity counts. An entity
that MusicBrainz merged into another has no row. The other one lists its id in `merged_ids`, so that listens with the
old id still match.
"""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import PurePosixPath

import dagster as dg
import pyarrow as pa

from resources.folders.landing import Landing
from resources.frames.frame import Frame
from resources.schema import column
from resources.sources.formats.musicbrainz import KINDS, EntityResult, Kind, read

TABLES = {kind.entity: kind.folder for kind in KINDS}
"""The table of each kind of entity. Its landing folder has the same name."""
ENTITY = column("entity", pa.string(), f"kind of entity: {', '.join(TABLES)}")

TAGS = [
    column("tags", pa.list_(pa.string()), "MusicBrainz users' tags, the most agreed-on first"),
    column("tag_counts", pa.list_(pa.int64()), "votes for each tag minus votes against it"),
    column("genres", pa.list_(pa.string()), "tags that are on MusicBrainz's list of genres"),
]
MERGED = column("merged_ids", pa.list_(pa.string()), "old ids that MusicBrainz redirects to this one, as far as asked")


def table(context: dg.AssetExecutionContext, landing: Landing, kind: Kind, schema: pa.Schema) -> pa.Table:
    """Return the landed entities of a kind, each once. Skip an unreadable record with a warning."""
    rows: dict[str, dict[str, object]] = {}
    redirects: dict[str, str] = {}
    for name, path in landing.files(kind.folder):
        for result in read(path, kind):
            if not isinstance(result, EntityResult):
                context.log.warning("%s: skipped %s: %s", PurePosixPath(name).name, *result)
                continue
            row = asdict(result.entity)
            entity_id = row[f"{kind.entity}_id"]
            rows[entity_id] = row
            redirects.pop(entity_id, None)  # a later file has it as an entity of its own again
            if result.merged_id:
                redirects[result.merged_id] = entity_id
    merged: dict[str, list[str]] = {entity_id: [] for entity_id in rows}
    for old in redirects:
        if (target := survivor(old, redirects)) in rows:
            rows.pop(old, None)
            merged[target].append(old)
    return pa.Table.from_pylist([row | {"merged_ids": sorted(merged[key])} for key, row in rows.items()], schema)


def of_each(tables: dict[str, Frame], columns: list[str], fn: Callable[..., pa.Table], schema: pa.Schema) -> Frame:
    """Apply `fn` to each table of the catalog, and return the results as one frame.

    `fn` gets the id and these columns of the table, and as `entity` the kind of entity.
    """
    first, *others = (
        tables[table].select(f"{entity}_id", *columns).map(partial(fn, entity=entity), schema=schema, kernel="arrow")
        for entity, table in TABLES.items()
    )
    return first.concat(*others)


def survivor(old: str, redirects: dict[str, str]) -> str:
    """Follow redirects from an id to the last one. A circle ends where it began."""
    seen = {old}
    while (old := redirects.get(old, old)) not in seen:
        seen.add(old)
    return old
