"""What a kill may leave behind and what it must not."""

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
    """Files of tables that no commit names: whole ones were written to the end, torn ones were not."""

    whole: int
    torn: int

    def __bool__(self) -> bool:
        return bool(self.whole or self.torn)


def files(lake: Path) -> tuple[set[Path], set[Path]]:
    """The data files that lie in the tables of a lake, and those that any commit has ever added to them."""
    lying = {p for p in lake.glob("*/*/**/*.parquet") if "_delta_log" not in p.parts}
    named: set[Path] = set()
    for log in lake.glob("*/*/_delta_log"):
        for commit in log.iterdir():
            if COMMIT.fullmatch(commit.name):
                actions = (json.loads(line) for line in commit.read_text().splitlines())
                named |= {log.parent / a["add"]["path"] for a in actions if "add" in a}
    return lying, named


def orphans(lake: Path) -> Orphans:
    """The files that a kill left before they were committed."""
    lying, named = files(lake)
    torn = sum(map(_torn, lying - named))
    return Orphans(len(lying - named) - torn, torn)


def unreadable(lake: Path, chains: Sequence[Sequence[Unit]], before: State, after: State) -> list[str]:
    """The tables that cannot be opened, and commits that can be seen in part or out of their order."""
    try:
        now = state(lake, {t: rows.schema for t, rows in after.items()})
    except Exception as error:
        return [f"cannot be read: {error!r}"]
    found: list[str] = []
    for chain in chains:
        done = []
        for unit in chain:
            rows = unit.of(now)
            if rows.equals(unit.of(after)):
                done.append(True)
            elif rows.equals(unit.of(before)):
                done.append(False)
            else:
                found.append(f"{unit} is neither as it was nor as it is to be: {len(rows)} rows")
        if any(later and not earlier for earlier, later in pairwise(done)):
            found.append(f"commits are missing among later ones: {done} of {chain}")
    return found


def wrong(lake: Path, after: State) -> list[str]:
    """The tables that are not as a calm run leaves them."""
    try:
        now = state(lake, {t: rows.schema for t, rows in after.items()})
    except Exception as error:
        return [f"cannot be read after the rerun: {error!r}"]
    other = [t for t, rows in after.items() if not now[t].equals(rows)]
    return [f"{t} has {len(now[t])} rows and not the {len(after[t])} of a calm run" for t in other]


def unswept(lake: Path) -> list[str]:
    """What is left or lost once every table was vacuumed and no job runs."""
    vacuum(lake)
    lying, named = files(lake)
    left = [f"{p} is left by vacuum" for p in sorted({*(lying - named), *lake.glob("*/*/_leases/*")})]
    return left + [f"{p} is lost" for p in sorted(named - lying)]


def vacuum(lake: Path) -> int:
    """Vacuum every table there is; the number of files removed."""
    tables = Lake(lake)
    return sum(tables.vacuum(table, keep_days=30).files for table in tables.tables())


def _torn(path: Path) -> bool:
    try:
        pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError):
        return True
    return False
