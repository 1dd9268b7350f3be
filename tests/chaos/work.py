"""The work that is interrupted: each round takes every table from one known state to another.

This module defines the expected states. `task.py` does the work, and `storm.py` kills it.
"""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from assets.events.imports import IMPORTS, QUARANTINE
from assets.imports.batch import import_landed
from assets.imports.ledger import ignore_days
from resources.engines.pandas import PandasEngine
from resources.folders.landing import Landing
from resources.frames.filters import RangeFilter
from resources.lake.lake import Lake
from tests.chaos import export, history
from tests.chaos.task import (
    COMPUTED_TABLES,
    DAYS,
    LISTENS_TABLE,
    NOW,
    RAW_TABLE,
    SCHEMAS,
    Span,
    dates,
    import_file,
    replace_days,
)
from tests.tables import many_raw_listens

State = Mapping[str, pa.Table]
LISTENERS = 4  # imported one after the other into a lake, before the next lake starts empty
RUN_COLUMNS = ("imported_at", "seen_at")  # these differ between runs


@dataclass(frozen=True)
class Unit:
    """The rows that one commit replaces: a table, or a slice of it."""

    table: str
    date_range: RangeFilter | None = None

    def of(self, state: State) -> pa.Table:
        """Return the rows that the commit replaces."""
        rows = state[self.table]
        if self.date_range is None:
            return rows
        column = rows[self.date_range.column]
        return rows.filter(
            pc.and_(pc.greater_equal(column, self.date_range.first), pc.less_equal(column, self.date_range.last))
        )


IMPORTED = [Unit(RAW_TABLE), Unit("events/quarantine"), Unit("events/imports")]


class Work(ABC):
    """Rounds of work on tables. `chains` are a round's commits. Within a chain they are ordered."""

    chains: Sequence[Sequence[Unit]]

    @abstractmethod
    def prepare(self, n: int) -> Path:
        """Prepare the start of round `n`, and return the folder of its lake."""

    @abstractmethod
    def task(self, n: int) -> dict[str, Any]:
        """Return the task for a victim."""

    @abstractmethod
    def before(self, n: int) -> State:
        """Return every table at the start of round `n`."""

    @abstractmethod
    def after(self, n: int) -> State:
        """Return every table at the end of round `n`, from an undisturbed run."""

    def other_damage(self, n: int) -> list[str]:
        """Return faults outside the tables."""
        return []


class Days(Work):
    """Days computed from raw listens, or from listens, repeatedly in one lake.

    The rounds alternate between two inputs whose rows all differ.
    """

    def __init__(self, folder: Path, spans: Sequence[Span], rows: int = 18_000, source: str = RAW_TABLE) -> None:
        self._lake, self._spans, self._source = folder / "lake", spans, source
        self._computed = [table for table in COMPUTED_TABLES if table != source]
        self.chains = ([Unit(table, RangeFilter("day", *dates(span))) for table in self._computed for span in spans],)
        self._inputs = [many_raw_listens(rows, users=50, days=DAYS, seed=seed) for seed in (1, 2)]
        if source == LISTENS_TABLE:
            self._inputs = [_listens(folder / "listens", raw) for raw in self._inputs]
        self._states: list[State] = []

    def prepare(self, n: int) -> Path:
        for rows in self._inputs if not self._states else []:
            self._write_source(rows)
            replace_days(PandasEngine(), self._lake, self._spans, self._computed)
            self._states.append(state(self._lake, {t: SCHEMAS[t] for t in self._computed}))
        self._write_source(self._inputs[n % 2])
        return self._lake

    def task(self, n: int) -> dict[str, Any]:
        return {"task": "days", "lake": str(self._lake), "spans": self._spans, "table_names": self._computed}

    def before(self, n: int) -> State:
        return self._states[1 - n % 2]

    def after(self, n: int) -> State:
        return self._states[n % 2]

    def _write_source(self, rows: pa.Table) -> None:
        Lake(self._lake).replace(self._source, iter([rows]), SCHEMAS[self._source], order=["day"])


class Imports(Work):
    """An export of several megabytes, imported for one listener after the other."""

    chains = (IMPORTED,)

    def __init__(self, folder: Path, records: int = 8_000) -> None:
        self._folder = folder
        self._file = str(export.write(folder / "my_spotify_data.zip", records, days=300))
        self._states: list[State] = []

    def prepare(self, n: int) -> Path:
        if not self._states:
            schemas = dict(zip((u.table for u in IMPORTED), (SCHEMAS[RAW_TABLE], QUARANTINE, IMPORTS), strict=True))
            undisturbed = self._folder / "undisturbed"
            self._states.append(state(undisturbed, schemas))
            for listener in range(LISTENERS):
                import_file(PandasEngine(), undisturbed, self._file, f"listener {listener}")
                self._states.append(state(undisturbed, schemas))
        return self._lake(n)

    def task(self, n: int) -> dict[str, Any]:
        return {
            "task": "import",
            "lake": str(self._lake(n)),
            "file": self._file,
            "listener": f"listener {n % LISTENERS}",
        }

    def before(self, n: int) -> State:
        return self._states[n % LISTENERS]

    def after(self, n: int) -> State:
        return self._states[n % LISTENERS + 1]

    def _lake(self, n: int) -> Path:
        return self._folder / f"lake-{n // LISTENERS}"


class Commands(Work):
    """`python -m orchestration import` into a new lake, with all downstream tables.

    The first round is the undisturbed run that the others are compared with.
    """

    chains = ()

    def __init__(self, folder: Path, records: int = 2_000) -> None:
        self._folder = folder
        self._file = str(export.write(folder / "my_spotify_data.zip", records, days=10))
        self._expected: State = {}

    def prepare(self, n: int) -> Path:
        return self._data(n) / "lake"

    def task(self, n: int) -> dict[str, Any]:
        return {"data": str(self._data(n)), "file": self._file, "environment": ("laptop", "workstation")[n % 2]}

    def before(self, n: int) -> State:
        return {t: rows.slice(0, 0) for t, rows in self._expected.items()}

    def after(self, n: int) -> State:
        if not self._expected:
            lake = self._data(0) / "lake"
            self._expected = state(lake, {t: _columns(lake, t) for t in Lake(lake).tables()})
            self.chains = (IMPORTED, *([Unit(t)] for t in self._expected if Unit(t) not in IMPORTED))
        return self._expected

    def other_damage(self, n: int) -> list[str]:
        return history.faults(self._data(n) / "dagster")

    def _data(self, n: int) -> Path:
        return self._folder / f"data-{n}"


class Landings(Work):
    """Landed files, streamed into a new lake in several micro-batches. The reference is an import."""

    chains = ()

    def __init__(self, folder: Path, files: int = 3, records: int = 300) -> None:
        self._folder, self._files, self._records = folder, files, records
        self._after: State = {}

    def prepare(self, n: int) -> Path:
        for data in [self._data(n)] if self._after else [self._data(n), self._folder / "undisturbed"]:
            self._land(data / "landing" / "listens")
        if not self._after:
            landing, lake = (
                Landing(root=str(self._folder / "undisturbed" / "landing")),
                self._folder / "undisturbed" / "lake",
            )
            files = sorted(landing.list_files("listens"), key=lambda f: f.modified)
            list(import_landed(landing, files, None, Lake(lake), NOW, ignore_days, print))
            self._after = state(lake, {t: _columns(lake, t) for t in Lake(lake).tables()})
        return self._data(n) / "lake"

    def task(self, n: int) -> dict[str, Any]:
        return {"task": "stream", "data": str(self._data(n))}

    def before(self, n: int) -> State:
        return {t: rows.slice(0, 0) for t, rows in self._after.items()}

    def after(self, n: int) -> State:
        return self._after

    def _data(self, n: int) -> Path:
        return self._folder / f"data-{n}"

    def _land(self, folder: Path) -> None:
        """Write files of several listeners, one of them twice, and one unsupported file."""
        folder.mkdir(parents=True)
        for n in range(self._files):
            lines = (
                {
                    "listened_at": 1_700_000_000 + 200 * k if k % 50 else "soon",
                    "user_name": f"listener {n}",
                    "track_metadata": {"artist_name": "Artist", "track_name": f"Song {k}"},
                }
                for k in range(self._records)
            )
            (folder / f"{n}.jsonl").write_text("\n".join(map(json.dumps, lines)))
        (folder / f"{self._files}.jsonl").write_bytes((folder / "0.jsonl").read_bytes())
        (folder / "postcard").write_text("wish you were here")
        for n, path in enumerate(sorted(folder.iterdir())):
            os.utime(path, (1_700_000_000 + n, 1_700_000_000 + n))


def _listens(lake: Path, raw: pa.Table) -> pa.Table:
    """Compute listens from raw listens."""
    Lake(lake).replace(RAW_TABLE, iter([raw]), SCHEMAS[RAW_TABLE], order=["day"])
    replace_days(PandasEngine(), lake, [(0, DAYS - 1)], [LISTENS_TABLE])
    return Lake(lake).scan(LISTENS_TABLE, SCHEMAS[LISTENS_TABLE]).table()


def state(lake: Path, schemas: Mapping[str, pa.Schema]) -> State:
    """Read the newest version of tables, with sorted rows."""
    return {table: _sorted(Lake(lake).scan(table, schema).table()) for table, schema in schemas.items()}


def _sorted(rows: pa.Table) -> pa.Table:
    """Sort rows by all columns except lists, which have no order."""
    return rows.sort_by([(f.name, "ascending") for f in rows.schema if not pa.types.is_list(f.type)])


def _columns(lake: Path, table: str) -> pa.Schema:
    """Return the schema of a table without the columns that differ between runs."""
    from deltalake import DeltaTable

    schema = pa.schema(DeltaTable(str(lake / table)).schema().to_arrow())
    return pa.schema([f for f in schema if f.name not in RUN_COLUMNS])
