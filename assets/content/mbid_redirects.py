"""MBID redirects: old MusicBrainz ids, and the ids that replaced them.

When MusicBrainz merges two entries of one thing, the id of one of them redirects to the other. Listens keep the id that
was submitted. This table has the redirects that pulls have met.
"""

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from assets.checks import checks_of, well_formed
from assets.content.catalog import ENTITY, TABLES, of_each
from resources.frames.frame import Frame
from resources.schema import column, declare

MBID_REDIRECTS = pa.schema(
    [
        ENTITY,
        column("merged_id", pa.string(), "old MusicBrainz id, which redirects"),
        column("entity_id", pa.string(), "current MusicBrainz id"),
    ]
)


def split_redirects(rows: pa.Table, entity: str) -> pa.Table:
    """Return a row for each id that was merged into another."""
    merged = rows["merged_ids"].combine_chunks()
    parent = pc.list_parent_indices(merged)
    ids = {"merged_id": pc.list_flatten(merged), "entity_id": rows[f"{entity}_id"].take(parent)}
    return pa.table({"entity": pa.array([entity] * len(parent), pa.string()), **ids}, MBID_REDIRECTS)


@dg.asset(
    key_prefix="content",
    ins={name: dg.AssetIn(["content", name]) for name in TABLES.values()},
    metadata=declare(MBID_REDIRECTS, key=["entity", "merged_id"]),
)
def mbid_redirects(recordings: Frame, artists: Frame, releases: Frame, release_groups: Frame) -> Frame:
    """Old MusicBrainz ids that redirect to another entity, and the current id of each."""
    tables = {"recordings": recordings, "artists": artists, "releases": releases, "release_groups": release_groups}
    return of_each(tables, ["merged_ids"], split_redirects, MBID_REDIRECTS)


checks = [checks_of(mbid_redirects, well_formed("merged_id", "entity_id"))]
