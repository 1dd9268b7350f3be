"""Races: processes that replace days of one table concurrently, while others read and vacuum it."""

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa

from resources.frames.filters import RangeFilter
from resources.lake.lake import Lake
from resources.schema import column
from tests.chaos import damage
from tests.tables import LEAP

EVENTS = pa.schema(
    [
        column("day", pa.date32(), "UTC day"),
        column("turn", pa.int64(), "version of the day, counted by its writer"),
        column("n", pa.int64(), "row number within the version"),
    ]
)
TABLE = "events/things"
WRITERS = 4
DAYS = 3  # per writer; no day has two writers
ROWS = 50  # per version of a day
ORDER = ("day", "n")


@dataclass
class RaceResult:
    """The counts and faults of a race."""

    commits: int = 0
    reads: int = 0
    vacuums: int = 0
    faults: list[str] = field(default_factory=list)


def race(lake: Path, commits: int) -> RaceResult:
    """Replace days `commits` times in total, from WRITERS processes, with a concurrent reader and vacuum."""
    result, done, turns = RaceResult(), threading.Event(), commits // WRITERS
    all_days = [day for w in range(WRITERS) for day in _days(w)]
    first = Lake(lake).replace(TABLE, iter([_version(d, -1) for d in all_days]), EVENTS, order=ORDER).version
    # Spawn, because delta-rs does not survive a fork.
    with (
        ProcessPoolExecutor(WRITERS, multiprocessing.get_context("spawn")) as processes,
        ThreadPoolExecutor(1) as threads,
    ):
        writers = [processes.submit(write, lake, w, turns) for w in range(WRITERS)]
        vacuuming = threads.submit(_vacuum_repeatedly, lake, done)
        newest = dict.fromkeys(all_days, -1)
        try:
            while not all(w.done() for w in writers):
                result.faults += _read(lake, newest)
                result.reads += 1
        finally:
            done.set()
        versions = sorted(v for w in writers for v in w.result())
        result.vacuums = vacuuming.result()
    result.commits = len(versions)
    if versions != list(range(first + 1, first + 1 + result.commits)):
        result.faults.append(f"{result.commits} commits gave other versions: {versions}")
    result.faults += _read(lake, newest)
    last = {day: max(range(d, turns, DAYS), default=-1) for w in range(WRITERS) for d, day in enumerate(_days(w))}
    result.faults += [
        f"{d} has version {newest[d]} instead of the last, {t}" for d, t in last.items() if newest[d] != t
    ]
    result.faults += damage.not_vacuumed(lake)
    return result


def write(lake: Path, writer: int, turns: int) -> list[int]:
    """Replace the writer's days in turn, and return the table version of each commit."""
    tables, days, versions = Lake(lake), _days(writer), []
    for turn in range(turns):
        day = days[turn % DAYS]
        rows, of_day = iter([_version(day, turn)]), RangeFilter("day", day, day)
        versions.append(tables.replace(TABLE, rows, EVENTS, of_day, ORDER).version)
    return versions


def _read(lake: Path, newest: dict[date, int]) -> list[str]:
    """Read the table once. Each day must have one complete version, not older than the last one read."""
    rows = Lake(lake).scan(TABLE, EVENTS).table()
    counts = rows.group_by("day").aggregate([("turn", "min"), ("turn", "max"), ("n", "count_distinct"), ("n", "count")])
    by_day = {r["day"]: r for r in counts.to_pylist()}
    faults = []
    for day, turn in newest.items():
        r = by_day.get(day)
        if r is None or r["turn_min"] != r["turn_max"] or {r["n_count"], r["n_count_distinct"]} != {ROWS}:
            faults.append(f"{day} is incomplete: {r}")
        elif r["turn_min"] < turn:
            faults.append(f"{day} is older than version {turn}: {r}")
        else:
            newest[day] = r["turn_min"]
    return faults


def _vacuum_repeatedly(lake: Path, done: threading.Event) -> int:
    """Vacuum until `done` is set, and return how often."""
    count = 0
    while not done.is_set():
        damage.vacuum(lake)
        count += 1
    return count


def _days(writer: int) -> list[date]:
    """Return the days of a writer, interleaved with those of the others."""
    return [LEAP + timedelta(days=writer + WRITERS * d) for d in range(DAYS)]


def _version(day: date, turn: int) -> pa.Table:
    """Return the rows of one version of a day."""
    return pa.Table.from_pylist([{"day": day, "turn": turn, "n": n} for n in range(ROWS)], EVENTS)
