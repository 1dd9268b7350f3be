"""Benchmarks: hand-written queries and the contract return the same rows."""

import importlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from assets.events.listens import LISTENS
from resources.frames.frame import Engine, conform
from resources.lake.lake import Lake
from resources.sandbox import listen_generator
from tests.benchmarks.engines import Run, identify, median, missing, table
from tests.benchmarks.jobs import JOBS, ROLLUPS, files


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, duckdb: Engine) -> Lake:
    """Build a lake of generated listens and the tables that charts are counted from."""
    small = Lake(tmp_path_factory.mktemp("bench"))
    listen_generator.write(small, "events/listens", LISTENS, identify, listens=12_000, workers=1, report=lambda _: None)
    for name, rollup in ROLLUPS.items():
        rollup.run(duckdb, small, small, name)
    return small


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_the_hand_written_query_returns_the_rows_of_the_contract(
    job: str, engine: Engine, lake: Lake, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.params["engine"]
    JOBS[job].run(engine, lake, Lake(tmp_path), "bench/out")
    expected = Lake(tmp_path).scan("bench/out", JOBS[job].schema).table()
    out = tmp_path / "by_hand"
    out.mkdir()
    by_hand: Any = importlib.import_module(f"tests.benchmarks.handwritten.{name}")
    getattr(by_hand, job)(_handle(name, engine, by_hand, tmp_path), str(out), *files(lake, JOBS[job]))
    actual = conform(ds.dataset(out, format="parquet").to_table(), expected.schema)
    assert len(expected) > 100
    assert _sorted(expected).equals(_sorted(actual))


def _handle(name: str, engine: Any, by_hand: Any, folder: Path) -> Any:
    """Return the handle of a hand-written query. Clusters are those that the tests have started."""
    match name:
        case "dask":
            return engine.client
        case "spark":
            return engine.session
        case _:
            return by_hand.begin(str(folder))


def _sorted(rows: pa.Table) -> pa.Table:
    return rows.sort_by([(c, "ascending") for c in rows.column_names]).combine_chunks()


def run(way: str, cpu: float) -> Run:
    return Run("duckdb", "plays", way, cpu, wall=2 * cpu, memory=10**9, rows=1, sums={})


def test_an_interrupted_benchmark_resumes_in_turns() -> None:
    done = [run("contract", 1), run("by hand", 1), run("contract", 1)]
    assert list(missing(done, ["duckdb"], ["plays"], 3)) == [
        ("duckdb", "plays", "by hand"),
        ("duckdb", "plays", "contract"),
        ("duckdb", "plays", "by hand"),
    ]


def test_the_table_has_medians_and_their_ratio() -> None:
    runs = [run("contract", s) for s in (3.0, 9.0, 6.0)] + [run("by hand", s) for s in (5.0, 4.0, 1.0)]
    assert median(runs[:3], "cpu") == 6
    (line,) = [row for row in table(runs).splitlines() if "duckdb" in row]
    assert "| **1.50** | 6.0 (3.0–9.0) | 4.0 (1.0–5.0) | 12.0 / 8.0 |" in line
