"""Clusters divide the work on large tables: rows are never collected, and the result equals that of pandas."""

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
from assets.events.active_listeners import NUMBERED, add_up, hold, number_days
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
    many_deletions,
    many_lyrics,
    many_posts,
    many_raw_listens,
    many_recordings,
    many_relationships,
    many_shares,
    many_tag_assignments,
    table,
)
from tests.transformations import TRANSFORMATIONS, Span, Transformation

LISTENS, DAYS, TEXTS, SOCIAL = 20_000, 40, 1_000, 4_000
MIN_PARTITIONS = 2  # that must have rows after a shuffle
SMALL_ROWS = 1_000  # a table with fewer rows need not be divided
BROADCAST = ("audio_features",)  # tables that Spark joins without a shuffle
LARGE = {t.name: t for t in TRANSFORMATIONS if t.name not in ("charts_weekly", "charts_yearly")}  # like other charts

TALLIES = pa.schema([("user_id", pa.string()), ("listens", pa.int64())])


@dataclass(frozen=True)
class World:
    """Large tables in a lake, as the assets build them on pandas."""

    lake: Lake
    schemas: dict[str, pa.Schema]

    def read(self, engine: Engine, name: str) -> Frame:
        return engine.read(self.lake.scan(name, self.schemas[name]))

    def build(self, engine: Engine, transformation: Transformation) -> Frame:
        upstream = transformation.asset.keys_by_input_name
        names = [upstream[name].path[-1] if name in upstream else name for name in transformation.reads]
        return transformation.run(*(self.read(engine, name) for name in names), span=_span(transformation))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return the large tables, built once for all test processes, such as those of Spark and Dask."""
    folder = once(tmp_path_factory, "large", build_world)
    return World(Lake(folder / "lake"), pickle.loads((folder / "schemas").read_bytes()))


def build_world(folder: Path) -> None:
    audio = zip(LARGE["audio_features"].reads.items(), many_audio(SOCIAL), strict=True)
    sources = {name: table(rows, schema) for (name, schema), rows in audio} | {
        "raw_listens": many_raw_listens(LISTENS, days=DAYS),
        "raw_app_events": many_app_events(LISTENS // 4, days=DAYS),
        "lyrics": many_lyrics(TEXTS),
        "recordings": many_recordings(400),
        "raw_relationships": many_relationships(SOCIAL),
        "raw_deletions": many_deletions(SOCIAL // 10),
        "raw_shares": many_shares(SOCIAL),
        "raw_posts": many_posts(SOCIAL),
        "raw_tag_assignments": many_tag_assignments(SOCIAL),
    }
    world = World(Lake(folder / "lake"), {name: rows.schema for name, rows in sources.items()})
    with patch.object(write_transaction, "FILE_ROWS", 6_000):  # many files, as of many days
        for name, rows in sources.items():
            world.lake.replace(name, iter([rows]), world.schemas[name])
        for name, transformation in LARGE.items():
            world.schemas[name] = transformation.schema
            world.lake.replace(name, world.build(PandasEngine(), transformation), transformation.schema)
    (folder / "schemas").write_bytes(pickle.dumps(world.schemas))


@pytest.mark.parametrize("transformation", LARGE.values(), ids=str)
def test_clusters_give_the_rows_of_pandas_from_several_partitions(
    transformation: Transformation, cluster: Engine, world: World, tmp_path: Path
) -> None:
    name, schema = transformation.name, transformation.schema
    with nothing_collected(), patch.object(Frame, "per", autospec=True, side_effect=Frame.per) as shuffle:
        frame = world.build(cluster, transformation)
    partitions, expected = stored(frame, schema, tmp_path), world.lake.scan(name, schema).table()
    shuffled = shuffle.called and name not in BROADCAST
    assert len(partitions) >= (MIN_PARTITIONS if shuffled and len(expected) >= SMALL_ROWS else 1)
    assert_equal(pa.concat_tables(partitions), expected)


@pytest.mark.slow
def test_pandas_gives_the_same_rows_in_batches(world: World) -> None:
    with patch.object(resources.engines.pandas, "PART_ROWS", 5_000):
        for name, transformation in LARGE.items():
            frame = world.build(PandasEngine(), transformation)
            assert_equal(frame.collect(transformation.schema), world.lake.scan(name, transformation.schema).table())


@pytest.mark.slow
def test_duckdb_gives_the_rows_of_pandas(duckdb: Engine, world: World) -> None:
    for name, transformation in LARGE.items():
        frame, schema = world.build(duckdb, transformation), transformation.schema
        assert_equal(frame.collect(schema), world.lake.scan(name, schema).table())


def test_chart_entities_are_counted_in_several_partitions(cluster: Engine, world: World, tmp_path: Path) -> None:
    days = calendar(DAY, LEAP, LEAP + timedelta(days=DAYS))
    with nothing_collected():
        plays = world.read(cluster, "recording_plays").map(
            partial(as_entity, entity="recording", id_column="recording_id")
        )
        counted = plays.map(into_periods, broadcast=[days]).per(KEY, count_listeners)
    schema = pa.schema([("entity_id", pa.string()), ("plays", pa.int64())])
    assert len(stored(counted, schema, tmp_path)) >= MIN_PARTITIONS


def test_active_listeners_are_counted_in_several_partitions(cluster: Engine, world: World, tmp_path: Path) -> None:
    schema = pa.schema([("number", pa.int64()), ("held", pa.int64()), ("listeners", pa.int64())])
    with nothing_collected():
        numbered = world.read(cluster, "daily_listening").map(number_days, schema=NUMBERED, kernel="arrow")
        held = numbered.per("user_id", hold).per(["number", "held"], add_up)
    assert len(stored(held, schema, tmp_path)) >= MIN_PARTITIONS


def test_an_arrow_function_of_whole_keys_runs_in_several_partitions(
    cluster: Engine, world: World, tmp_path: Path
) -> None:
    with nothing_collected():
        tallied = world.read(cluster, "listens").per("user_id", tally, schema=TALLIES, kernel="arrow")
    partitions = stored(tallied, TALLIES, tmp_path)
    assert len(partitions) >= MIN_PARTITIONS
    assert_equal(pa.concat_tables(partitions), tally(world.lake.scan("listens", world.schemas["listens"]).table()))


def tally(listens: pa.Table) -> pa.Table:
    counts = listens.group_by("user_id").aggregate([("listened_at", "count")])
    return counts.rename_columns(TALLIES.names).cast(TALLIES)


def test_collecting_while_a_frame_is_built_fails_the_test(cluster: Engine) -> None:
    rows = cluster.from_arrow(pa.table({"a": [1]}))
    with nothing_collected(), pytest.raises(AssertionError, match="rows were collected"):
        rows.collect()


def stored(frame: Frame, schema: pa.Schema, folder: Path) -> list[pa.Table]:
    """Return the rows that each partition wrote, for those with rows."""
    write = partial(write_transaction.write_files, folder=Storage.at(folder), schema=schema, order=())
    files = [pq.read_table(folder / name) for name in frame.engine.store(frame.native, write)]
    return [f for f in files if len(f)]


def assert_equal(actual: pa.Table, expected: pa.Table) -> None:
    keys = [(f.name, "ascending") for f in expected.schema if not pa.types.is_nested(f.type)]
    same: bool = conform(actual, expected.schema).sort_by(keys).equals(expected.sort_by(keys))
    assert same, f"{len(actual):,} rows differ from the {len(expected):,} of pandas"


def nothing_collected() -> AbstractContextManager[Any]:
    """Fail if rows are collected in this process within the context."""
    import dask
    import dask.dataframe as dd
    import distributed
    from pyspark.sql.classic.dataframe import DataFrame

    from resources.engines.dask import DaskEngine
    from resources.engines.spark import SparkEngine

    methods: list[tuple[Any, str]] = [
        *((engine, "collect") for engine in (DaskEngine, SparkEngine)),
        *((dd.DataFrame, name) for name in ("compute", "head", "__len__")),
        (dask, "compute"),
        *((distributed.Client, name) for name in ("compute", "gather", "get")),
        *((DataFrame, name) for name in ("collect", "toArrow", "toPandas", "toLocalIterator", "count", "head", "take")),
    ]
    stack = ExitStack()
    for owner, name in methods:
        stack.enter_context(patch.object(owner, name, _fail(name)))
    return stack


def _fail(method: str) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError(f"rows were collected by {method}")

    return fail


def _span(transformation: Transformation) -> Span:
    """Return the range of all partitions of the large tables."""
    last = LEAP + timedelta(days=DAYS - 1)
    period = transformation.name.removeprefix("charts_")
    if period == transformation.name:
        return LEAP, last
    first: date = begin(LEAP, period)
    return first, begin(last, period)
