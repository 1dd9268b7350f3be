"""The catalog: what the landing folder holds of MusicBrainz's entities, each once.

What belongs here is what recordings, artists, releases and release groups have in common. Files are read in the order
of their names, and what a later one tells of an entity counts. An entity that was merged into another is gone, and the
other knows its id: so listens that name the old id find it.
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

TABLES = {kind.entity: kind.folder for kind in KINDS}  # what lies in a folder makes the table of its name
ENTITY = column("entity", pa.string(), f"which of {', '.join(TABLES)}")

TAGS = [
    column("tags", pa.list_(pa.string()), "what people call it, what most agree on first"),
    column("tag_counts", pa.list_(pa.int64()), "of each tag: how many more people gave it than took it away"),
    column("genres", pa.list_(pa.string()), "the tags that are on MusicBrainz's list of genres"),
]
MERGED = column("merged_ids", pa.list_(pa.string()), "ids that MusicBrainz has merged into this one, as far as asked")


def table(context: dg.AssetExecutionContext, landing: Landing, kind: Kind, schema: pa.Schema) -> pa.Table:
    """The entities of a kind that have landed; a record that is none is passed over with a warning."""
    rows: dict[str, dict[str, object]] = {}
    into: dict[str, str] = {}
    for name, path in landing.files(kind.folder):
        for told in read(path, kind):
            if not isinstance(told, EntityResult):
                context.log.warning("%s, %s is skipped: %s", PurePosixPath(name).name, *told)
                continue
            row = asdict(told.entity)
            id = row[f"{kind.entity}_id"]
            rows[id] = row
            into.pop(id, None)  # it was merged, and is itself again
            if told.merged_id:
                into[told.merged_id] = id
    merged: dict[str, list[str]] = {id: [] for id in rows}
    for old in into:
        if (kept := survivor(old, into)) in rows:
            rows.pop(old, None)
            merged[kept].append(old)
    return pa.Table.from_pylist([row | {"merged_ids": sorted(merged[id])} for id, row in rows.items()], schema)


def of_each(tables: dict[str, Frame], columns: list[str], each: Callable[..., pa.Table], schema: pa.Schema) -> Frame:
    """What a function makes of these columns and the ids of each kind of entity, one below the other.

    It is told the table and, as `entity`, the kind.
    """
    first, *others = (
        tables[table].select(f"{entity}_id", *columns).map(partial(each, entity=entity), schema=schema, kernel="arrow")
        for entity, table in TABLES.items()
    )
    return first.concat(*others)


def survivor(id: str, into: dict[str, str]) -> str:
    """What an id was merged into in the end."""
    passed = {id}
    while (id := into.get(id, id)) not in passed:
        passed.add(id)
    return id
