"""Engines fail to start with one line, keep working after a failed step, and use little memory at a time."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pytest

import resources.engines.duckdb
from resources.engines.dask import DaskEngine, _with_plugin
from resources.engines.duckdb import DuckEngine
from resources.engines.spark import SparkEngine
from resources.errors import TuttiError
from resources.frames.frame import Engine
from tests.conftest import ON_DASK

NUMBERS = pa.schema([("n", pa.int64())])
TIMEOUT_S = 2


@pytest.fixture
def closed() -> int:
    """A port where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def assert_fails(start: Callable[[], object], pattern: str) -> None:
    """Assert that starting fails soon with one line that matches `pattern`."""
    began = time.monotonic()
    with pytest.raises(TuttiError, match=pattern) as error:
        start()
    assert time.monotonic() - began < TIMEOUT_S + 8
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{port}", "127.0.0.1:{port}", "nonsense://127.0.0.1:{port}"])
def test_dask_scheduler_that_does_not_answer_is_an_error_at_once(
    address: str, closed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.engines.dask.CONNECT_TIMEOUT_S", TIMEOUT_S)
    monkeypatch.setattr("distributed.Client.current", _none_yet)
    engine = DaskEngine(scheduler=address.format(port=closed))
    assert_fails(lambda: engine.client, rf"no Dask scheduler answers at '.*{closed}'.*TUTTI_DASK_SCHEDULER")


@pytest.mark.parametrize(
    "master", ["spark://127.0.0.1:{port}", "spark://127.0.0.1:no{port}", "spark://no.invalid:{port}"]
)
def test_spark_master_that_does_not_answer_is_an_error_at_once(
    master: str, closed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.engines.spark.CONNECT_TIMEOUT_S", TIMEOUT_S)
    monkeypatch.setattr("pyspark.sql.SparkSession.getActiveSession", lambda: None)
    engine = SparkEngine(master=master.format(port=closed))
    assert_fails(lambda: engine.session, rf"no Spark master answers at '.*{closed}'.*TUTTI_SPARK_MASTER")


def _none_yet() -> None:
    raise ValueError("No clients found")


def test_engine_keeps_working_after_a_failure(engine: Engine, tmp_path: Path) -> None:
    """Regression: DuckDB's connection was locked while a reference to the error of a failed write existed."""
    rows = engine.from_arrow(pa.table({"n": range(10)}, NUMBERS))
    held = error(lambda: engine.store(rows.native, full))
    assert len(rows.collect()) == 10
    assert "the disk is full" in str(held)
    held = error(lambda: rows.map(broken, schema=NUMBERS, kernel="arrow").collect())
    assert engine.store(rows.native, partial(named, folder=str(tmp_path)))
    assert "the disk is full" in str(held)


def error(work: Callable[[], object]) -> Exception:
    """Return the error of work that must fail, with its traceback and all objects that it refers to."""
    try:
        work()
    except Exception as raised:
        return raised
    raise AssertionError("nothing failed")


def full(tables: Iterator[pa.Table]) -> list[str]:
    for _ in tables:
        raise OSError("the disk is full")
    return []


def broken(numbers: pa.Table) -> pa.Table:
    if len(numbers):
        raise OSError("the disk is full")
    return numbers


def named(tables: Iterator[pa.Table], folder: str) -> list[str]:
    return [f"{folder}/{sum(map(len, tables))}"]


def test_writer_gets_every_row_once(engine: Engine, tmp_path: Path) -> None:
    rows = engine.from_arrow(pa.table({"n": range(1_000)}, NUMBERS))
    names = engine.store(rows.native, partial(named, folder=str(tmp_path)))
    assert sum(int(Path(n).name) for n in names) == 1_000


@pytest.mark.parametrize("name", [ON_DASK])
def test_rows_that_kill_every_dask_worker_are_an_error(name: str, dask: DaskEngine) -> None:
    rows = dask.from_arrow(pa.table({"n": [1]}, NUMBERS))
    once = patch.object(dask.client.cluster.scheduler, "allowed_failures", 0)
    with once, pytest.raises(TuttiError, match=r"workers died .*`memory_gb`"):
        rows.map(deadly, schema=NUMBERS, kernel="arrow").collect()
    assert rows.collect()["n"].to_pylist() == [1]


def deadly(numbers: pa.Table) -> pa.Table:
    if len(numbers):
        os._exit(1)
    return numbers


@pytest.mark.parametrize("name", [ON_DASK])
def test_dask_worker_paused_for_good_is_restarted(name: str) -> None:
    """Regression: the worker and the work assigned to it waited indefinitely."""
    from distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=1, threads_per_worker=1, memory_limit="600MB", dashboard_address=None)
    with cluster, Client(cluster, set_as_default=False) as client:
        _with_plugin(client, pause_limit_s=2)
        (worker,) = client.scheduler_info()["workers"]
        assert client.submit(leak, 380).result() == 380
        deadline = time.monotonic() + 60
        while worker in client.scheduler_info()["workers"] and time.monotonic() < deadline:
            time.sleep(0.1)
        assert client.submit(abs, -1).result(timeout=60) == 1


def leak(megabytes: int) -> int:
    """Allocate memory that Dask cannot free."""
    LEAKED.extend(b"x" * 1_000_000 for _ in range(megabytes))
    return len(LEAKED)


LEAKED: list[bytes] = []


def test_duckdb_passes_rows_in_bounded_batches() -> None:
    batch_rows: list[int] = []

    def counted(numbers: pa.Table) -> pa.Table:
        batch_rows.append(len(numbers))
        return numbers

    def write(tables: Iterator[pa.Table]) -> list[str]:
        return [str(len(t)) for t in tables]

    engine = DuckEngine(memory_gb=1)
    engine.db.execute("SET threads=1")  # otherwise each thread makes batches of its own
    with patch.object(resources.engines.duckdb, "BATCH_ROWS", 2_048):
        rows = engine.from_arrow(pa.table({"n": range(20_000)}, NUMBERS)).map(counted, schema=NUMBERS, kernel="arrow")
        sizes = [int(n) for n in engine.store(rows.native, write)]
    assert sum(batch_rows) == sum(sizes) == 20_000
    assert max(batch_rows) <= 2_048
    assert max(sizes) <= 2_048


def test_duckdb_spills_to_its_folder_with_one_database_per_settings(tmp_path: Path) -> None:
    engine = DuckEngine(memory_gb=1, spill_dir=str(tmp_path / "spill"))
    rows = engine.from_arrow(pa.table({"n": range(10)}, NUMBERS)).map(same, schema=NUMBERS, kernel="arrow")
    assert len(rows.collect()) == 10
    assert list((tmp_path / "spill").glob("duckdb-*/*.parquet"))
    assert engine.db is replace(engine).db is not DuckEngine(memory_gb=2).db


def same(numbers: pa.Table) -> pa.Table:
    return numbers
