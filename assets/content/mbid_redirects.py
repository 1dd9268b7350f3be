"""MBID redirects: what MusicBrainz once called an entity, and what it calls it now.

MusicBrainz finds that two entries are of one thing, and keeps one of them; the id of the other leads there ever after.
Listens keep the id under which they were submitted. Here is what was asked for and led elsewhere.
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
        column("merged_id", pa.string(), "MusicBrainz id that was asked for"),
        column("entity_id", pa.string(), "MusicBrainz id that answered"),
    ]
)


def each(rows: pa.Table, entity: str) -> pa.Table:
    """A row for each id that was merged."""
    merged = rows["merged_ids"].combine_chunks()
    of = pc.list_parent_indices(merged)
    told = {"merged_id": pc.list_flatten(merged), "entity_id": rows[f"{entity}_id"].take(of)}
    return pa.table({"entity": pa.array([entity] * len(of), pa.string()), **told}, MBID_REDIRECTS)


@dg.asset(
    key_prefix="content",
    ins={name: dg.AssetIn(["content", name]) for name in TABLES.values()},
    metadata=declare(MBID_REDIRECTS, key=["entity", "merged_id"]),
)
def mbid_redirects(recordings: Frame, artists: Frame, releases: Frame, release_groups: Frame) -> Frame:
    """What MusicBrainz has merged into what."""
    tables = {"recordings": recordings, "artists": artists, "releases": releases, "release_groups": release_groups}
    return of_each(tables, ["merged_ids"], each, MBID_REDIRECTS)


checks = [checks_of(mbid_redirects, well_formed("merged_id", "entity_id"))]
