"""Wanted ids: entities that listens or the catalog refer to and that the catalog lacks. Metadata pulls ask for them.

Recordings are ordered by plays, the most played first. Other entities are ordered by id.
"""

import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from resources.frames.frame import Frame

SUBMITTED_MBIDS = pa.schema([("recording_mbid", pa.string())])  # the column of events/raw_listens that is read
IDS = pa.schema([("id", pa.string())])
PLAYS = pa.schema([("id", pa.string()), ("plays", pa.int64())])


def count_plays(listens: nw.LazyFrame) -> nw.LazyFrame:
    """Count the listens of each submitted recording id, in a part of the listens."""
    counts = listens.filter(~nw.col("recording_mbid").is_null()).group_by("recording_mbid").agg(plays=nw.len())
    return counts.rename({"recording_mbid": "id"})


def add_up(counts: nw.LazyFrame) -> nw.LazyFrame:
    """Add up the plays of each id."""
    return counts.group_by("id").agg(nw.col("plays").sum())


def not_in_catalog(ids: nw.LazyFrame, catalog_ids: nw.LazyFrame) -> nw.LazyFrame:
    """Return the ids that the catalog lacks."""
    return ids.join(catalog_ids, on="id", how="anti")


def flat(rows: pa.Table) -> pa.Table:
    """Return all ids in the columns of a table, which have ids or lists of ids."""
    columns = [c.combine_chunks() for c in rows.columns]
    ids = [pc.list_flatten(c) if pa.types.is_list(c.type) else c.drop_null() for c in columns]
    return pa.table({"id": pa.concat_arrays(ids) if ids else pa.array([], pa.string())}, IDS)


def wanted_recordings(listens: Frame, recordings: Frame) -> list[str]:
    """Return the recording ids of raw listens that the catalog lacks, the most played first."""
    catalog_ids = recordings.select("recording_id", "merged_ids").map(flat, schema=IDS, kernel="arrow")
    plays = listens.select("recording_mbid").map(count_plays).per("id", add_up)
    wanted = plays.per("id", not_in_catalog, catalog_ids).collect(PLAYS)
    return wanted.sort_by([("plays", "descending"), ("id", "ascending")])["id"].to_pylist()


def wanted_ids(table: Frame, id_column: str, *references: tuple[Frame, str]) -> list[str]:
    """Return the ids in columns of other tables that `table` lacks, sorted, each once."""
    catalog_ids = table.select(id_column, "merged_ids").map(flat, schema=IDS, kernel="arrow")
    first, *more = (other.select(column).map(flat, schema=IDS, kernel="arrow") for other, column in references)
    return sorted(set(first.concat(*more).per("id", not_in_catalog, catalog_ids).collect(IDS)["id"].to_pylist()))
