"""The lake: Delta tables under one root, each slice of dates replaced in one commit.

A table is a folder of Parquet files, each sorted and carrying its least and greatest values, so that a reader opens
only those it needs. Files are not laid out by day: a day replaced inside a larger file leaves the file's other days
behind in a new one, and a commit merges small files of like size, so that fifteen years of one person are dozens of
files, not thousands. What belongs here is storing and finding; computing belongs to the engines.
"""

import os
import random
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from resources.errors import TuttiError
from resources.files import writing_to
from resources.frames.frame import Frame, Writer, conform, sort
from resources.frames.scan import Scan
from resources.lake.compaction import crowded
from resources.lake.delta_table import KEEP_DAYS, TRIES, exists, opened, prepare, understood
from resources.lake.file_stats import Add, bounds, described, files, unknown
from resources.lake.lease import lease, new_file
from resources.lake.vacuum import Vacuumed, forget, vacuum

if TYPE_CHECKING:
    import pyarrow.compute as pc
    from deltalake import DeltaTable

FILE_ROWS = 1_000_000  # what replacing one day may have to copy, and what one core sorts in a second
GROUP_ROWS = 100_000  # the least a reader skips within a file
CHECKPOINT = 50  # commits between two summaries of the log: fewer would fill the disk, more be slow to open


@dataclass(frozen=True)
class RangeFilter:
    """The rows of a table whose `column` lies between two values, both included."""

    column: str
    first: Any
    last: Any

    def misses(self, low: Any, high: Any) -> bool:
        """Whether no value from `low` to `high` is in the slice."""
        return bool(low is None or high < self.first or low > self.last)

    def covers(self, low: Any, high: Any) -> bool:
        """Whether every value from `low` to `high` is in the slice."""
        return bool(self.first <= low and high <= self.last)

    @property
    def within(self) -> "pc.Expression":
        """The condition on rows."""
        import pyarrow.dataset as ds

        return (ds.field(self.column) >= self.first) & (ds.field(self.column) <= self.last)


@dataclass(frozen=True)
class ValuesFilter(RangeFilter):
    """The rows of a table whose `column` has one of some values, which `first` and `last` only enclose."""

    values: tuple[Any, ...] = ()

    @classmethod
    def of(cls, column: str, values: Iterable[Any]) -> "ValuesFilter":
        """The rows with one of these values, of which there must be one at least."""
        found = tuple(sorted(set(values)))
        return cls(column, found[0], found[-1], found)

    def misses(self, low: Any, high: Any) -> bool:
        """Whether none of the values is from `low` to `high`."""
        return low is None or bisect_left(self.values, low) == bisect_right(self.values, high)

    def covers(self, low: Any, high: Any) -> bool:
        """Whether `low` to `high` is one of the values."""
        return bool(low == high) and not self.misses(low, high)

    @property
    def within(self) -> "pc.Expression":
        """The condition on rows."""
        import pyarrow.dataset as ds

        return ds.field(self.column).isin(self.values)


@dataclass(frozen=True)
class Written:
    """What a write left behind: the table's new version, and the rows, bytes and files of the slice."""

    version: int
    rows: int
    bytes: int
    files: tuple[str, ...]


class Lake:
    """Tables by name ("layer/asset") under one folder."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def tables(self) -> list[str]:
        """The names of all tables."""
        found = (log.parent.relative_to(self.root).as_posix() for log in self.root.glob("*/*/_delta_log"))
        return sorted(name for name in found if self.exists(name))

    def filled(self) -> "Lake":
        """Itself. Raises `TuttiError` where it has no table: most often another folder was meant."""
        if not self.tables():
            raise TuttiError(f"there is nothing in {self.root.parent} yet: import first, or name the folder (DATA=)")
        return self

    def exists(self, table: str) -> bool:
        """Whether the table has been written."""
        return exists(self.root / table)

    def scan(self, table: str, schema: pa.Schema, slice: RangeFilter | None = None, version: int | None = None) -> Scan:
        """The rows of a table, whole or a slice of dates, now or at an earlier version; none if never written.

        Versions older than `KEEP_DAYS` may be gone.
        """
        if not self.exists(table):
            return Scan([], _plain(schema))
        found = [
            str(self.root / table / f["path"])
            for f in files(opened(self.root / table, version))
            if slice is None or not slice.misses(*bounds(f, slice.column))
        ]
        return Scan(found, _plain(schema), *((slice.column, slice.first, slice.last) if slice else ()))

    def replace(
        self,
        table: str,
        rows: Frame | Iterator[pa.Table],
        schema: pa.Schema,
        slice: RangeFilter | None = None,
        order: Sequence[str] = (),
    ) -> Written:
        """Compute rows and publish them as the table, or as this slice of it, in one commit.

        Readers see the old version until the commit and the new one after it. Raises `TuttiError` for rows outside
        the slice, for columns that are not those declared, and where the disk refuses; the table then stays as it was.
        """
        with self.writing(table, schema, order) as draft:
            draft.write(rows)
            return draft.publish(slice)

    @contextmanager
    def writing(self, table: str, schema: pa.Schema, order: Sequence[str] = ()) -> "Iterator[WriteTransaction]":
        """Rows on their way into a table, in as many parts as it takes. What is not published is removed at the end."""
        folder, stored = self.root / table, _plain(schema)
        with writing_to(folder), understood(folder):
            prepare(folder, stored)
        with lease(folder) as id:
            draft = WriteTransaction(folder, stored, tuple(order), id)
            try:
                yield draft
            finally:
                draft.discard()

    def vacuum(self, table: str, keep_days: int = KEEP_DAYS) -> Vacuumed:
        """Remove the files that no version of the last `keep_days` has, and those that killed jobs left behind.

        A running job loses nothing: not what it has written, nor, within `keep_days`, what it reads. More than
        `KEEP_DAYS` is not kept.
        """
        return vacuum(self.root / table, keep_days)

    def rewrite(
        self, table: str, schema: pa.Schema, change: Callable[[pa.Table], pa.Table], order: Sequence[str] = ()
    ) -> int:
        """Replace the files of a table that `change` makes others of, in one commit; how many rows fewer there are.

        A file of which it gives back the very rows stays. Nobody else may write to the table meanwhile.
        """
        with self.writing(table, schema, order) as draft:
            return draft.rewrite(change)

    def forget(self, table: str) -> None:
        """Make the newest version the oldest: neither the log nor a file tells of those before.

        Nobody else may read or write the table meanwhile.
        """
        vacuum(self.root / table, 0)
        forget(self.root / table)

    def stored(self, table: str) -> pa.Schema:
        """A table's columns, as they are stored."""
        return pa.schema(opened(self.root / table).schema().to_arrow())

    def rows(self, table: str) -> int:
        """How many rows a table has, as its log tells; none before it is written."""
        return sum(file["num_records"] for file in files(opened(self.root / table))) if self.exists(table) else 0

    def version(self, table: str) -> int:
        """The table's newest version."""
        return opened(self.root / table).version()


@dataclass
class WriteTransaction:
    """Rows on their way into a table: files that nobody sees before they are published.

    They are written under a lease, held until the draft is done with, so that a vacuum leaves them alone.
    """

    folder: Path
    schema: pa.Schema
    order: tuple[str, ...]
    lease: str
    files: list[str] = field(default_factory=list)
    published: set[str] = field(default_factory=set)

    @property
    def writer(self) -> Writer:
        """Writes rows as files of this draft, in any process; whoever calls it adds the names to `files`."""
        return partial(write_files, folder=str(self.folder), schema=self.schema, order=self.order, lease=self.lease)

    def write(self, rows: Frame | Iterator[pa.Table]) -> None:
        """Compute rows and write them."""
        if isinstance(rows, Frame):
            self.files += rows.engine.store(rows.native, self.writer, self.order)
        else:
            self.files += self.writer(in_order(rows, self.order))

    def publish(self, slice: RangeFilter | None = None) -> Written:
        """Make what was written since the last time the table, or this slice of it, in one commit."""
        with writing_to(self.folder), understood(self.folder):
            adds = [described(self.folder, name) for name in self.files]
            if slice:
                _refuse_strays(self.folder, adds, slice)
            version = self._commit(adds, slice)
        self.files = []
        return Written(version, sum(a.rows for a in adds), sum(a.bytes for a in adds), tuple(a.path for a in adds))

    def rewrite(self, change: Callable[[pa.Table], pa.Table]) -> int:
        """Swap each file for one with the rows that `change` makes of its own, all in one commit."""
        import pyarrow.dataset as ds

        removed: list[Mapping[str, Any]] = []
        with writing_to(self.folder), understood(self.folder):
            for file in files(opened(self.folder)):
                rows = ds.dataset(str(self.folder / file["path"]), self.schema, "parquet").to_table()
                if (new := change(rows)) is not rows:
                    removed.append(file)
                    self.write(iter([new]))
            adds = [described(self.folder, name) for name in self.files]
            if removed:
                self._commit(adds, removed)
        self.files = []
        return sum(f["num_records"] for f in removed) - sum(a.rows for a in adds)

    def discard(self) -> None:
        """Remove what was written and is not in the log, as far as the disk allows."""
        from deltalake.exceptions import DeltaError

        with suppress(OSError, DeltaError, TuttiError):
            own = {file.name for file in os.scandir(self.folder) if file.name.startswith(self.lease)}
            if left := own - self.published:
                for name in unknown(opened(self.folder), left):
                    (self.folder / name).unlink(missing_ok=True)

    def _commit(self, adds: Sequence[Add], gone: RangeFilter | list[Mapping[str, Any]] | None) -> int:
        """Swap the slice's files, or those named, for new ones at once, while others may do the same with theirs."""
        from deltalake import CommitProperties, PostCommitHookProperties, Schema, Transaction
        from deltalake.exceptions import CommitFailedError

        later = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
        for attempt in range(TRIES):
            delta = opened(self.folder)
            removed, rewritten = (gone, []) if isinstance(gone, list) else self._changes(delta, gone, attempt == 0)
            actions = [a.action() for a in (*adds, *rewritten)] + [_remove(f) for f in removed]
            # One counter per table: of two commits that started from one version, the second is refused and retried,
            # also where both add the same new day and neither removes a file.
            turn = CommitProperties(max_commit_retries=0, app_transactions=[Transaction("tutti", delta.version() + 1)])
            try:
                delta.create_write_transaction(
                    actions,
                    "append",
                    Schema.from_arrow(self.schema),
                    commit_properties=turn,
                    post_commithook_properties=later,
                )
            except CommitFailedError:
                overtaken = opened(self.folder).version() > delta.version()
                if not overtaken or attempt == TRIES - 1:
                    raise
                for add in rewritten:
                    (self.folder / add.path).unlink()
                time.sleep(random.random() * 0.05 * (1 + min(attempt, 5)))
            else:
                self.published |= {a.path for a in (*adds, *rewritten)}
                self._sum_up(delta.version() + 1)
                return delta.version() + 1
        raise AssertionError("unreachable")

    def _changes(
        self, delta: "DeltaTable", slice: RangeFilter | None, tidy: bool
    ) -> tuple[list[Mapping[str, Any]], list[Add]]:
        """The files that go, and new ones with those of their rows that stay: what is beside the slice.

        If `tidy`, small files that pile up elsewhere go as well.
        """
        found = [(f, self._inside(f, slice)) for f in files(delta)]
        elsewhere = sorted((f for f, rows in found if not rows), key=self._place)
        merged = [elsewhere[i] for i in crowded([f["num_records"] for f in elsewhere], GROUP_ROWS)] if tidy else []
        groups = [merged, *([f] for f, rows in found if 0 < rows < f["num_records"])]
        kept = ((self._outside(f, slice) for f in group) for group in groups)
        names = [name for rows in kept for name in self.writer(in_order(rows, self.order))]
        return [*(f for f, rows in found if rows), *merged], [described(self.folder, name) for name in names]

    def _place(self, file: Mapping[str, Any]) -> Any:
        """Where a file comes in the table's order, as far as the first column tells."""
        low = bounds(file, self.order[0])[0] if self.order else None
        return low is not None, low

    def _inside(self, file: Mapping[str, Any], slice: RangeFilter | None) -> int:
        """How many rows of a file are in the slice; it is opened only where its bounds do not tell."""
        import pyarrow.dataset as ds

        if slice is None:
            return file["num_records"]
        low, high = bounds(file, slice.column)
        if slice.misses(low, high):
            return 0
        if slice.covers(low, high) and file[f"null_count.{slice.column}"] == 0:
            return file["num_records"]
        return ds.dataset(str(self.folder / file["path"]), self.schema, "parquet").count_rows(filter=slice.within)

    def _outside(self, file: Mapping[str, Any], slice: RangeFilter | None) -> pa.Table:
        """The rows of a file beside the slice."""
        import pyarrow.dataset as ds

        rows = ds.dataset(str(self.folder / file["path"]), self.schema, "parquet")
        return rows.to_table(filter=~slice.within | ds.field(slice.column).is_null() if slice else None)

    def _sum_up(self, version: int) -> None:
        """Now and then sum up the log, so that it is opened quickly; the commit counts also where this fails."""
        from deltalake.exceptions import DeltaError

        if version % CHECKPOINT == 0:
            with suppress(OSError, DeltaError):
                delta = opened(self.folder)
                delta.create_checkpoint()
                delta.cleanup_metadata()


def write_files(
    tables: Iterable[pa.Table], folder: str, schema: pa.Schema, order: Sequence[str], lease: str = ""
) -> list[str]:
    """Write rows that come in order as new Parquet files, under names nobody has used before.

    A file has at most `FILE_ROWS` rows and ends, where it has enough of them, with a date: so a day that is replaced
    later has few rows of other days around it. Nobody sees the files until they are committed. Memory holds one file's
    rows. Raises `TuttiError` for rows that the columns cannot hold as they are.
    """
    import pyarrow.parquet as pq

    dated = bool(order) and pa.types.is_date(schema.field(order[0]).type)
    names: list[str] = []
    held = schema.empty_table()

    def flush(rows: pa.Table) -> None:
        names.append(new_file(lease))
        path = os.path.join(folder, names[-1])
        with writing_to(folder):
            pq.write_table(rows, path, row_group_size=GROUP_ROWS, compression="zstd", write_page_index=True)

    for given in tables:
        try:
            held = pa.concat_tables([held, conform(given, schema)])
        except (pa.ArrowException, KeyError) as error:
            raise TuttiError(f"{folder} cannot hold these rows: {error}") from error
        while end := _end(held, order[0] if dated else None):
            flush(held.slice(0, end))
            held = held.slice(end)
    if len(held):
        flush(held)
    return names


def in_order(tables: Iterable[pa.Table], order: Sequence[str]) -> Iterator[pa.Table]:
    """Rows sorted, as many together as a file may have."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(map(len, held)) >= FILE_ROWS:
            yield sort(pa.concat_tables(held), order)
            held = []
    if held:
        yield sort(pa.concat_tables(held), order)


def _end(rows: pa.Table, date: str | None) -> int:
    """How many rows the next file gets, or 0 where more must come before that can be told."""
    if date and len(rows) > GROUP_ROWS:
        days = rows[date].slice(GROUP_ROWS - 1, FILE_ROWS + 1 - GROUP_ROWS).to_numpy()
        if len(ends := (days[1:] != days[:-1]).nonzero()[0]):
            return GROUP_ROWS + int(ends[0])
    return FILE_ROWS if len(rows) >= FILE_ROWS else 0


def _remove(file: Mapping[str, Any]) -> Any:
    """A file that goes, as Delta's log has it."""
    from deltalake.transaction import RemoveAction

    return RemoveAction(file["path"], True, int(time.time() * 1000), file["size_bytes"], {})


def _plain(schema: pa.Schema) -> pa.Schema:
    """A declared schema as it is stored: what must not be null is for checks to say, so that one can look at it."""
    comments = {f.name: {"comment": f.metadata[b"comment"]} for f in schema if f.metadata and b"comment" in f.metadata}
    return pa.schema([pa.field(f.name, f.type, metadata=comments.get(f.name)) for f in schema])


def _refuse_strays(folder: Path, adds: Sequence[Add], slice: RangeFilter) -> None:
    """Raise where a file holds rows outside the slice."""
    for add in adds:
        low, high = add.bounds[slice.column]
        if low is None or add.nulls[slice.column] or low < slice.first or high > slice.last:
            raise TuttiError(
                f"{folder} was given rows with {slice.column} from {low} to {high}, but this run replaces only "
                f"{slice.first} to {slice.last}: nothing was written"
            )
