"""Check what a kill leaves in a lake: orphan files are allowed, broken or wrong tables are not."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from resources.lake.lake import Lake
from tests.chaos.work import State, Unit, state

COMMIT = re.compile(r"\d{20}\.json")


@dataclass(frozen=True)
class Orphans:
    """Numbers of data files that no commit refers to, by whether they were written completely."""

    complete: int
    truncated: int

    def __bool__(self) -> bool:
        return bool(self.complete or self.truncated)


def files(lake: Path) -> tuple[set[Path], set[Path]]:
    """Return the data files in a lake's table folders, and the data files that any commit has added."""
    stored = {p for p in lake.glob("*/*/**/*.parquet") if "_delta_log" not in p.parts}
    committed: set[Path] = set()
    for log in lake.glob("*/*/_delta_log"):
        for commit in log.iterdir():
            if COMMIT.fullmatch(commit.name):
                actions = (json.loads(line) for line in commit.read_text().splitlines())
                committed |= {log.parent / a["add"]["path"] for a in actions if "add" in a}
    return stored, committed


def orphans(lake: Path) -> Orphans:
    """Count the files that a kill left uncommitted."""
    stored, committed = files(lake)
    truncated = sum(map(_is_truncated, stored - committed))
    return Orphans(len(stored - committed) - truncated, truncated)


def unreadable(lake: Path, chains: Sequence[Sequence[Unit]], before: State, after: State) -> list[str]:
    """Return the tables that cannot be read, and commits that are partial or out of order."""
    try:
        now = state(lake, {t: rows.schema for t, rows in after.items()})
    except Exception as error:
        return [f"cannot be read: {error!r}"]
    problems: list[str] = []
    for chain in chains:
        done = []
        for unit in chain:
            rows = unit.of(now)
            if rows.equals(unit.of(after)):
                done.append(True)
            elif rows.equals(unit.of(before)):
                done.append(False)
            else:
                problems.append(f"{unit} has neither its old nor its new rows: {len(rows)} rows")
        if any(later and not earlier for earlier, later in pairwise(done)):
            problems.append(f"an earlier commit is missing: {done} of {chain}")
    return problems


def wrong(lake: Path, after: State) -> list[str]:
    """Return the tables that differ from an undisturbed run."""
    try:
        now = state(lake, {t: rows.schema for t, rows in after.items()})
    except Exception as error:
        return [f"cannot be read after the rerun: {error!r}"]
    different = [t for t, rows in after.items() if not now[t].equals(rows)]
    return [f"{t} has {len(now[t])} rows and differs from the {len(after[t])} of an undisturbed run" for t in different]


def not_vacuumed(lake: Path) -> list[str]:
    """Vacuum every table while no job runs, and return the orphan files that remain and the committed files lost."""
    vacuum(lake)
    stored, committed = files(lake)
    remaining = [f"vacuum did not remove {p}" for p in sorted({*(stored - committed), *lake.glob("*/*/_leases/*")})]
    return remaining + [f"{p} is lost" for p in sorted(committed - stored)]


def vacuum(lake: Path) -> int:
    """Vacuum every table, and return the number of files removed."""
    tables = Lake(lake)
    return sum(tables.vacuum(table, keep_days=30).files for table in tables.tables())


def _is_truncated(path: Path) -> bool:
    try:
        pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError):
        return True
    return False
