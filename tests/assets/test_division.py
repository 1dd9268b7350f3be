"""Clusters divide the work on large tables: rows never come to one place, and the result is that of pandas."""

import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import resources.engines.pandas
from assets.derived.charts import KEY, as_entity, calendar, count_listeners, into_periods
from assets.events.active_listeners import NUMBERED, add_up, hold, number
from assets.partitions import DAY
from resources.engines.pandas import PandasEngine
from resources.frames.frame import Engine, Frame, conform
from resources.lake import write_transaction
from resources.lake.lake import Lake
from resources.storage import Storage
from tests.once import once
from tests.oracle import begin
from tests.tables import (
    LEAP,
    many_app_events,
    many_audio,
    many_lyrics,
    many_posts,
    many_raw_listens,
    many_recordings,
    many_relationships,
    many_retractions,
    many_shares,
    many_taggings,
    table,
)
from tests.transformations import TRANSFORMATIONS, Span, Transformation

LISTENS, DAYS, TEXTS, SOCIAL = 20_000, 40, 1_000, 4_000
ENOUGH = 2  # shares that must have rows: those that a shuffle makes here
FEW = 1_000  # rows: a table with fewer need not be divided
UNMOVED = ("audio_features",)  # rows that Spark leaves where they are: it sends the small table of the join to them
LARGE = {t.name: t for t in TRANSFORMATIONS if t.name not in ("charts_weekly", "charts_yearly")}  # as the others

TALLIES = pa.schema([("user_id", pa.string()), ("listens", pa.int64())])


@dataclass(frozen=True)
class World:
    """Large tables in a lake, as the assets make them on pandas."""

    lake: Lake
    schemas: dict[str, pa.Schema]

    def read(self, engine: Engine, name: str) -> Frame:
        return engine.read(self.lake.scan(name, self.schemas[name]))

    def make(self, engine: Engine, made: Transformation) -> Frame:
        return made.run(*(self.read(engine, n) for n in made.reads), span=_span(made))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The large tables, made once: tests of Spark, of Dask and others may be in processes of their own."""
    folder = once(tmp_path_factory, "large", make_world)
    return World(Lake(folder / "lake"), pickle.loads((folder / "schemas").read_bytes()))


def make_world(folder: Path) -> None:
    audio = zip(LARGE["audio_features"].reads.items(), many_audio(SOCIAL), strict=True)
    given = {name: table(rows, schema) for (name, schema), rows in audio} | {
        "raw_listens": many_raw_listens(LISTENS, days=DAYS),
        "raw_app_events": many_app_events(LISTENS // 4, days=DAYS),
        "lyrics": many_lyrics(TEXTS),
        "recordings": many_recordings(400),
        "relationships": many_relationships(SOCIAL),
        "deletions": many_retractions(SOCIAL // 10),
        "raw_shares": many_shares(SOCIAL),
        "raw_posts": many_posts(SOCIAL),
        "raw_tag_assignments": many_taggings(SOCIAL),
    }
    found = World(Lake(folder / "lake"), {name: rows.schema for name, rows in given.items()})
    with patch.object(write_transaction, "FILE_ROWS", 6_000):  # many files, as of many days
        for name, rows in given.items():
            found.lake.replace(name, iter([rows]), found.schemas[name])
        for name, made in LARGE.items():
            found.schemas[name] = made.schema
            found.lake.replace(name, found.make(PandasEngine(), made), made.schema)
    (folder / "schemas").write_bytes(pickle.dumps(found.schemas))


@pytest.mark.parametrize("made", LARGE.values(), ids=str)
def test_a_large_table_gives_the_rows_of_pandas_from_several_shares(
    made: Transformation, cluster: Engine, world: World, tmp_path: Path
) -> None:
    with nothing_collected(), patch.object(Frame, "per", autospec=True, side_effect=Frame.per) as shuffle:
        frame = world.make(cluster, made)
    shares, wanted = stored(frame, made.schema, tmp_path), world.lake.scan(made.name, made.schema).table()
    moved = shuffle.called and made.name not in UNMOVED
    assert len(shares) >= (ENOUGH if moved and len(wanted) >= FEW else 1)
    assert_equal(pa.concat_tables(shares), wanted)


@pytest.mark.slow
def test_pandas_gives_the_same_rows_share_by_share(world: World) -> None:
    with patch.object(resources.engines.pandas, "ROWS", 5_000):
        for name, made in LARGE.items():
            frame = world.make(PandasEngine(), made)
            assert_equal(frame.collect(made.schema), world.lake.scan(name, made.schema).table())


@pytest.mark.slow
def test_duckdb_gives_the_rows_of_pandas(duckdb: Engine, world: World) -> None:
    for name, made in LARGE.items():
        assert_equal(world.make(duckdb, made).collect(made.schema), world.lake.scan(name, made.schema).table())


def test_what_a_chart_ranks_is_counted_in_several_shares(cluster: Engine, world: World, tmp_path: Path) -> None:
    days = calendar(DAY, LEAP, LEAP + timedelta(days=DAYS))
    with nothing_collected():
        plays = world.read(cluster, "plays").map(partial(as_entity, entity="recording", id="recording_id"))
        counted = plays.map(into_periods, broadcast=[days]).per(KEY, count_listeners)
    schema = pa.schema([("entity_id", pa.string()), ("plays", pa.int64())])
    assert len(stored(counted, schema, tmp_path)) >= ENOUGH


def test_listeners_are_told_apart_in_several_shares(cluster: Engine, world: World, tmp_path: Path) -> None:
    schema = pa.schema([("number", pa.int64()), ("held", pa.int64()), ("listeners", pa.int64())])
    with nothing_collected():
        numbered = world.read(cluster, "activity").map(number, schema=NUMBERED, kernel="arrow")
        held = numbered.per("user_id", hold).per(["number", "held"], add_up)
    assert len(stored(held, schema, tmp_path)) >= ENOUGH


def test_an_opaque_function_of_whole_keys_works_in_several_shares(
    cluster: Engine, world: World, tmp_path: Path
) -> None:
    with nothing_collected():
        tallied = world.read(cluster, "listens").per("user_id", tally, schema=TALLIES, kernel="arrow")
    shares = stored(tallied, TALLIES, tmp_path)
    assert len(shares) >= ENOUGH
    assert_equal(pa.concat_tables(shares), tally(world.lake.scan("listens", world.schemas["listens"]).table()))


def tally(listens: pa.Table) -> pa.Table:
    counts = listens.group_by("user_id").aggregate([("listened_at", "count")])
    return counts.rename_columns(TALLIES.names).cast(TALLIES)


def test_collecting_while_a_frame_is_built_is_noticed(cluster: Engine) -> None:
    rows = cluster.from_arrow(pa.table({"a": [1]}))
    with nothing_collected(), pytest.raises(AssertionError, match="rows came"):
        rows.collect()


def stored(frame: Frame, schema: pa.Schema, folder: Path) -> list[pa.Table]:
    """What each share wrote, where it had rows."""
    write = partial(write_transaction.write_files, folder=Storage.at(folder), schema=schema, order=())
    files = [pq.read_table(folder / name) for name in frame.engine.store(frame.native, write)]
    return [f for f in files if len(f)]


def assert_equal(got: pa.Table, want: pa.Table) -> None:
    keys = [(f.name, "ascending") for f in want.schema if not pa.types.is_nested(f.type)]
    same: bool = conform(got, want.schema).sort_by(keys).equals(want.sort_by(keys))
    assert same, f"{len(got):,} rows differ from the {len(want):,} of pandas"


def nothing_collected() -> AbstractContextManager[Any]:
    """While this lasts, no rows may come to this process."""
    import dask
    import dask.dataframe as dd
    import distributed
    from pyspark.sql.classic.dataframe import DataFrame

    from resources.engines.dask import DaskEngine
    from resources.engines.spark import SparkEngine

    ways: list[tuple[Any, str]] = [
        *((engine, "collect") for engine in (DaskEngine, SparkEngine)),
        *((dd.DataFrame, way) for way in ("compute", "head", "__len__")),
        (dask, "compute"),
        *((distributed.Client, way) for way in ("compute", "gather", "get")),
        *((DataFrame, way) for way in ("collect", "toArrow", "toPandas", "toLocalIterator", "count", "head", "take")),
    ]
    stack = ExitStack()
    for place, way in ways:
        stack.enter_context(patch.object(place, way, _refuse(way)))
    return stack


def _refuse(way: str) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError(f"rows came here by {way}")

    return refuse


def _span(made: Transformation) -> Span:
    """All partitions of the large tables."""
    last = LEAP + timedelta(days=DAYS - 1)
    period = made.name.removeprefix("charts_")
    if period == made.name:
        return LEAP, last
    first: date = begin(LEAP, period)
    return first, begin(last, period)
