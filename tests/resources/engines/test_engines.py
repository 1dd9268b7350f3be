"""Engines say in one line what keeps them from starting, go on after a failure, and hold little at a time."""

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
from resources.engines.dask import DaskEngine, _prepared
from resources.engines.duckdb import DuckEngine
from resources.engines.spark import SparkEngine
from resources.errors import TuttiError
from resources.frames.frame import Engine
from tests.conftest import ON_DASK

NUMBERS = pa.schema([("n", pa.int64())])
PATIENCE = 2  # seconds


@pytest.fixture
def closed() -> int:
    """A port where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def says(start: Callable[[], object], what: str) -> None:
    """Starting fails soon, with one line that says what is wrong and which variable to correct."""
    began = time.monotonic()
    with pytest.raises(TuttiError, match=what) as error:
        start()
    assert time.monotonic() - began < PATIENCE + 8
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{port}", "127.0.0.1:{port}", "nonsense://127.0.0.1:{port}"])
def test_a_dask_scheduler_that_does_not_answer_is_said_at_once(
    address: str, closed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.engines.dask.PATIENCE", PATIENCE)
    monkeypatch.setattr("distributed.Client.current", _none_yet)
    engine = DaskEngine(scheduler=address.format(port=closed))
    says(lambda: engine.client, rf"no Dask scheduler answers at '.*{closed}'.*TUTTI_DASK_SCHEDULER")


@pytest.mark.parametrize(
    "master", ["spark://127.0.0.1:{port}", "spark://127.0.0.1:no{port}", "spark://no.invalid:{port}"]
)
def test_a_spark_master_that_does_not_answer_is_said_at_once(
    master: str, closed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.engines.spark.PATIENCE", PATIENCE)
    monkeypatch.setattr("pyspark.sql.SparkSession.getActiveSession", lambda: None)
    engine = SparkEngine(master=master.format(port=closed))
    says(lambda: engine.session, rf"no Spark master answers at '.*{closed}'.*TUTTI_SPARK_MASTER")


def _none_yet() -> None:
    raise ValueError("No clients found")


def test_an_engine_goes_on_after_a_failure(engine: Engine, tmp_path: Path) -> None:
    """Regression: while the error of a failed write was held, DuckDB's connection was locked."""
    rows = engine.from_arrow(pa.table({"n": range(10)}, NUMBERS))
    held = error(lambda: engine.store(rows.native, full))
    assert len(rows.collect()) == 10
    assert "the disk is full" in str(held)
    held = error(lambda: rows.map(broken, schema=NUMBERS, kernel="arrow").collect())
    assert engine.store(rows.native, partial(named, folder=str(tmp_path)))
    assert "the disk is full" in str(held)


def error(work: Callable[[], object]) -> Exception:
    """The error of work that must fail, and with it all that it holds."""
    try:
        work()
    except Exception as found:
        return found
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


def test_the_writer_is_given_every_row_once(engine: Engine, tmp_path: Path) -> None:
    rows = engine.from_arrow(pa.table({"n": range(1_000)}, NUMBERS))
    names = engine.store(rows.native, partial(named, folder=str(tmp_path)))
    assert sum(int(Path(n).name) for n in names) == 1_000


@pytest.mark.parametrize("name", [ON_DASK])
def test_rows_that_end_every_worker_are_an_error_that_says_what_to_do(name: str, dask: DaskEngine) -> None:
    rows = dask.from_arrow(pa.table({"n": [1]}, NUMBERS))
    once, told = patch.object(dask.client.cluster.scheduler, "allowed_failures", 0), r"workers died .*`memory_gb`"
    with once, pytest.raises(TuttiError, match=told):
        rows.map(deadly, schema=NUMBERS, kernel="arrow").collect()
    assert rows.collect()["n"].to_pylist() == [1]


def deadly(numbers: pa.Table) -> pa.Table:
    if len(numbers):
        os._exit(1)
    return numbers


@pytest.mark.parametrize("name", [ON_DASK])
def test_a_worker_paused_for_memory_that_nobody_frees_is_started_anew(name: str) -> None:
    """Regression: it waited for ever, and all that was to run on it."""
    from distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=1, threads_per_worker=1, memory_limit="600MB", dashboard_address=None)
    with cluster, Client(cluster, set_as_default=False) as client:
        _prepared(client, stuck=2)
        (worker,) = client.scheduler_info()["workers"]
        assert client.submit(leak, 380).result() == 380
        deadline = time.monotonic() + 60
        while worker in client.scheduler_info()["workers"] and time.monotonic() < deadline:
            time.sleep(0.1)
        assert client.submit(abs, -1).result(timeout=60) == 1


def leak(megabytes: int) -> int:
    """Keep memory that Dask knows nothing of."""
    LEAKED.extend(b"x" * 1_000_000 for _ in range(megabytes))
    return len(LEAKED)


LEAKED: list[bytes] = []


def test_duckdb_lends_an_opaque_function_and_the_writer_a_batch_at_a_time() -> None:
    lent: list[int] = []

    def look(numbers: pa.Table) -> pa.Table:
        lent.append(len(numbers))
        return numbers

    def write(tables: Iterator[pa.Table]) -> list[str]:
        return [str(len(t)) for t in tables]

    engine = DuckEngine(memory_gb=1)
    engine.db.execute("SET threads=1")  # else each lends batches of its own
    with patch.object(resources.engines.duckdb, "BATCH", 2_048):
        rows = engine.from_arrow(pa.table({"n": range(20_000)}, NUMBERS)).map(look, schema=NUMBERS, kernel="arrow")
        sizes = [int(n) for n in engine.store(rows.native, write)]
    assert sum(lent) == sum(sizes) == 20_000
    assert max(lent) <= 2_048
    assert max(sizes) <= 2_048


def test_duckdb_spills_to_its_folder_and_keeps_databases_of_other_settings_apart(tmp_path: Path) -> None:
    engine = DuckEngine(memory_gb=1, spill_dir=str(tmp_path / "spill"))
    rows = engine.from_arrow(pa.table({"n": range(10)}, NUMBERS)).map(same, schema=NUMBERS, kernel="arrow")
    assert len(rows.collect()) == 10
    assert list((tmp_path / "spill").glob("duckdb-*/*.parquet"))
    assert engine.db is replace(engine).db is not DuckEngine(memory_gb=2).db


def same(numbers: pa.Table) -> pa.Table:
    return numbers
