"""What a day of a backfill costs early and late in a year: `python -m tests.benchmarks.backfill`.

A year of a few of the sandbox's listeners is imported, file by file. Then its days are made: in chunks, as
`make backfill` makes them, and on a copy one by one around day 10 and day 365, in chunks between. CPU seconds are those
of the process that makes all runs of an engine, Dagster's own among them; its start and two runs over days without
listens come before the first measurement.
"""

import argparse
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from resources.sandbox import world

if TYPE_CHECKING:
    from orchestration.runner import Runner

FIRST, LISTENERS = date(2023, 1, 2), 20
SIZE = 30  # days in a chunk; one of them is made twice
DAYS = 13 * (SIZE - 1) - 2  # so that with a day more on either side every chunk is whole; day 365 is in the last
EARLY, LATE = range(5, 15), range(356, 366)  # about day 10 and up to day 365: one by one
ENVIRONMENTS = {"pandas": "laptop", "duckdb": "workstation"}
EXPECTED = 1.2  # what a day may cost late in the year, against early


@dataclass(frozen=True)
class Cost:
    """A stretch of days: CPU seconds and Dagster's bytes for each of them."""

    first: int
    last: int
    cpu: float
    stored: float


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engines", nargs="+", choices=ENVIRONMENTS, default=list(ENVIRONMENTS))
    asked = parser.parse_args()
    chunks: dict[str, list[Cost]] = {}
    singles: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder, "template")
        world.write(template / "landing", first_day=FIRST, days=DAYS, listeners=LISTENERS)
        _apart(imported, "laptop", template)
        for engine in asked.engines:
            for work, found in ((by_chunk, chunks), (one_by_one, singles)):
                shutil.copytree(template, data := Path(folder, engine))
                found[engine] = _apart(work, ENVIRONMENTS[engine], data)
                shutil.rmtree(data)
    print(f"CPU seconds and Dagster's bytes for a day; {LISTENERS} listeners")
    for title, costs, beside in ((f"Chunks of {SIZE} days", chunks, 3), ("One by one", singles, len(EARLY))):
        print("\n".join(_table(title, costs, beside)))


def imported() -> list[Cost]:
    """The catalogue and the year's files taken in."""
    runner = _runner()
    runner.run("content")
    runner.run("import_listens", config={"imports": {"config": {}}})
    return []


def by_chunk() -> list[Cost]:
    """Every day of the year, in the chunks of a backfill."""
    from orchestration.backfill import plan

    runner, day, found = _runner(), 0, []
    for part in plan(runner.defs, FIRST, FIRST + timedelta(days=DAYS - 1), SIZE, "", datetime.now(UTC).date()):
        if part.job == "daily":
            assert part.keys
            found.append(_made(runner, day, part.days, part.keys))
            day += part.days
    return found


def one_by_one() -> list[Cost]:
    """Days as a service makes them, each with the day before; those between in chunks."""
    runner, found = _runner(), []
    days = [*EARLY, *LATE]
    chunks = [(1, EARLY[0] - 1), *((d, min(d + SIZE, LATE[0]) - 1) for d in range(EARLY[-1] + 1, LATE[0], SIZE))]
    for first, last in sorted([*((d, d) for d in days), *chunks]):
        start, end = (FIRST + timedelta(days=n) for n in (first - 2, last - 1))
        cost = _made(runner, first, last - first + 1, dg.PartitionKeyRange(start.isoformat(), end.isoformat()))
        found += [cost] if first in days else []
    return found


def _made(runner: "Runner", first: int, days: int, keys: dg.PartitionKeyRange) -> Cost:
    """A run over some days, measured."""
    cpu, stored = time.process_time(), _stored()
    runner.run("daily", keys)
    return Cost(first, first + days - 1, (time.process_time() - cpu) / days, (_stored() - stored) / days)


def _runner() -> "Runner":
    """The platform in this process, its libraries loaded by two runs over days on which nobody listened."""
    from orchestration.home import dagster_home
    from orchestration.runner import Runner

    dagster_home()
    runner = Runner(brief=True)
    for _ in range(2):
        runner.run("daily", dg.PartitionKeyRange("2010-01-01", "2010-01-02"))
    return runner


def _stored() -> int:
    """The bytes of Dagster's own records."""
    return sum(f.stat().st_size for f in Path(os.environ["DAGSTER_HOME"]).rglob("*") if f.is_file())


def _apart(work: Callable[[], list[Cost]], environment: str, data: Path) -> list[Cost]:
    """Do some work in a process of its own, in an environment and on a data folder."""
    os.environ |= {"TUTTI_ENV": environment, "TUTTI_DATA": str(data), "DAGSTER_HOME": str(data / "dagster")}
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work).result()


def _table(title: str, costs: Mapping[str, Sequence[Cost]], beside: int) -> Iterator[str]:
    """A line for each stretch of days, and the median of so many late ones as a multiple of that of early ones."""
    yield f"\n| {title} | {' | '.join(f'{e}, CPU s | {e}, kB' for e in costs)} |"
    yield f"|---|{'---:|' * 2 * len(costs)}"
    for row in zip(*costs.values(), strict=True):
        told = " | ".join(f"{c.cpu:.3f} | {c.stored / 1000:,.0f}" for c in row)
        yield f"| {row[0].first} to {row[0].last} | {told} |"
    ratios = []
    for found in costs.values():
        early, late = (statistics.median(c.cpu for c in part) for part in (found[:beside], found[-beside:]))
        ratios.append(late / early)
    told = " | ".join(f"{r:.2f} {'flat' if r <= EXPECTED else 'GROWS'} | " for r in ratios)
    yield f"| late / early | {told} |"


if __name__ == "__main__":
    main()
