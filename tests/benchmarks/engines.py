"""Measure the overhead of the contract: `python -m tests.benchmarks.engines` (`make bench`).

Each job runs on each engine in two ways: through the contract, and as a query written by hand for that engine. The ways
alternate, each in a new process whose engine starts before the measurement. Both read the same files and store the same
rows, with the same order and compression. The result is the ratio of CPU seconds, including the engine's processes.
Each result is stored at once, so an interrupted benchmark resumes.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from assets.events.listens import LISTENS
from assets.events.name_ids import artist_id, recording_id
from resources.engines.resource import EngineName
from resources.environments import data_folder
from resources.frames.frame import Engine
from resources.lake.lake import Lake
from resources.sandbox import listen_generator
from tests.benchmarks.jobs import JOBS, MEMORY_GB, ROLLUPS, WORKERS, files
from tests.benchmarks.meter import metered
from tests.benchmarks.plot import Spread, plot

WAYS = ("contract", "by hand")
TARGETS = {"duckdb": 1.2, "spark": 1.2, "dask": 1.4, "pandas": 2.0}
RUNS = 5
TIMEOUT_S = 3_600  # per run: a hand-written Dask query may hang
LISTENS_COUNT = 20_000_000


@dataclass(frozen=True)
class Run:
    """One measurement: CPU and wall seconds, peak memory in bytes, and the sums of the stored columns."""

    engine: str
    job: str
    way: str
    cpu: float
    wall: float
    memory: int
    rows: int
    sums: dict[str, int]


def start(name: str, spill: str) -> Engine:
    """Start an engine."""
    match EngineName(name):
        case EngineName.pandas:
            from resources.engines.pandas import PandasEngine

            return PandasEngine()
        case EngineName.duckdb:
            from resources.engines.duckdb import DuckEngine

            duckdb = DuckEngine(memory_gb=MEMORY_GB, spill_dir=spill)
            _ = duckdb.db
            return duckdb
        case EngineName.dask:
            from resources.engines.dask import DaskEngine

            dask = DaskEngine(workers=WORKERS, memory_gb=MEMORY_GB, spill_dir=spill)
            _ = dask.client
            return dask
        case EngineName.spark:
            from resources.engines.spark import SparkEngine

            spark = SparkEngine(spill_dir=spill)
            _ = spark.session
            return spark


def measure(engine: str, job: str, way: str, root: str) -> Run:
    """Run a job once in this process."""
    lake, work = Lake(root), JOBS[job]
    with tempfile.TemporaryDirectory(dir=root, prefix="bench-") as folder:
        spill, out = f"{folder}/spill", f"{folder}/out"
        os.makedirs(spill)
        if way == "contract":
            started = start(engine, spill)
            with metered() as cost:
                work.run(started, lake, Lake(folder), "bench/out")
            stored = Lake(folder).scan("bench/out", work.schema).table()
        else:
            by_hand: Any = importlib.import_module(f"tests.benchmarks.handwritten.{engine}")
            handle = by_hand.begin(spill)
            os.makedirs(out)
            paths = files(lake, work)
            with metered() as cost:
                getattr(by_hand, job)(handle, out, *paths)
            stored = ds.dataset(out, format="parquet").to_table(work.schema.names)
        counts = [f.name for f in work.schema if pa.types.is_integer(f.type)]
        sums = {c: pc.sum(stored[c]).as_py() or 0 for c in counts}
        return Run(engine, job, way, cost.cpu, cost.wall, cost.memory, len(stored), sums)


def fresh(engine: str, job: str, way: str, root: str) -> Run:
    """Run a job once in a new process."""
    command = [sys.executable, "-m", "tests.benchmarks.engines", "--one", engine, job, way, root]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        sys.exit(f"{engine}, {job}, {way}: not finished after {TIMEOUT_S} s")
    if result.returncode:
        sys.exit(f"{result.stderr}\n{engine}, {job}, {way}: failed")
    return Run(**json.loads(result.stdout.splitlines()[-1]))


def prepare(root: str, listens: int) -> None:
    """Build the tables that the jobs read, unless they exist."""
    lake = Lake(root)
    if not lake.exists("events/listens"):
        listen_generator.write(lake, "events/listens", LISTENS, identify, listens=listens)
    engine = start("duckdb", f"{root}/spill")
    for table, rollup in ROLLUPS.items():
        if not lake.exists(table):
            print(f"preparing {table} ...", flush=True)
            rollup.run(engine, lake, lake, table)


def identify(artist: str, title: str) -> tuple[str, str]:
    """Return the recording and artist ids derived from names alone."""
    return recording_id(artist, title), artist_id(artist)


def stored_runs(path: Path) -> list[Run]:
    """Return the runs measured so far."""
    return [Run(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def missing(
    runs: Sequence[Run], engines: Sequence[str], jobs: Sequence[str], times: int, ways: Sequence[str] = WAYS
) -> Iterator[tuple[str, ...]]:
    """Yield the engine, job and way of each missing run, alternating so that load on the machine affects all."""
    for turn, engine, job, way in product(range(times), engines, jobs, ways):
        if sum((r.engine, r.job, r.way) == (engine, job, way) for r in runs) <= turn:
            yield engine, job, way


def table(runs: Sequence[Run]) -> str:
    """Format the results as a Markdown table of medians, with the range of CPU seconds."""
    lines = [
        "| job | engine | contract / by hand | CPU s, contract | CPU s, by hand | wall s | peak memory GB | limit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    spreads = figures(runs)
    for job, engine in product(JOBS, TARGETS):
        contract, by_hand = ([r for r in runs if (r.engine, r.job, r.way) == (engine, job, way)] for way in WAYS)
        if contract and by_hand:
            cells = [
                *(job, engine, f"**{ratio(contract, by_hand):.2f}**"),
                *(str(spreads[job, engine, way]) for way in WAYS),
                f"{median(contract, 'wall'):.1f} / {median(by_hand, 'wall'):.1f}",
                f"{median(contract, 'memory') / 1e9:.1f} / {median(by_hand, 'memory') / 1e9:.1f}",
                f"≤ {TARGETS[engine]}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def ratio(contract: Sequence[Run], by_hand: Sequence[Run]) -> float:
    """Return the ratio of median CPU seconds."""
    return median(contract, "cpu") / median(by_hand, "cpu")


def median(runs: Sequence[Run], measure: str) -> float:
    """Return the median of a measure."""
    return statistics.median(getattr(r, measure) for r in runs)


def figures(runs: Sequence[Run]) -> dict[tuple[str, str, str], Spread]:
    """Return the CPU seconds of each job, engine and way that was measured."""
    spreads = {}
    for job, engine, way in product(JOBS, TARGETS, WAYS):
        if seconds := [r.cpu for r in runs if (r.engine, r.job, r.way) == (engine, job, way)]:
            spreads[job, engine, way] = Spread(statistics.median(seconds), min(seconds), max(seconds))
    return spreads


def main() -> None:
    """Measure the missing runs, and write the table and the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listens", type=int, default=LISTENS_COUNT, help="listens to generate (default: %(default)s)")
    parser.add_argument(
        "--runs", type=int, default=RUNS, help="runs of each job, engine and way (default: %(default)s)"
    )
    parser.add_argument("--engines", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--jobs", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(asdict(measure(*options.one))))
        return
    folder = data_folder() / f"bench-{options.listens}"
    prepare(str(folder), options.listens)
    results = folder / "engines.jsonl"
    for engine, job, way in missing(stored_runs(results), options.engines, options.jobs, options.runs, options.ways):
        run = fresh(engine, job, way, str(folder))
        with results.open("a") as file:
            file.write(json.dumps(asdict(run)) + "\n")
        memory = f"{run.memory / 1e9:5.2f} GB"
        print(f"{engine:7} {job:9} {way:9} {run.cpu:8.1f} CPU s {run.wall:8.1f} s {memory}", flush=True)
    runs = stored_runs(results)
    if wrong := [job for job in JOBS if len({json.dumps([r.rows, r.sums]) for r in runs if r.job == job}) > 1]:
        sys.exit(f"contract and hand-written query differ in rows: {', '.join(wrong)}")
    plot(figures(runs), folder / "engines.svg")
    (folder / "engines.md").write_text(table(runs) + "\n")
    print(f"\n{table(runs)}\n\nResults in {folder}: engines.md, engines.svg")


if __name__ == "__main__":
    main()
