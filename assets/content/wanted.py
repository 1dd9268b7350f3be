"""Wanted: what listens and the catalog name and the catalog does not have, for whoever can ask for it.

Recordings that are listened to most are wanted most. Of what recordings and releases name, all is wanted alike.
"""

import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from resources.frames.frame import Frame

HEARD = pa.schema([("recording_mbid", pa.string())])  # of events/raw_listens
IDS = pa.schema([("id", pa.string())])
PLAYS = pa.schema([("id", pa.string()), ("plays", pa.int64())])


def named(listens: nw.LazyFrame) -> nw.LazyFrame:
    """The recordings that listens name, with how many do, as far as these know."""
    found = listens.filter(~nw.col("recording_mbid").is_null()).group_by("recording_mbid").agg(plays=nw.len())
    return found.rename({"recording_mbid": "id"})


def add_up(counts: nw.LazyFrame) -> nw.LazyFrame:
    """How many listens name each recording."""
    return counts.group_by("id").agg(nw.col("plays").sum())


def without(ids: nw.LazyFrame, known: nw.LazyFrame) -> nw.LazyFrame:
    """The ids that are not known."""
    return ids.join(known, on="id", how="anti")


def flat(rows: pa.Table) -> pa.Table:
    """The ids in the columns of a table, or in its lists of ids."""
    found = [c.combine_chunks() for c in rows.columns]
    ids = [pc.list_flatten(c) if pa.types.is_list(c.type) else c.drop_null() for c in found]
    return pa.table({"id": pa.concat_arrays(ids) if ids else pa.array([], pa.string())}, IDS)


def heard(listens: Frame, recordings: Frame) -> list[str]:
    """The recordings that raw listens name and the catalog lacks, the most played first."""
    known = recordings.select("recording_id", "merged_ids").map(flat, schema=IDS, kernel="arrow")
    counted = listens.select("recording_mbid").map(named).per("id", add_up)
    found = counted.per("id", without, known).collect(PLAYS).sort_by([("plays", "descending"), ("id", "ascending")])
    return found["id"].to_pylist()


def lacking(table: Frame, id: str, *others: tuple[Frame, str]) -> list[str]:
    """The ids in columns of other tables that a table has no row of, each once."""
    known = table.select(id, "merged_ids").map(flat, schema=IDS, kernel="arrow")
    first, *more = (other.select(column).map(flat, schema=IDS, kernel="arrow") for other, column in others)
    return sorted(set(first.concat(*more).per("id", without, known).collect(IDS)["id"].to_pylist()))
