"""What a day of a backfill costs early and late in a year: `python -m tests.benchmarks.backfill`.

A year of a few of the sandbox's listeners is imported, file by file, and its days are made in the chunks of
`make backfill`. Then two lakes, one with the first days made and one with the whole year, make more of it in turns, so
that whatever else the machine does is shared: chunks, and single days as a service makes them. CPU seconds are those of
the process that makes all runs of a lake, Dagster's own among them; its start and two runs over days without listens
come before the first measurement.
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
SIZE = 30  # days in a chunk
YEAR = 365
ENVIRONMENTS = {"pandas": "laptop", "duckdb": "workstation"}
EXPECTED = 1.2  # what a day may cost late in the year, against early
TIMES = 5  # chunks made by each lake; and twice as many single days


@dataclass(frozen=True)
class Cost:
    """A stretch of days: CPU seconds and Dagster's bytes for each of them."""

    first: int
    last: int
    cpu: float
    stored: float


class Service:
    """A lake and the process that makes its days."""

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

    def take_in(self) -> None:
        """The catalog and the year's files."""
        self._process.submit(imported).result()

    def make(self, first: int, last: int) -> Cost:
        """Days of the year, counted from one, in a run."""
        return self._process.submit(made, first, last).result()


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engines", nargs="+", choices=ENVIRONMENTS, default=list(ENVIRONMENTS))
    asked = parser.parse_args()
    tables = [f"CPU seconds and Dagster's bytes for a day; {LISTENERS} listeners"]
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder, "template")
        world.write(template / "landing", first_day=FIRST, days=YEAR, listeners=LISTENERS)
        with Service("pandas", template) as service:
            service.take_in()
        for engine in asked.engines:
            for name in ("early", "late"):
                shutil.copytree(template, Path(folder, name))
            with Service(engine, Path(folder, "early")) as early, Service(engine, Path(folder, "late")) as late:
                tables += _measured(engine, early, late)
            for name in ("early", "late"):
                shutil.rmtree(Path(folder, name))
    print("\n".join(tables))


def _measured(engine: str, early: Service, late: Service) -> Iterator[str]:
    """What the lakes' days cost, as tables."""
    chunks = [(day, min(day + SIZE - 1, YEAR)) for day in range(1, YEAR + 1, SIZE)]
    year = [late.make(*chunk) for chunk in chunks]
    yield f"\n| {engine}, days | CPU s | kB |\n|---|---:|---:|"
    yield from (f"| {c.first} to {c.last} | {c.cpu:.3f} | {c.stored / 1000:,.0f} |" for c in year)
    yield f"\n| {engine}, in turns | early, CPU s | late, CPU s | late / early | |\n|---|---:|---:|---:|---|"
    together = [(early.make(1, SIZE), late.make(YEAR - SIZE + 1, YEAR)) for _ in range(TIMES)]
    yield _compared(f"{SIZE} days to day {SIZE} and to day {YEAR}", together)
    single = [(early.make(n, n), late.make(YEAR - SIZE + n, YEAR - SIZE + n)) for n in range(SIZE - 2 * TIMES, SIZE)]
    yield _compared("one day, each with the day before", single)


def _compared(what: str, costs: Sequence[tuple[Cost, Cost]]) -> str:
    """A line: the medians of both lakes."""
    early, late = (statistics.median(c.cpu for c in lake) for lake in zip(*costs, strict=True))
    told = "flat" if late / early <= EXPECTED else "GROWS"
    return f"| {what} | {early:.3f} | {late:.3f} | {late / early:.2f} | {told} |"


def _settle(settings: dict[str, str]) -> None:
    os.environ.update(settings)


def imported() -> None:
    """The catalog and the year's files taken in."""
    runner = _runner()
    runner.run("build_catalog")
    runner.run("import_listens", config={"imports": {"config": {}}})


def made(first: int, last: int) -> Cost:
    """A run over some days of the year, each of which also asks for the day before, measured."""
    runner = _runner()
    start, end = (FIRST + timedelta(days=n) for n in (first - 2, last - 1))
    cpu, stored, days = time.process_time(), _stored(), last - first + 1
    runner.run("daily", dg.PartitionKeyRange(start.isoformat(), end.isoformat()))
    return Cost(first, last, (time.process_time() - cpu) / days, (_stored() - stored) / days)


@cache
def _runner() -> "Runner":
    """The platform in this process, its libraries loaded by two runs over days on which nobody listened."""
    from orchestration.cli.runner import Runner
    from orchestration.instance.home import dagster_home

    dagster_home()
    runner = Runner(patience=math.inf)
    for _ in range(2):
        runner.run("daily", dg.PartitionKeyRange("2010-01-01", "2010-01-02"))
    return runner


def _stored() -> int:
    """The bytes of Dagster's own records."""
    return sum(f.stat().st_size for f in Path(os.environ["DAGSTER_HOME"]).rglob("*") if f.is_file())


if __name__ == "__main__":
    main()
