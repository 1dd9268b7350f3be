"""Compare file layouts of tables: `python -m tests.benchmarks.layout`.

The data are fifteen years of one listener (5,475 days, 150,000 listens), as the three tables that charts are counted
from. For each layout, the benchmark lists and reads all rows, computes a chart on pandas, reads a day and replaces a
day. It prints wall seconds, with CPU seconds in brackets. The files are in the system's cache.
"""

import argparse
import statistics
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake

from assets.derived.charts import CHART, charts_all_time
from assets.derived.display_names import DISPLAY_NAMES
from assets.derived.recording_plays import ARTIST_PLAYS, RECORDING_PLAYS
from resources.engines.pandas import PandasEngine
from resources.frames.filters import RangeFilter
from resources.lake import write_transaction
from resources.lake.file_stats import bounds, files
from resources.lake.lake import Lake
from tests.benchmarks.meter import Cost, metered
from tests.transformations import work_of

FIRST, DAYS, LISTENS = date(2010, 1, 1), 5_475, 150_000
RECORDINGS, ARTISTS = 8_000, 1_500
ROUNDS = 5
SAMPLE_COMMITS = 20  # from which the cost of a whole history is estimated
SCHEMAS = {"plays": RECORDING_PLAYS, "artist_plays": ARTIST_PLAYS, "names": DISPLAY_NAMES}
ORDERS = {
    "plays": ("day", "user_id", "recording_id"),
    "artist_plays": ("day", "user_id", "artist_id"),
    "names": ("day", "entity", "entity_id"),
}
MAX_CHART_S = 3.0  # for the charts of all time on pandas, including listing and reading

History = Mapping[str, list[pa.Table]]  # rows of each table by day


class Layout(ABC):
    """A layout of tables on disk. `label` is its name in the report."""

    label: str
    every_commit = False  # whether plays are written commit by commit, or directly in their final layout

    def __init__(self, root: Path) -> None:
        self.root = root

    @abstractmethod
    def write(self, table: str, days: list[pa.Table]) -> None:
        """Write days in the layout that one commit per day leads to."""

    @abstractmethod
    def replace(self, table: str, rows: pa.Table) -> None:
        """Replace a day."""

    @abstractmethod
    def read(self, table: str, day: date | None = None) -> pa.Table:
        """List the files and read all rows, or those of a day."""

    def files(self) -> list[list[dict[str, Any]]]:
        """Return the files of each table's newest version."""
        return [files(DeltaTable(str(self.root / table))) for table in SCHEMAS]


class FolderADay(Layout):
    """Delta's partitions, written by Delta's writer."""

    label = "a folder a day"

    def write(self, table: str, days: list[pa.Table]) -> None:
        write_deltalake(str(self.root / table), pa.concat_tables(days), partition_by=["day"], mode="append")

    def replace(self, table: str, rows: pa.Table) -> None:
        day = rows["day"][0].as_py()
        write_deltalake(str(self.root / table), rows, mode="overwrite", predicate=f"day = DATE '{day}'")

    def read(self, table: str, day: date | None = None) -> pa.Table:
        dataset = DeltaTable(str(self.root / table)).to_pyarrow_dataset()
        return dataset.to_table(filter=None if day is None else pc.field("day") == pa.scalar(day)).cast(SCHEMAS[table])


class OwnLake(Layout):
    """The lake with one commit per day."""

    label = "ours, a commit a day"
    every_commit = True

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.lake = Lake(root)

    def write(self, table: str, days: list[pa.Table]) -> None:
        """Write plays day by day. The other tables get the same file boundaries in one commit."""
        if table == "plays":
            for rows in days:
                self.replace(table, rows)
            return
        with self.lake.writing(table, SCHEMAS[table], ORDERS[table]) as transaction, unmerged():
            for file in files(DeltaTable(str(self.root / "plays"))):
                first, last = ((day - FIRST).days for day in bounds(file, "day"))
                transaction.write(iter([pa.concat_tables(days[first : last + 1])]))
            transaction.publish(span(days))

    def replace(self, table: str, rows: pa.Table) -> None:
        self.lake.replace(table, iter([rows]), SCHEMAS[table], on(rows["day"][0].as_py()), ORDERS[table])

    def read(self, table: str, day: date | None = None) -> pa.Table:
        return self.lake.scan(table, SCHEMAS[table], None if day is None else on(day)).table()


class OwnLakeUnmerged(OwnLake):
    """The lake without compaction."""

    label = "ours before compaction: a file a day"
    every_commit = False

    def write(self, table: str, days: list[pa.Table]) -> None:
        with self.lake.writing(table, SCHEMAS[table], ORDERS[table]) as transaction, unmerged():
            for rows in days:
                transaction.write(iter([rows]))
            transaction.publish(span(days))

    def replace(self, table: str, rows: pa.Table) -> None:
        with unmerged():
            super().replace(table, rows)


class FolderAMonth(OwnLakeUnmerged):
    """One file per month. Replacing a day rewrites its month."""

    label = "a folder a month"

    def write(self, table: str, days: list[pa.Table]) -> None:
        months: dict[date, list[pa.Table]] = {}
        for rows in days:
            months.setdefault(rows["day"][0].as_py().replace(day=1), []).append(rows)
        super().write(table, [pa.concat_tables(month) for month in months.values()])

    def replace(self, table: str, rows: pa.Table) -> None:
        day = rows["day"][0].as_py()
        month = day.replace(day=1)
        in_month = RangeFilter("day", month, (month + timedelta(days=31)).replace(day=1) - timedelta(days=1))
        other_days = self.lake.scan(table, SCHEMAS[table], in_month).table().filter(pc.field("day") != pa.scalar(day))
        with unmerged():
            self.lake.replace(
                table,
                iter([pa.concat_tables([other_days.cast(rows.schema), rows])]),
                SCHEMAS[table],
                in_month,
                ORDERS[table],
            )


class OwnLakeAtOnce(OwnLake):
    """The lake after one import of the whole history."""

    label = "ours, imported at once"
    every_commit = False

    def write(self, table: str, days: list[pa.Table]) -> None:
        self.lake.replace(table, iter([pa.concat_tables(days)]), SCHEMAS[table], span(days), ORDERS[table])


LAYOUTS: tuple[type[Layout], ...] = (FolderADay, FolderAMonth, OwnLakeUnmerged, OwnLake, OwnLakeAtOnce)


@dataclass
class Measurement:
    """The number of files of a layout, the bytes of its data and log, and the median costs of operations."""

    files: int
    stored: int
    log: int
    read: Cost
    chart: Cost
    day: Cost
    replace: Cost
    history: Cost


def on(day: date) -> RangeFilter:
    """Select a day."""
    return RangeFilter("day", day, day)


def span(days: list[pa.Table]) -> RangeFilter:
    """Select all days from the first row to the last."""
    return RangeFilter("day", days[0]["day"][0].as_py(), days[-1]["day"][-1].as_py())


@contextmanager
def unmerged() -> Iterator[None]:
    """Disable compaction in commits."""
    with patch.object(write_transaction, "files_to_merge", return_value=[]):
        yield


def history(days: int, listens: int, seed: int = 7) -> History:
    """Generate one listener's plays per day, most of them of popular recordings."""
    generator = np.random.default_rng(seed)
    counts = 1 + generator.poisson(listens / days - 1, days)
    popular = 1 / np.arange(1, RECORDINGS + 1)
    played = generator.choice(RECORDINGS, counts.sum(), p=popular / popular.sum())
    artist_of = generator.integers(0, ARTISTS, RECORDINGS)
    ids = {"recording": _ids(RECORDINGS, 1), "artist": _ids(ARTISTS, 2)}
    tables: dict[str, list[pa.Table]] = {name: [] for name in SCHEMAS}
    for n, plays_of_day in enumerate(np.split(played, counts.cumsum()[:-1])):
        day, named = FIRST + timedelta(days=n), []
        by_entity = (("plays", "recording", plays_of_day), ("artist_plays", "artist", artist_of[plays_of_day]))
        for table, entity, numbers in by_entity:
            unique, plays = np.unique(numbers, return_counts=True)
            size, keys = len(unique), ids[entity].take(pa.array(unique))
            columns = [_all(day, size), _all("ada", size), keys, pa.array(plays), pa.array(plays * 200_000)]
            tables[table].append(pa.table(columns, schema=SCHEMAS[table]))
            named.append(pa.table([_all(day, size), _all(entity, size), keys, keys], schema=DISPLAY_NAMES))
        tables["names"].append(pa.concat_tables(named))
    return tables


def measure(layout: Layout, days: History) -> Measurement:
    """Write a history and measure operations on it."""
    count, half = len(days["plays"]), len(days["plays"]) // 2
    if layout.every_commit:
        with metered() as committed:
            layout.write("plays", days["plays"])
    else:  # the cost of a commit grows with the number of files, so commits in the middle cost the average
        layout.write("plays", days["plays"][:half])
        with metered() as sample:
            for rows in days["plays"][half : half + SAMPLE_COMMITS]:
                layout.replace("plays", rows)
        layout.write("plays", days["plays"][half + SAMPLE_COMMITS :])
        committed = Cost(sample.cpu * count / SAMPLE_COMMITS, sample.wall * count / SAMPLE_COMMITS)
    for table in SCHEMAS:
        if table != "plays":
            layout.write(table, days[table])
    listed = layout.files()
    stored = sum(sum(f["size_bytes"] for f in entries) for entries in listed)
    log = sum(p.stat().st_size for table in SCHEMAS for p in (layout.root / table / "_delta_log").iterdir())
    sample_days = np.random.default_rng(1).choice(count, 3 * ROUNDS, replace=False)
    to_replace, to_read = iter(sample_days[:ROUNDS]), iter(sample_days[ROUNDS:])
    return Measurement(
        sum(map(len, listed)),
        stored,
        log,
        read=median(lambda: [layout.read(table) for table in SCHEMAS]),
        chart=median(lambda: chart(layout)),
        day=median(lambda: layout.read("plays", FIRST + timedelta(days=int(next(to_read))))),
        replace=median(lambda: layout.replace("plays", days["plays"][next(to_replace)])),
        history=committed,
    )


def chart(layout: Layout) -> None:
    """List and read the tables, and rank all time on pandas."""
    engine = PandasEngine()
    frames = [engine.from_arrow(layout.read(table)) for table in SCHEMAS]
    rows = work_of(charts_all_time)(*frames, span=(FIRST, FIRST)).collect(CHART)
    assert 0 < len(rows) <= RECORDINGS + ARTISTS


def median(work: Callable[[], object]) -> Cost:
    """Return the median cost of several rounds."""
    costs: list[Cost] = []
    for _ in range(ROUNDS):
        with metered() as cost:
            work()
        costs.append(cost)
    return Cost(statistics.median(c.cpu for c in costs), statistics.median(c.wall for c in costs))


def main() -> None:
    """Measure every layout and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--days", type=int, default=DAYS, help="days of history (default: %(default)s)")
    options = parser.parse_args()
    days = history(options.days, LISTENS * options.days // DAYS)
    print(f"{options.days:,} days, {sum(map(len, days['plays'])):,} rows of plays\n")
    print("| layout | files | MB | log MB | list and read, s | chart of all time, s | read a day, ms | ", end="")
    print(f"replace a day, ms | {options.days:,} commits, s |")
    print(f"|---{'|---:' * 8}|", flush=True)
    slow = []
    for layout in LAYOUTS:
        with tempfile.TemporaryDirectory() as folder:
            measured = measure(layout(Path(folder)), days)
        estimated = "" if layout.every_commit else "≈ "
        numbers = [
            f"{measured.files:,}",
            f"{measured.stored / 1e6:.1f}",
            f"{measured.log / 1e6:.1f}",
            _seconds(measured.read),
            _seconds(measured.chart),
            _milliseconds(measured.day),
            _milliseconds(measured.replace),
            f"{estimated}{measured.history.wall:.0f} ({measured.history.cpu:.0f})",
        ]
        print(f"| {layout.label} | {' | '.join(numbers)} |", flush=True)
        if layout in (OwnLake, OwnLakeAtOnce) and measured.chart.wall > MAX_CHART_S:
            slow.append(layout.label)
    if slow:
        raise SystemExit(f"the charts of all time take more than {MAX_CHART_S} s: {', '.join(slow)}")


def _ids(count: int, kind: int) -> pa.Array:
    """Return `count` strings of the length of a UUID."""
    random = np.random.default_rng(kind).bytes(16 * count).hex()
    return pa.array([f"{random[i : i + 32]}{'-' * 4}" for i in range(0, 32 * count, 32)])


def _all(value: object, size: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), size)


def _seconds(cost: Cost) -> str:
    return f"{cost.wall:.2f} ({cost.cpu:.2f})"


def _milliseconds(cost: Cost) -> str:
    return f"{cost.wall * 1e3:.0f} ({cost.cpu * 1e3:.0f})"


if __name__ == "__main__":
    main()
