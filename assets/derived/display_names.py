"""Display names: a readable name of each recording and artist per day, for charts."""

import dagster as dg
import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from assets.checks import checks_of
from assets.partitions import daily
from resources.frames.frame import Frame
from resources.schema import column

DISPLAY_NAMES = pa.schema(
    [
        column("day", pa.date32(), "UTC day of the listens"),
        column("entity", pa.string(), "kind of entity: recording or artist"),
        column("entity_id", pa.string(), "recording_id or artist id of the listens"),
        column("name", pa.string(), "artist name, or artist credit and title of a recording"),
    ]
)


def submitted_names(listens: pa.Table) -> pa.Table:
    """Return the names of the recordings of these listens, and of artists who are credited alone."""
    artists = listens["artist_ids"].combine_chunks()
    alone = listens.filter(pc.equal(pc.list_value_length(artists), 1))
    title = pc.binary_join_element_wise(listens["artist_name"], listens["recording_name"], " – ")
    tables = [
        _names("recording", listens["day"], listens["recording_id"], title),
        _names("artist", alone["day"], pc.list_flatten(alone["artist_ids"]), alone["artist_name"]),
    ]
    return (
        pa.concat_tables(tables)
        .group_by(["day", "entity", "entity_id"])
        .aggregate([("name", "max")])
        .rename_columns(["day", "entity", "entity_id", "name"])
    )


def one_name(names: nw.LazyFrame) -> nw.LazyFrame:
    """Keep one name for each entity and day. If sources differ, it is the last in the alphabet."""
    return names.group_by("day", "entity", "entity_id").agg(name=nw.col("name").max())


@dg.asset(
    key_prefix="derived",
    ins={"listens": dg.AssetIn(["events", "listens"])},
    **daily(DISPLAY_NAMES, key=["day", "entity", "entity_id"]),
)
def display_names(listens: Frame) -> Frame:
    """Readable names of the recordings and artists played on a UTC day."""
    needed = listens.select("day", "recording_id", "artist_ids", "artist_name", "recording_name")
    names = needed.map(submitted_names, schema=DISPLAY_NAMES, kernel="arrow")
    return names.per(["day", "entity", "entity_id"], one_name)


checks = [checks_of(display_names)]


def _names(entity: str, day: pa.ChunkedArray, ids: pa.ChunkedArray, names: pa.ChunkedArray) -> pa.Table:
    return pa.table([day, pa.repeat(entity, len(day)), ids, names], DISPLAY_NAMES.names).cast(DISPLAY_NAMES)
