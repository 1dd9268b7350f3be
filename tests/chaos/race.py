"""Races: many processes replacing days of one table at once, while others read and vacuum it."""

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
        column("turn", pa.int64(), "which version of the day, by its writer's count"),
        column("n", pa.int64(), "row of the version"),
    ]
)
TABLE = "events/things"
WRITERS = 4
DAYS = 3  # of each writer; none is another's
ROWS = 50  # of a day in every version
ORDER = ("day", "n")


@dataclass
class Race:
    """What came of a race."""

    commits: int = 0
    reads: int = 0
    vacuums: int = 0
    faults: list[str] = field(default_factory=list)


def race(lake: Path, commits: int) -> Race:
    """Replace days `commits` times in all, from as many processes as writers, with a reader and vacuum beside them."""
    told, done, turns = Race(), threading.Event(), commits // WRITERS
    all_days = [day for w in range(WRITERS) for day in _days(w)]
    first = Lake(lake).replace(TABLE, iter([_version(d, -1) for d in all_days]), EVENTS, order=ORDER).version
    # Spawned, because what delta-rs holds does not survive a fork.
    with ProcessPoolExecutor(WRITERS, multiprocessing.get_context("spawn")) as processes, ThreadPoolExecutor(1) as near:
        writers = [processes.submit(write, lake, w, turns) for w in range(WRITERS)]
        sweeper = near.submit(_sweep, lake, done)
        newest = dict.fromkeys(all_days, -1)
        try:
            while not all(w.done() for w in writers):
                told.faults += _read(lake, newest)
                told.reads += 1
        finally:
            done.set()
        versions = sorted(v for w in writers for v in w.result())
        told.vacuums = sweeper.result()
    told.commits = len(versions)
    if versions != list(range(first + 1, first + 1 + told.commits)):
        told.faults.append(f"{told.commits} commits did not make {told.commits} versions: {versions}")
    told.faults += _read(lake, newest)
    last = {day: max(range(d, turns, DAYS), default=-1) for w in range(WRITERS) for d, day in enumerate(_days(w))}
    told.faults += [f"{d} is at version {newest[d]}, not at its last, {t}" for d, t in last.items() if newest[d] != t]
    told.faults += damage.unswept(lake)
    return told


def write(lake: Path, writer: int, turns: int) -> list[int]:
    """Replace the writer's days by turns; the version that each commit made."""
    tables, days, made = Lake(lake), _days(writer), []
    for turn in range(turns):
        day = days[turn % DAYS]
        rows, slice = iter([_version(day, turn)]), RangeFilter("day", day, day)
        made.append(tables.replace(TABLE, rows, EVENTS, slice, ORDER).version)
    return made


def _read(lake: Path, newest: dict[date, int]) -> list[str]:
    """Read the table once. Each day must be of one version, whole, and not older than the one seen before."""
    rows = Lake(lake).scan(TABLE, EVENTS).table()
    seen = rows.group_by("day").aggregate([("turn", "min"), ("turn", "max"), ("n", "count_distinct"), ("n", "count")])
    found = {r["day"]: r for r in seen.to_pylist()}
    faults = []
    for day, turn in newest.items():
        r = found.get(day)
        if r is None or r["turn_min"] != r["turn_max"] or {r["n_count"], r["n_count_distinct"]} != {ROWS}:
            faults.append(f"{day} was seen in part: {r}")
        elif r["turn_min"] < turn:
            faults.append(f"{day} went back from version {turn}: {r}")
        else:
            newest[day] = r["turn_min"]
    return faults


def _sweep(lake: Path, done: threading.Event) -> int:
    """Vacuum over and over; how often."""
    count = 0
    while not done.is_set():
        damage.vacuum(lake)
        count += 1
    return count


def _days(writer: int) -> list[date]:
    """The days of a writer, which lie between those of the others."""
    return [LEAP + timedelta(days=writer + WRITERS * d) for d in range(DAYS)]


def _version(day: date, turn: int) -> pa.Table:
    """The rows of one version of a day."""
    return pa.Table.from_pylist([{"day": day, "turn": turn, "n": n} for n in range(ROWS)], EVENTS)
