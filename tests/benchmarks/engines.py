"""What the contract costs: `python -m tests.benchmarks.engines` (`make bench`).

Each job is run on each engine through the contract and by a query written by hand for that engine alone, in turns,
each time in a fresh process whose engine has been started before the clock. Both read the same files and store the same
rows, sorted and compressed alike. What counts is the ratio of CPU seconds, processes of the engine included. Results
are kept as they come, so that a run that was interrupted goes on.
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
from resources.sandbox import load
from tests.benchmarks.jobs import JOBS, MEMORY_GB, ROLLUPS, WORKERS, files
from tests.benchmarks.meter import metered
from tests.benchmarks.plot import Spread, plot

WAYS = ("contract", "by hand")
TARGETS = {"duckdb": 1.2, "spark": 1.2, "dask": 1.4, "pandas": 2.0}
RUNS = 5
PATIENCE = 3_600  # seconds for a run: a query by hand on Dask may wait for ever
SIZE = 20_000_000  # listens


@dataclass(frozen=True)
class Run:
    """One measurement: CPU and wall seconds, bytes of memory, and what the stored rows add up to."""

    engine: str
    job: str
    way: str
    cpu: float
    wall: float
    memory: int
    rows: int
    sums: dict[str, int]


def start(name: str, spill: str) -> Engine:
    """An engine, started."""
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
            begun = by_hand.begin(spill)
            os.makedirs(out)
            read = files(lake, work)
            with metered() as cost:
                getattr(by_hand, job)(begun, out, *read)
            stored = ds.dataset(out, format="parquet").to_table(work.schema.names)
        counts = [f.name for f in work.schema if pa.types.is_integer(f.type)]
        sums = {c: pc.sum(stored[c]).as_py() or 0 for c in counts}
        return Run(engine, job, way, cost.cpu, cost.wall, cost.memory, len(stored), sums)


def fresh(engine: str, job: str, way: str, root: str) -> Run:
    """Run a job once in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.engines", "--one", engine, job, way, root]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        sys.exit(f"{engine}, {job}, {way}: not at its end after {PATIENCE} s")
    if told.returncode:
        sys.exit(f"{told.stderr}\n{engine}, {job}, {way}: failed")
    return Run(**json.loads(told.stdout.splitlines()[-1]))


def prepare(root: str, listens: int) -> None:
    """Make the tables that the jobs read, where they are missing."""
    lake = Lake(root)
    if not lake.exists("events/listens"):
        load.write(lake, "events/listens", LISTENS, identify, listens=listens)
    engine = start("duckdb", f"{root}/spill")
    for table, rollup in ROLLUPS.items():
        if not lake.exists(table):
            print(f"preparing {table} ...", flush=True)
            rollup.run(engine, lake, lake, table)


def identify(artist: str, title: str) -> tuple[str, str]:
    """The ids of a recording and its artists that are known by name alone."""
    return recording_id(artist, title), artist_id(artist)


def kept(path: Path) -> list[Run]:
    """The runs measured so far."""
    return [Run(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def missing(
    runs: Sequence[Run], engines: Sequence[str], jobs: Sequence[str], times: int, ways: Sequence[str] = WAYS
) -> Iterator[tuple[str, ...]]:
    """What is still to be measured, in turns, so that what disturbs one disturbs all."""
    for turn, engine, job, way in product(range(times), engines, jobs, ways):
        if sum((r.engine, r.job, r.way) == (engine, job, way) for r in runs) <= turn:
            yield engine, job, way


def table(runs: Sequence[Run]) -> str:
    """The results as Markdown: medians, and the spread of CPU seconds from least to most."""
    lines = [
        "| job | engine | contract / by hand | CPU s, contract | CPU s, by hand | wall s | peak memory GB | limit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    spreads = figures(runs)
    for job, engine in product(JOBS, TARGETS):
        ours, theirs = ([r for r in runs if (r.engine, r.job, r.way) == (engine, job, way)] for way in WAYS)
        if ours and theirs:
            cells = [
                *(job, engine, f"**{ratio(ours, theirs):.2f}**"),
                *(str(spreads[job, engine, way]) for way in WAYS),
                f"{median(ours, 'wall'):.1f} / {median(theirs, 'wall'):.1f}",
                f"{median(ours, 'memory') / 1e9:.1f} / {median(theirs, 'memory') / 1e9:.1f}",
                f"≤ {TARGETS[engine]}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def ratio(ours: Sequence[Run], theirs: Sequence[Run]) -> float:
    """Contract against by hand, of median CPU seconds."""
    return median(ours, "cpu") / median(theirs, "cpu")


def median(runs: Sequence[Run], what: str) -> float:
    """The median of a measure."""
    return statistics.median(getattr(r, what) for r in runs)


def figures(runs: Sequence[Run]) -> dict[tuple[str, str, str], Spread]:
    """Return the CPU seconds of each job, engine and way that was measured."""
    found = {}
    for job, engine, way in product(JOBS, TARGETS, WAYS):
        if seconds := [r.cpu for r in runs if (r.engine, r.job, r.way) == (engine, job, way)]:
            found[job, engine, way] = Spread(statistics.median(seconds), min(seconds), max(seconds))
    return found


def main() -> None:
    """Measure what is missing, and write the table and the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listens", type=int, default=SIZE)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--engines", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--jobs", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.one:
        print(json.dumps(asdict(measure(*told.one))))
        return
    folder = data_folder() / f"bench-{told.listens}"
    prepare(str(folder), told.listens)
    results = folder / "engines.jsonl"
    for engine, job, way in missing(kept(results), told.engines, told.jobs, told.runs, told.ways):
        run = fresh(engine, job, way, str(folder))
        with results.open("a") as file:
            file.write(json.dumps(asdict(run)) + "\n")
        memory = f"{run.memory / 1e9:5.2f} GB"
        print(f"{engine:7} {job:9} {way:9} {run.cpu:8.1f} CPU s {run.wall:8.1f} s {memory}", flush=True)
    runs = kept(results)
    if wrong := [job for job in JOBS if len({json.dumps([r.rows, r.sums]) for r in runs if r.job == job}) > 1]:
        sys.exit(f"not all ways made the same rows: {', '.join(wrong)}")
    plot(figures(runs), folder / "engines.svg")
    (folder / "engines.md").write_text(table(runs) + "\n")
    print(f"\n{table(runs)}\n\nkept in {folder}: engines.md, engines.svg")


if __name__ == "__main__":
    main()
