"""Measure a day of a backfill early and late in a year: `python -m tests.benchmarks.backfill`.

The benchmark imports a year of a few sandbox listeners and materializes its days in the chunks of `make backfill`. Then
two lakes, one with the first days and one with the whole year, alternate so that load on the machine affects both. Each
materializes chunks, and single days like a service. CPU seconds are those of the process that executes all runs of a
lake, including Dagster's own work. Process start and two runs over empty days are excluded.
"""

import argparse
import math
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from resources.sandbox import world

if TYPE_CHECKING:
    from orchestration.cli.runner import Runner

FIRST, LISTENERS = date(2023, 1, 2), 20
CHUNK_DAYS = 30
YEAR_DAYS = 365
ENVIRONMENTS = {"pandas": "laptop", "duckdb": "workstation"}
MAX_RATIO = 1.2  # of a day's cost late in the year to early
TIMES = 5  # measured chunks per lake, and half the number of single days


@dataclass(frozen=True)
class Cost:
    """A range of days with the CPU seconds and bytes of Dagster's storage per day."""

    first: int
    last: int
    cpu: float
    stored: float


class Service:
    """A lake and the process that materializes its days."""

    def __init__(self, engine: str, data: Path) -> None:
        settings = {
            "TUTTI_ENV": ENVIRONMENTS[engine],
            "TUTTI_DATA_DIR": str(data),
            "DAGSTER_HOME": str(data / "dagster"),
        }
        self._process = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _settle, (settings,))

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.shutdown()

    def import_year(self) -> None:
        """Build the catalog and import the year's files."""
        self._process.submit(import_year).result()

    def materialize(self, first: int, last: int) -> Cost:
        """Materialize days of the year, counted from 1, in one run."""
        return self._process.submit(materialize, first, last).result()


def main() -> None:
    """Measure backfills and print tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engines", nargs="+", choices=ENVIRONMENTS, default=list(ENVIRONMENTS))
    options = parser.parse_args()
    tables = [f"CPU seconds and Dagster's bytes for a day; {LISTENERS} listeners"]
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder, "template")
        world.write(template / "landing", first_day=FIRST, days=YEAR_DAYS, listeners=LISTENERS)
        with Service("pandas", template) as service:
            service.import_year()
        for engine in options.engines:
            for name in ("early", "late"):
                shutil.copytree(template, Path(folder, name))
            with Service(engine, Path(folder, "early")) as early, Service(engine, Path(folder, "late")) as late:
                tables += _measured(engine, early, late)
            for name in ("early", "late"):
                shutil.rmtree(Path(folder, name))
    print("\n".join(tables))


def _measured(engine: str, early: Service, late: Service) -> Iterator[str]:
    """Measure the lakes' days and yield the lines of the tables."""
    chunks = [(day, min(day + CHUNK_DAYS - 1, YEAR_DAYS)) for day in range(1, YEAR_DAYS + 1, CHUNK_DAYS)]
    year = [late.materialize(*chunk) for chunk in chunks]
    yield f"\n| {engine}, days | CPU s | kB |\n|---|---:|---:|"
    yield from (f"| {c.first} to {c.last} | {c.cpu:.3f} | {c.stored / 1000:,.0f} |" for c in year)
    yield f"\n| {engine}, in turns | early, CPU s | late, CPU s | late / early | |\n|---|---:|---:|---:|---|"
    together = [
        (early.materialize(1, CHUNK_DAYS), late.materialize(YEAR_DAYS - CHUNK_DAYS + 1, YEAR_DAYS))
        for _ in range(TIMES)
    ]
    yield _compared(f"{CHUNK_DAYS} days to day {CHUNK_DAYS} and to day {YEAR_DAYS}", together)
    single = [
        (early.materialize(n, n), late.materialize(YEAR_DAYS - CHUNK_DAYS + n, YEAR_DAYS - CHUNK_DAYS + n))
        for n in range(CHUNK_DAYS - 2 * TIMES, CHUNK_DAYS)
    ]
    yield _compared("one day, each with the day before", single)


def _compared(name: str, costs: Sequence[tuple[Cost, Cost]]) -> str:
    """Format a line with the medians of both lakes."""
    early, late = (statistics.median(c.cpu for c in lake) for lake in zip(*costs, strict=True))
    verdict = "flat" if late / early <= MAX_RATIO else "GROWS"
    return f"| {name} | {early:.3f} | {late:.3f} | {late / early:.2f} | {verdict} |"


def _settle(settings: dict[str, str]) -> None:
    os.environ.update(settings)


def import_year() -> None:
    """Build the catalog and import the year's files."""
    runner = _runner()
    runner.run("build_catalog")
    runner.run("import_listens", config={"imports": {"config": {}}})


def materialize(first: int, last: int) -> Cost:
    """Run and measure some days of the year and the day before them."""
    runner = _runner()
    start, end = (FIRST + timedelta(days=n) for n in (first - 2, last - 1))
    cpu, stored, days = time.process_time(), _stored(), last - first + 1
    runner.run("daily", dg.PartitionKeyRange(start.isoformat(), end.isoformat()))
    return Cost(first, last, (time.process_time() - cpu) / days, (_stored() - stored) / days)


@cache
def _runner() -> "Runner":
    """Start the platform in this process and load its libraries by two runs over empty days."""
    from orchestration.cli.runner import Runner
    from orchestration.instance.home import dagster_home

    dagster_home()
    runner = Runner(patience_s=math.inf)
    for _ in range(2):
        runner.run("daily", dg.PartitionKeyRange("2010-01-01", "2010-01-02"))
    return runner


def _stored() -> int:
    """Return the size of Dagster's storage in bytes."""
    return sum(f.stat().st_size for f in Path(os.environ["DAGSTER_HOME"]).rglob("*") if f.is_file())


if __name__ == "__main__":
    main()
