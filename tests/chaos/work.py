"""The work that storms interrupt: each round leads every table from one known state to another.

What belongs here is what must come of the work; how it is done belongs in `task.py`, who is killed in `storm.py`.
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
from assets.imports.ledger import untold
from resources.engines.pandas import PandasEngine
from resources.folders.landing import Landing
from resources.frames.filters import RangeFilter
from resources.lake.lake import Lake
from tests.chaos import export, history
from tests.chaos.task import DAYS, HEARD, MADE, NOW, RAW, SCHEMAS, Span, dates, import_file, replace_days
from tests.tables import many_raw_listens

State = Mapping[str, pa.Table]
LISTENERS = 4  # who import one after the other into one lake, before the next lake begins without a table
WHEN = ("imported_at", "seen_at")  # the columns that differ from run to run


@dataclass(frozen=True)
class Unit:
    """What one commit replaces: a table, or a slice of it."""

    table: str
    slice: RangeFilter | None = None

    def of(self, state: State) -> pa.Table:
        """The rows that the commit replaces."""
        rows = state[self.table]
        if self.slice is None:
            return rows
        column = rows[self.slice.column]
        return rows.filter(pc.and_(pc.greater_equal(column, self.slice.first), pc.less_equal(column, self.slice.last)))


IMPORTED = [Unit(RAW), Unit("events/quarantine"), Unit("events/imports")]


class Work(ABC):
    """Rounds of work on tables. `chains` are a round's commits, those of one chain in the order they are made."""

    chains: Sequence[Sequence[Unit]]

    @abstractmethod
    def prepare(self, n: int) -> Path:
        """Bring the world to where round `n` begins; the folder of its lake."""

    @abstractmethod
    def task(self, n: int) -> dict[str, Any]:
        """What a victim is told to do."""

    @abstractmethod
    def before(self, n: int) -> State:
        """Every table as round `n` finds it."""

    @abstractmethod
    def after(self, n: int) -> State:
        """Every table when the round is done, as a calm run leaves it."""

    def ruin(self, n: int) -> list[str]:
        """What is broken besides the tables."""
        return []


class Days(Work):
    """Days made of raw listens, or of listens, over and over in one lake.

    There are two kinds of them by turns, and every row tells of which it is.
    """

    def __init__(self, folder: Path, spans: Sequence[Span], rows: int = 18_000, given: str = RAW) -> None:
        self._lake, self._spans, self._given = folder / "lake", spans, given
        self._made = [table for table in MADE if table != given]
        self.chains = ([Unit(table, RangeFilter("day", *dates(span))) for table in self._made for span in spans],)
        self._kinds = [many_raw_listens(rows, users=50, days=DAYS, seed=seed) for seed in (1, 2)]
        if given == HEARD:
            self._kinds = [_listens(folder / "beforehand", raw) for raw in self._kinds]
        self._states: list[State] = []

    def prepare(self, n: int) -> Path:
        for rows in self._kinds if not self._states else []:
            self._hand_in(rows)
            replace_days(PandasEngine(), self._lake, self._spans, self._made)
            self._states.append(state(self._lake, {t: SCHEMAS[t] for t in self._made}))
        self._hand_in(self._kinds[n % 2])
        return self._lake

    def task(self, n: int) -> dict[str, Any]:
        return {"task": "days", "lake": str(self._lake), "spans": self._spans, "wanted": self._made}

    def before(self, n: int) -> State:
        return self._states[1 - n % 2]

    def after(self, n: int) -> State:
        return self._states[n % 2]

    def _hand_in(self, rows: pa.Table) -> None:
        Lake(self._lake).replace(self._given, iter([rows]), SCHEMAS[self._given], order=["day"])


class Imports(Work):
    """An export of several megabytes handed in for one listener after the other."""

    chains = (IMPORTED,)

    def __init__(self, folder: Path, records: int = 8_000) -> None:
        self._folder = folder
        self._file = str(export.write(folder / "my_spotify_data.zip", records, days=300))
        self._states: list[State] = []

    def prepare(self, n: int) -> Path:
        if not self._states:
            schemas = dict(zip((u.table for u in IMPORTED), (SCHEMAS[RAW], QUARANTINE, IMPORTS), strict=True))
            calm = self._folder / "calm"
            self._states.append(state(calm, schemas))
            for listener in range(LISTENERS):
                import_file(PandasEngine(), calm, self._file, f"listener {listener}")
                self._states.append(state(calm, schemas))
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
    """`python -m orchestration import` into a new lake: the import and all that follows, as a person runs it.

    The first round is the calm run that the others are compared with.
    """

    chains = ()

    def __init__(self, folder: Path, records: int = 2_000) -> None:
        self._folder = folder
        self._file = str(export.write(folder / "my_spotify_data.zip", records, days=10))
        self._made: State = {}

    def prepare(self, n: int) -> Path:
        return self._data(n) / "lake"

    def task(self, n: int) -> dict[str, Any]:
        return {"data": str(self._data(n)), "file": self._file, "environment": ("laptop", "workstation")[n % 2]}

    def before(self, n: int) -> State:
        return {t: rows.slice(0, 0) for t, rows in self._made.items()}

    def after(self, n: int) -> State:
        if not self._made:
            lake = self._data(0) / "lake"
            self._made = state(lake, {t: _columns(lake, t) for t in Lake(lake).tables()})
            self.chains = (IMPORTED, *([Unit(t)] for t in self._made if Unit(t) not in IMPORTED))
        return self._made

    def ruin(self, n: int) -> list[str]:
        return history.faults(self._data(n) / "dagster")

    def _data(self, n: int) -> Path:
        return self._folder / f"data-{n}"


class Landings(Work):
    """Files of the landing folder streamed into a new lake, in several micro-batches; compared with an import."""

    chains = ()

    def __init__(self, folder: Path, files: int = 3, records: int = 300) -> None:
        self._folder, self._files, self._records = folder, files, records
        self._after: State = {}

    def prepare(self, n: int) -> Path:
        for data in [self._data(n)] if self._after else [self._data(n), self._folder / "calm"]:
            self._land(data / "landing" / "listens")
        if not self._after:
            landing, lake = Landing(root=str(self._folder / "calm" / "landing")), self._folder / "calm" / "lake"
            files = sorted(landing.list_files("listens"), key=lambda f: f.modified)
            list(import_landed(landing, files, None, Lake(lake), NOW, untold, print))
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
        """Files of several listeners, of which one is there twice and one is no export."""
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
    """The listens of raw listens."""
    Lake(lake).replace(RAW, iter([raw]), SCHEMAS[RAW], order=["day"])
    replace_days(PandasEngine(), lake, [(0, DAYS - 1)], [HEARD])
    return Lake(lake).scan(HEARD, SCHEMAS[HEARD]).table()


def state(lake: Path, schemas: Mapping[str, pa.Schema]) -> State:
    """The newest version of tables, whole, their rows sorted."""
    return {table: _sorted(Lake(lake).scan(table, schema).table()) for table, schema in schemas.items()}


def _sorted(rows: pa.Table) -> pa.Table:
    """The rows in an order of their own, whatever order they lie in; lists have none, so they do not count."""
    return rows.sort_by([(f.name, "ascending") for f in rows.schema if not pa.types.is_list(f.type)])


def _columns(lake: Path, table: str) -> pa.Schema:
    """The columns of a table by which runs can be compared."""
    from deltalake import DeltaTable

    schema = pa.schema(DeltaTable(str(lake / table)).schema().to_arrow())
    return pa.schema([f for f in schema if f.name not in WHEN])
