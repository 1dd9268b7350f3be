"""Merged ids: what MusicBrainz once called an entity, and what it calls it now.

MusicBrainz finds that two entries are of one thing, and keeps one of them; the id of the other leads there ever after.
Listens keep the id under which they were submitted. Here is what was asked for and led elsewhere.
"""

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from assets.checks import checks_of, well_formed
from assets.content.catalogue import ENTITY, TABLES, of_each
from resources.frames.frame import Frame
from resources.schema import column, declare

MERGED_IDS = pa.schema(
    [
        ENTITY,
        column("merged_id", pa.string(), "MusicBrainz id that was asked for"),
        column("entity_id", pa.string(), "MusicBrainz id that answered"),
    ]
)


def each(rows: pa.Table, entity: str) -> pa.Table:
    """A row for each id that was merged."""
    merged = rows["merged_ids"].combine_chunks()
    of = pc.list_parent_indices(merged)
    told = {"merged_id": pc.list_flatten(merged), "entity_id": rows[f"{entity}_id"].take(of)}
    return pa.table({"entity": pa.array([entity] * len(of), pa.string()), **told}, MERGED_IDS)


@dg.asset(
    key_prefix="content",
    ins={name: dg.AssetIn(["content", name]) for name in TABLES.values()},
    metadata=declare(MERGED_IDS, key=["entity", "merged_id"]),
)
def merged_ids(recordings: Frame, artists: Frame, releases: Frame, release_groups: Frame) -> Frame:
    """What MusicBrainz has merged into what."""
    tables = {"recordings": recordings, "artists": artists, "releases": releases, "release_groups": release_groups}
    return of_each(tables, ["merged_ids"], each, MERGED_IDS)


checks = [checks_of(merged_ids, well_formed("merged_id", "entity_id"))]
