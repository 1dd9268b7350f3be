"""Write transactions: new files of a table, invisible until one commit swaps them for those they replace.

What belongs here is writing: dividing rows into files, the commit and the merge of small files that goes with it.
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
from resources.lake.compaction import crowded
from resources.lake.delta_table import TRIES, opened, understood
from resources.lake.file_stats import Add, bounds, covers, described, files, misses, unknown
from resources.lake.lease import new_file
from resources.storage import Storage

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from deltalake import DeltaTable

FILE_ROWS = 1_000_000  # what replacing one day may have to copy, and what one core sorts in a second
GROUP_ROWS = 100_000  # the least a reader skips within a file
CHECKPOINT = 50  # commits between two summaries of the log: fewer would fill the disk, more be slow to open
MARK = "tutti"  # names our own id in a commit's metadata


@dataclass(frozen=True)
class Written:
    """What a write left behind: the table's new version, and the rows, bytes and files of the slice."""

    version: int
    rows: int
    bytes: int
    files: tuple[str, ...]


@dataclass
class WriteTransaction:
    """Rows on their way into a table: files that nobody sees before they are published.

    They are written under a lease, held until the draft is done with, so that a vacuum leaves them alone.
    """

    folder: Storage
    schema: pa.Schema
    order: tuple[str, ...]
    lease: str
    files: list[str] = field(default_factory=list)
    published: set[str] = field(default_factory=set)
    in_doubt: bool = False  # a commit may be on its way still

    @property
    def writer(self) -> Writer:
        """Writes rows as files of this draft, in any process; whoever calls it adds the names to `files`."""
        return partial(write_files, folder=self.folder, schema=self.schema, order=self.order, lease=self.lease)

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
        removed: list[Mapping[str, Any]] = []
        with writing_to(self.folder), understood(self.folder):
            for file in files(opened(self.folder)):
                rows = self._rows(file).to_table()
                if (new := change(rows)) is not rows:
                    removed.append(file)
                    self.write(iter([new]))
            adds = [described(self.folder, name) for name in self.files]
            if removed:
                self._commit(adds, removed)
        self.files = []
        return sum(f["num_records"] for f in removed) - sum(a.rows for a in adds)

    def discard(self) -> None:
        """Remove what was written and is not in the log, as far as the disk allows.

        If a bucket may still receive the commit, the files are left for a later vacuum.
        """
        from deltalake.exceptions import DeltaError

        if self.in_doubt:
            return
        with suppress(OSError, DeltaError, TuttiError):
            own = {file.name for file in self.folder.files() if file.name.startswith(self.lease)}
            if left := own - self.published:
                self.folder.remove(unknown(opened(self.folder), left))

    def _commit(self, adds: Sequence[Add], gone: RangeFilter | list[Mapping[str, Any]] | None) -> int:
        """Swap the slice's files, or those named, for new ones at once, while others may do the same with theirs."""
        from deltalake.exceptions import CommitFailedError, DeltaError

        for attempt in range(TRIES):
            delta, mark = opened(self.folder), uuid.uuid4().hex
            version = delta.version() + 1
            removed, rewritten = (gone, []) if isinstance(gone, list) else self._changes(delta, gone, attempt == 0)
            try:
                self._attempt(delta, [a.action() for a in (*adds, *rewritten)] + [_remove(f) for f in removed], mark)
            except (DeltaError, OSError) as error:
                conflict = isinstance(error, CommitFailedError)
                self.in_doubt = self.folder.remote and not conflict
                if not self._stands(version, mark):
                    overtaken = conflict and opened(self.folder).version() >= version
                    if not overtaken or attempt == TRIES - 1:
                        raise
                    self.folder.remove(add.path for add in rewritten)
                    time.sleep(random.random() * 0.05 * (1 + min(attempt, 5)))
                    continue
            self.published |= {a.path for a in (*adds, *rewritten)}
            self._sum_up(version)
            return version
        raise AssertionError("unreachable")

    def _attempt(self, delta: "DeltaTable", actions: list[Any], mark: str) -> None:
        """Commit as the version after that of `delta`, or raise `CommitFailedError` if another writer has it."""
        from deltalake import CommitProperties, PostCommitHookProperties, Schema, Transaction

        delta.create_write_transaction(
            actions,
            "append",
            Schema.from_arrow(self.schema),
            # One counter per table: of two commits that started from one version, the second is refused and retried,
            # also where both add the same new day and neither removes a file.
            commit_properties=CommitProperties(
                {MARK: mark}, max_commit_retries=0, app_transactions=[Transaction("tutti", delta.version() + 1)]
            ),
            post_commithook_properties=PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False),
        )

    def _stands(self, version: int, mark: str) -> bool:
        """Return whether a commit of ours stands although it reported an error.

        If its answer is lost, delta-rs asks again, finds the version taken, by itself, and takes that for a conflict.
        """
        try:
            return mark.encode() in (self.folder / "_delta_log").read(f"{version:020d}.json")
        except FileNotFoundError:
            return False

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
        if slice is None:
            return file["num_records"]
        if misses(file, slice):
            return 0
        if covers(file, slice):
            return file["num_records"]
        return self._rows(file).count_rows(filter=slice.arrow)

    def _rows(self, file: Mapping[str, Any]) -> "ds.Dataset":
        import pyarrow.dataset as ds

        return ds.dataset([(self.folder / file["path"]).path], self.schema, "parquet", filesystem=self.folder.fs)

    def _outside(self, file: Mapping[str, Any], slice: RangeFilter | None) -> pa.Table:
        """The rows of a file beside the slice."""
        import pyarrow.dataset as ds

        return self._rows(file).to_table(filter=~slice.arrow | ds.field(slice.column).is_null() if slice else None)

    def _sum_up(self, version: int) -> None:
        """Now and then sum up the log, so that it is opened quickly; the commit counts also where this fails."""
        from deltalake.exceptions import DeltaError

        if version % CHECKPOINT == 0:
            with suppress(OSError, DeltaError):
                delta = opened(self.folder)
                delta.create_checkpoint()
                delta.cleanup_metadata()


def write_files(
    tables: Iterable[pa.Table], folder: Storage, schema: pa.Schema, order: Sequence[str], lease: str = ""
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
        path, how = (folder / names[-1]).path, {"compression": "zstd", "write_page_index": True}
        with writing_to(folder), folder.plain_errors():
            pq.write_table(rows, path, row_group_size=GROUP_ROWS, filesystem=folder.fs, **how)

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


def _refuse_strays(folder: Storage, adds: Sequence[Add], slice: RangeFilter) -> None:
    """Raise where a file holds rows outside the slice."""
    for add in adds:
        low, high = add.bounds[slice.column]
        if low is None or add.nulls[slice.column] or low < slice.first or high > slice.last:
            raise TuttiError(
                f"{folder} was given rows with {slice.column} from {low} to {high}, but this run replaces only "
                f"{slice.first} to {slice.last}: nothing was written"
            )
