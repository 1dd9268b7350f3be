"""How a table's rows should lie on disk: `python -m tests.benchmarks.layout`.

Fifteen years of one person (5,475 days, 150,000 listens) as the three tables that charts are counted from, in several
layouts. Each is listed and read, charted on pandas, read by the day and given one day anew. Seconds are of the wall,
with those of the CPU in brackets; the files are in the system's cache.
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
SAMPLE = 20  # commits from which those of a whole history are estimated
SCHEMAS = {"plays": RECORDING_PLAYS, "artist_plays": ARTIST_PLAYS, "names": DISPLAY_NAMES}
ORDERS = {
    "plays": ("day", "user_id", "recording_id"),
    "artist_plays": ("day", "user_id", "artist_id"),
    "names": ("day", "entity", "entity_id"),
}
EXPECTED = 3.0  # seconds that the charts of all time may take on pandas, listing and reading included

History = Mapping[str, list[pa.Table]]  # of each table, its rows day by day


class Layout(ABC):
    """A way to lay out tables. `told` is how the report calls it."""

    told: str
    every_commit = False  # whether plays are laid down commit by commit, or as they lie in the end

    def __init__(self, root: Path) -> None:
        self.root = root

    @abstractmethod
    def lay(self, table: str, days: list[pa.Table]) -> None:
        """Lay down days as they lie after a commit for each."""

    @abstractmethod
    def replace(self, table: str, rows: pa.Table) -> None:
        """Replace a day."""

    @abstractmethod
    def read(self, table: str, day: date | None = None) -> pa.Table:
        """Find and read all rows, or those of a day."""

    def files(self) -> list[list[dict[str, Any]]]:
        """The files of each table's newest version."""
        return [files(DeltaTable(str(self.root / table))) for table in SCHEMAS]


class FolderADay(Layout):
    """Delta's own partitions, by Delta's own writer."""

    told = "a folder a day"

    def lay(self, table: str, days: list[pa.Table]) -> None:
        write_deltalake(str(self.root / table), pa.concat_tables(days), partition_by=["day"], mode="append")

    def replace(self, table: str, rows: pa.Table) -> None:
        day = rows["day"][0].as_py()
        write_deltalake(str(self.root / table), rows, mode="overwrite", predicate=f"day = DATE '{day}'")

    def read(self, table: str, day: date | None = None) -> pa.Table:
        found = DeltaTable(str(self.root / table)).to_pyarrow_dataset()
        return found.to_table(filter=None if day is None else pc.field("day") == pa.scalar(day)).cast(SCHEMAS[table])


class Ours(Layout):
    """The lake as it is, a commit a day."""

    told = "ours, a commit a day"
    every_commit = True

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.lake = Lake(root)

    def lay(self, table: str, days: list[pa.Table]) -> None:
        """Plays day by day; what else there is of the same days lies as they do, and takes one commit."""
        if table == "plays":
            for rows in days:
                self.replace(table, rows)
            return
        with self.lake.writing(table, SCHEMAS[table], ORDERS[table]) as draft, unmerged():
            for file in files(DeltaTable(str(self.root / "plays"))):
                first, last = ((day - FIRST).days for day in bounds(file, "day"))
                draft.write(iter([pa.concat_tables(days[first : last + 1])]))
            draft.publish(span(days))

    def replace(self, table: str, rows: pa.Table) -> None:
        self.lake.replace(table, iter([rows]), SCHEMAS[table], on(rows["day"][0].as_py()), ORDERS[table])

    def read(self, table: str, day: date | None = None) -> pa.Table:
        return self.lake.scan(table, SCHEMAS[table], None if day is None else on(day)).table()


class OursUnmerged(Ours):
    """The lake without compaction."""

    told = "ours before compaction: a file a day"
    every_commit = False

    def lay(self, table: str, days: list[pa.Table]) -> None:
        with self.lake.writing(table, SCHEMAS[table], ORDERS[table]) as draft, unmerged():
            for rows in days:
                draft.write(iter([rows]))
            draft.publish(span(days))

    def replace(self, table: str, rows: pa.Table) -> None:
        with unmerged():
            super().replace(table, rows)


class FolderAMonth(OursUnmerged):
    """A file a month; a day is replaced together with the month's other days."""

    told = "a folder a month"

    def lay(self, table: str, days: list[pa.Table]) -> None:
        months: dict[date, list[pa.Table]] = {}
        for rows in days:
            months.setdefault(rows["day"][0].as_py().replace(day=1), []).append(rows)
        super().lay(table, [pa.concat_tables(month) for month in months.values()])

    def replace(self, table: str, rows: pa.Table) -> None:
        day = rows["day"][0].as_py()
        month = day.replace(day=1)
        whole = RangeFilter("day", month, (month + timedelta(days=31)).replace(day=1) - timedelta(days=1))
        others = self.lake.scan(table, SCHEMAS[table], whole).table().filter(pc.field("day") != pa.scalar(day))
        with unmerged():
            self.lake.replace(
                table, iter([pa.concat_tables([others.cast(rows.schema), rows])]), SCHEMAS[table], whole, ORDERS[table]
            )


class OursAtOnce(Ours):
    """The lake after the history of a person was imported, and days were replaced since."""

    told = "ours, imported at once"
    every_commit = False

    def lay(self, table: str, days: list[pa.Table]) -> None:
        self.lake.replace(table, iter([pa.concat_tables(days)]), SCHEMAS[table], span(days), ORDERS[table])


LAYOUTS: tuple[type[Layout], ...] = (FolderADay, FolderAMonth, OursUnmerged, Ours, OursAtOnce)


@dataclass
class Measured:
    """What a layout takes: files, bytes of data and log, and the median costs of work."""

    files: int
    stored: int
    log: int
    read: Cost
    chart: Cost
    day: Cost
    replace: Cost
    history: Cost


def on(day: date) -> RangeFilter:
    """A day as a slice."""
    return RangeFilter("day", day, day)


def span(days: list[pa.Table]) -> RangeFilter:
    """All days from the first row to the last."""
    return RangeFilter("day", days[0]["day"][0].as_py(), days[-1]["day"][-1].as_py())


@contextmanager
def unmerged() -> Iterator[None]:
    """Commits do not merge files."""
    with patch.object(write_transaction, "files_to_merge", return_value=[]):
        yield


def history(days: int, listens: int, seed: int = 7) -> History:
    """One person's listens, as many a day as chance has it and the popular ones most, rolled up by the day."""
    chance = np.random.default_rng(seed)
    counts = 1 + chance.poisson(listens / days - 1, days)
    popular = 1 / np.arange(1, RECORDINGS + 1)
    heard = chance.choice(RECORDINGS, counts.sum(), p=popular / popular.sum())
    by = chance.integers(0, ARTISTS, RECORDINGS)
    ids = {"recording": _ids(RECORDINGS, 1), "artist": _ids(ARTISTS, 2)}
    found: dict[str, list[pa.Table]] = {name: [] for name in SCHEMAS}
    for n, one in enumerate(np.split(heard, counts.cumsum()[:-1])):
        day, named = FIRST + timedelta(days=n), []
        for table, entity, things in (("plays", "recording", one), ("artist_plays", "artist", by[one])):
            these, plays = np.unique(things, return_counts=True)
            size, keys = len(these), ids[entity].take(pa.array(these))
            columns = [_all(day, size), _all("ada", size), keys, pa.array(plays), pa.array(plays * 200_000)]
            found[table].append(pa.table(columns, schema=SCHEMAS[table]))
            named.append(pa.table([_all(day, size), _all(entity, size), keys, keys], schema=DISPLAY_NAMES))
        found["names"].append(pa.concat_tables(named))
    return found


def measure(layout: Layout, days: History) -> Measured:
    """Lay down a history, and work on it."""
    count, half = len(days["plays"]), len(days["plays"]) // 2
    if layout.every_commit:
        with metered() as committed:
            layout.lay("plays", days["plays"])
    else:  # what a commit costs grows with the files there are: those in the middle cost the average
        layout.lay("plays", days["plays"][:half])
        with metered() as sample:
            for rows in days["plays"][half : half + SAMPLE]:
                layout.replace("plays", rows)
        layout.lay("plays", days["plays"][half + SAMPLE :])
        committed = Cost(sample.cpu * count / SAMPLE, sample.wall * count / SAMPLE)
    for table in SCHEMAS:
        if table != "plays":
            layout.lay(table, days[table])
    listed = layout.files()
    stored = sum(sum(f["size_bytes"] for f in entries) for entries in listed)
    log = sum(p.stat().st_size for table in SCHEMAS for p in (layout.root / table / "_delta_log").iterdir())
    some = np.random.default_rng(1).choice(count, 3 * ROUNDS, replace=False)
    again, seen = iter(some[:ROUNDS]), iter(some[ROUNDS:])
    return Measured(
        sum(map(len, listed)),
        stored,
        log,
        read=median(lambda: [layout.read(table) for table in SCHEMAS]),
        chart=median(lambda: chart(layout)),
        day=median(lambda: layout.read("plays", FIRST + timedelta(days=int(next(seen))))),
        replace=median(lambda: layout.replace("plays", days["plays"][next(again)])),
        history=committed,
    )


def chart(layout: Layout) -> None:
    """List, read and rank all time on pandas."""
    engine = PandasEngine()
    frames = [engine.from_arrow(layout.read(table)) for table in SCHEMAS]
    rows = work_of(charts_all_time)(*frames, span=(FIRST, FIRST)).collect(CHART)
    assert 0 < len(rows) <= RECORDINGS + ARTISTS


def median(work: Callable[[], object]) -> Cost:
    """The median cost of several rounds."""
    costs: list[Cost] = []
    for _ in range(ROUNDS):
        with metered() as cost:
            work()
        costs.append(cost)
    return Cost(statistics.median(c.cpu for c in costs), statistics.median(c.wall for c in costs))


def main() -> None:
    """Measure every layout, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--days", type=int, default=DAYS)
    asked = parser.parse_args()
    days = history(asked.days, LISTENS * asked.days // DAYS)
    print(f"{asked.days:,} days, {sum(map(len, days['plays'])):,} rows of plays\n")
    print("| layout | files | MB | log MB | list and read, s | chart of all time, s | read a day, ms | ", end="")
    print(f"replace a day, ms | {asked.days:,} commits, s |")
    print(f"|---{'|---:' * 8}|", flush=True)
    slow = []
    for layout in LAYOUTS:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(layout(Path(folder)), days)
        estimated = "" if layout.every_commit else "≈ "
        numbers = [
            f"{found.files:,}",
            f"{found.stored / 1e6:.1f}",
            f"{found.log / 1e6:.1f}",
            _seconds(found.read),
            _seconds(found.chart),
            _milliseconds(found.day),
            _milliseconds(found.replace),
            f"{estimated}{found.history.wall:.0f} ({found.history.cpu:.0f})",
        ]
        print(f"| {layout.told} | {' | '.join(numbers)} |", flush=True)
        if layout in (Ours, OursAtOnce) and found.chart.wall > EXPECTED:
            slow.append(layout.told)
    if slow:
        raise SystemExit(f"the charts of all time take more than {EXPECTED} s: {', '.join(slow)}")


def _ids(count: int, kind: int) -> pa.Array:
    """As many texts of the length of a UUID."""
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
