"""Names: what each recording and artist was called on a day, so that charts can be read."""

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
        column("day", pa.date32(), "UTC day on which it was heard"),
        column("entity", pa.string(), '"recording" or "artist"'),
        column("entity_id", pa.string(), "recording_id or artist id of the listens"),
        column("name", pa.string(), "the artist's name, or artist credit and title of the recording"),
    ]
)


def called(listens: pa.Table) -> pa.Table:
    """What these listens call their recordings, and their artists where one alone is credited."""
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
    """One name for each thing and day: where sources differ, the last in the alphabet."""
    return names.group_by("day", "entity", "entity_id").agg(name=nw.col("name").max())


@dg.asset(
    key_prefix="derived",
    ins={"listens": dg.AssetIn(["events", "listens"])},
    **daily(DISPLAY_NAMES, key=["day", "entity", "entity_id"]),
)
def display_names(listens: Frame) -> Frame:
    """What each recording and artist heard on a day was called."""
    needed = listens.select("day", "recording_id", "artist_ids", "artist_name", "recording_name")
    return needed.map(called, schema=DISPLAY_NAMES, kernel="arrow").per(["day", "entity", "entity_id"], one_name)


checks = [checks_of(display_names)]


def _names(entity: str, day: pa.ChunkedArray, ids: pa.ChunkedArray, names: pa.ChunkedArray) -> pa.Table:
    return pa.table([day, pa.repeat(entity, len(day)), ids, names], DISPLAY_NAMES.names).cast(DISPLAY_NAMES)
