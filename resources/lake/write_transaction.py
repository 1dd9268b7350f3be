"""Write transactions: write new files of a table, then replace old files with them in one commit.

This module divides rows into files, commits them, and merges small files in the same commit. New files are invisible
until the commit.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from resources.errors import TuttiError
from resources.files import writing_to
from resources.frames.filters import RangeFilter
from resources.frames.frame import Frame, Writer, conform, sort
from resources.lake.compaction import files_to_merge
from resources.lake.delta_table import TRIES, open_table, plain_errors
from resources.lake.file_stats import Add, bounds, covers, describe_file, files, misses, untracked_files
from resources.lake.lease import new_file
from resources.permissions import restrict
from resources.storage import Storage

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from deltalake import DeltaTable

FILE_ROWS = 1_000_000  # most rows in a file: replacing one day may copy them, and one core sorts them in a second
GROUP_ROWS = 100_000  # rows in a row group, the least that a reader can skip
CHECKPOINT = 50  # commits between two checkpoints of the log: fewer would fill the disk, more would be slow to open
MARK = "tutti"  # key of a commit's own id in its metadata


@dataclass(frozen=True)
class Written:
    """The result of a write: the table's new version, and the rows, bytes and names of the new files."""

    version: int
    rows: int
    bytes: int
    files: tuple[str, ...]


@dataclass
class WriteTransaction:
    """A transaction that writes files of a table, which readers see once they are published.

    Files are written under a lease, which is held until the transaction ends, so that a vacuum does not remove them.
    """

    folder: Storage
    schema: pa.Schema
    order: tuple[str, ...]
    lease: str
    files: list[str] = field(default_factory=list)
    published: set[str] = field(default_factory=set)
    in_doubt: bool = False  # a commit may still arrive at the object store

    @property
    def writer(self) -> Writer:
        """Return a function that writes rows as files, in any process. The caller adds their names to `files`."""
        return partial(write_files, folder=self.folder, schema=self.schema, order=self.order, lease=self.lease)

    def write(self, rows: Frame | Iterator[pa.Table]) -> None:
        """Compute rows and write them."""
        if isinstance(rows, Frame):
            self.files += rows.engine.store(rows.native, self.writer, self.order)
        else:
            self.files += self.writer(in_order(rows, self.order))

    def publish(self, where: RangeFilter | None = None) -> Written:
        """Commit the rows written since the last commit as the new content of the table, or of the part `where`.

        Raises `TuttiError` if rows are outside `where`.
        """
        with writing_to(self.folder), plain_errors(self.folder):
            adds = [describe_file(self.folder, name) for name in self.files]
            if where:
                _refuse_strays(self.folder, adds, where)
            version = self._commit(adds, where)
        self.files = []
        return Written(version, sum(a.rows for a in adds), sum(a.bytes for a in adds), tuple(a.path for a in adds))

    def rewrite(self, change: Callable[[pa.Table], pa.Table]) -> int:
        """Replace each file's rows with the result of `change`, in one commit; return the number of rows removed."""
        removed: list[Mapping[str, Any]] = []
        with writing_to(self.folder), plain_errors(self.folder):
            for file in files(open_table(self.folder)):
                rows = self._rows(file).to_table()
                if (new := change(rows)) is not rows:
                    removed.append(file)
                    self.write(iter([new]))
            adds = [describe_file(self.folder, name) for name in self.files]
            if removed:
                self._commit(adds, removed)
        self.files = []
        return sum(f["num_records"] for f in removed) - sum(a.rows for a in adds)

    def discard(self) -> None:
        """Remove files that were written but not committed, as far as the disk allows.

        If a commit may still arrive at a bucket, the files are left for a later vacuum.
        """
        from deltalake.exceptions import DeltaError

        if self.in_doubt:
            return
        with suppress(OSError, DeltaError, TuttiError):
            written = {file.name for file in self.folder.files() if file.name.startswith(self.lease)}
            if unpublished := written - self.published:
                self.folder.remove(untracked_files(open_table(self.folder), unpublished))

    def _commit(self, adds: Sequence[Add], replaced: RangeFilter | list[Mapping[str, Any]] | None) -> int:
        """Commit: replace the given files, or those with rows in the filter, with new ones. Return the new version.

        Other writers may commit at the same time; a commit that another one overtakes is repeated.
        """
        from deltalake.exceptions import CommitFailedError, DeltaError

        for attempt in range(TRIES):
            delta, mark = open_table(self.folder), uuid.uuid4().hex
            version = delta.version() + 1
            removed, rewritten = (
                (replaced, []) if isinstance(replaced, list) else self._changes(delta, replaced, attempt == 0)
            )
            try:
                self._attempt(delta, [a.action() for a in (*adds, *rewritten)] + [_remove(f) for f in removed], mark)
            except (DeltaError, OSError) as error:
                conflict = isinstance(error, CommitFailedError)
                self.in_doubt = self.folder.remote and not conflict
                if not self._succeeded(version, mark):
                    overtaken = conflict and open_table(self.folder).version() >= version
                    if not overtaken or attempt == TRIES - 1:
                        raise
                    self.folder.remove(add.path for add in rewritten)
                    time.sleep(random.random() * 0.05 * (1 + min(attempt, 5)))
                    continue
            self.published |= {a.path for a in (*adds, *rewritten)}
            self._checkpoint(version)
            return version
        raise AssertionError("unreachable")

    def _attempt(self, delta: "DeltaTable", actions: list[Any], mark: str) -> None:
        """Commit the version after that of `delta`. Raises `CommitFailedError` if another writer committed it first."""
        from deltalake import CommitProperties, PostCommitHookProperties, Schema, Transaction

        delta.create_write_transaction(
            actions,
            "append",
            Schema.from_arrow(self.schema),
            # One counter per table: if two commits start from the same version, the second is refused and retried, even
            # if both add the same new day and neither removes a file.
            commit_properties=CommitProperties(
                {MARK: mark}, max_commit_retries=0, app_transactions=[Transaction("tutti", delta.version() + 1)]
            ),
            post_commithook_properties=PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False),
        )

    def _succeeded(self, version: int, mark: str) -> bool:
        """Return whether our commit succeeded although it reported an error.

        If the store's answer is lost, delta-rs retries, finds the version that it wrote itself, and reports a conflict.
        """
        try:
            return mark.encode() in (self.folder / "_delta_log").read(f"{version:020d}.json")
        except FileNotFoundError:
            return False

    def _changes(
        self, delta: "DeltaTable", where: RangeFilter | None, tidy: bool
    ) -> tuple[list[Mapping[str, Any]], list[Add]]:
        """Return the files to remove, and new files with their rows outside `where`.

        If `tidy`, small files elsewhere are merged as well.
        """
        counted_files = [(f, self._inside(f, where)) for f in files(delta)]
        elsewhere = sorted((f for f, rows in counted_files if not rows), key=self._place)
        merged = (
            [elsewhere[i] for i in files_to_merge([f["num_records"] for f in elsewhere], GROUP_ROWS)] if tidy else []
        )
        groups = [merged, *([f] for f, rows in counted_files if 0 < rows < f["num_records"])]
        remaining = ((self._outside(f, where) for f in group) for group in groups)
        names = [name for rows in remaining for name in self.writer(in_order(rows, self.order))]
        return [*(f for f, rows in counted_files if rows), *merged], [
            describe_file(self.folder, name) for name in names
        ]

    def _place(self, file: Mapping[str, Any]) -> Any:
        """Return a sort key: the file's position in the table's order, by its first column."""
        low = bounds(file, self.order[0])[0] if self.order else None
        return low is not None, low

    def _inside(self, file: Mapping[str, Any], where: RangeFilter | None) -> int:
        """Return the number of a file's rows that `where` selects; open the file only if its bounds do not decide."""
        if where is None:
            return file["num_records"]
        if misses(file, where):
            return 0
        if covers(file, where):
            return file["num_records"]
        return self._rows(file).count_rows(filter=where.arrow)

    def _rows(self, file: Mapping[str, Any]) -> "ds.Dataset":
        import pyarrow.dataset as ds

        return ds.dataset([(self.folder / file["path"]).path], self.schema, "parquet", filesystem=self.folder.fs)

    def _outside(self, file: Mapping[str, Any], where: RangeFilter | None) -> pa.Table:
        """Return the rows of a file that `where` does not select."""
        import pyarrow.dataset as ds

        return self._rows(file).to_table(filter=~where.arrow | ds.field(where.column).is_null() if where else None)

    def _checkpoint(self, version: int) -> None:
        """Write a checkpoint of the log after every `CHECKPOINT` commits. The commit is valid even if this fails."""
        from deltalake.exceptions import DeltaError

        if version % CHECKPOINT == 0:
            with suppress(OSError, DeltaError):
                delta = open_table(self.folder)
                delta.create_checkpoint()
                delta.cleanup_metadata()


def write_files(
    tables: Iterable[pa.Table], folder: Storage, schema: pa.Schema, order: Sequence[str], lease: str = ""
) -> list[str]:
    """Write sorted rows as new Parquet files and return their unused names.

    A file has at most `FILE_ROWS` rows. If it has at least `GROUP_ROWS`, it ends with the last row of a date, so that a
    later replacement of a day copies few rows of other days. Memory contains the rows of one file. Raises `TuttiError`
    if a value does not fit its column.
    """
    import pyarrow.parquet as pq

    restrict()  # a worker of a cluster has the umask of the shell that started it
    dated = bool(order) and pa.types.is_date(schema.field(order[0]).type)
    names: list[str] = []
    held = schema.empty_table()

    def flush(rows: pa.Table) -> None:
        names.append(new_file(lease))
        path, how = (folder / names[-1]).path, {"compression": "zstd", "write_page_index": True}
        with writing_to(folder), folder.plain_errors():
            pq.write_table(rows, path, row_group_size=GROUP_ROWS, filesystem=folder.fs, **how)

    for table in tables:
        try:
            held = pa.concat_tables([held, conform(table, schema)])
        except (pa.ArrowException, KeyError) as error:
            raise TuttiError(f"cannot write these rows to {folder}: {error}") from error
        while end := _end(held, order[0] if dated else None):
            flush(held.slice(0, end))
            held = held.slice(end)
    if len(held):
        flush(held)
    return names


def in_order(tables: Iterable[pa.Table], order: Sequence[str]) -> Iterator[pa.Table]:
    """Sort rows in groups of at least `FILE_ROWS`."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(map(len, held)) >= FILE_ROWS:
            yield sort(pa.concat_tables(held), order)
            held = []
    if held:
        yield sort(pa.concat_tables(held), order)


def _end(rows: pa.Table, date: str | None) -> int:
    """Return the number of rows of the next file, or 0 if more rows are needed to decide."""
    if date and len(rows) > GROUP_ROWS:
        days = rows[date].slice(GROUP_ROWS - 1, FILE_ROWS + 1 - GROUP_ROWS).to_numpy()
        if len(ends := (days[1:] != days[:-1]).nonzero()[0]):
            return GROUP_ROWS + int(ends[0])
    return FILE_ROWS if len(rows) >= FILE_ROWS else 0


def _remove(file: Mapping[str, Any]) -> Any:
    """Return the action of Delta's log that removes a file."""
    from deltalake.transaction import RemoveAction

    return RemoveAction(file["path"], True, int(time.time() * 1000), file["size_bytes"], {})


def _refuse_strays(folder: Storage, adds: Sequence[Add], where: RangeFilter) -> None:
    """Raise `TuttiError` if a file has rows outside `where`."""
    for add in adds:
        low, high = add.bounds[where.column]
        if low is None or add.nulls[where.column] or low < where.first or high > where.last:
            raise TuttiError(
                f"the new rows of {folder} have {where.column} from {low} to {high}, but this run replaces only "
                f"{where.first} to {where.last}. Nothing was written."
            )
