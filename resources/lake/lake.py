"""The lake: Delta tables under one root, each slice of dates replaced in one commit.

A table is a folder of Parquet files, each sorted and carrying its least and greatest values, so that a reader opens
only those it needs. Files are not laid out by day: a day replaced inside a larger file leaves the file's other days
behind in a new one, and a commit merges small files of like size, so that fifteen years of one person are dozens of
files, not thousands. What belongs here is storing and finding; computing belongs to the engines.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pyarrow as pa

from resources import lake_format
from resources.errors import TuttiError
from resources.files import writing_to
from resources.frames.filters import RangeFilter
from resources.frames.frame import Frame
from resources.frames.scan import Scan
from resources.lake.delta_table import KEEP_DAYS, exists, opened, prepare, understood
from resources.lake.file_stats import files, misses
from resources.lake.lease import lease
from resources.lake.vacuum import Vacuumed, forget, vacuum
from resources.lake.write_transaction import WriteTransaction, Written
from resources.storage import Storage


class Lake:
    """Tables by name ("layer/asset") under one folder."""

    def __init__(self, root: str | Path | Storage) -> None:
        self.root = Storage.at(root)

    def check(self) -> None:
        """Raise `TuttiError` if the tables have another format than this version's."""
        lake_format.check(self.root)

    def tables(self) -> list[str]:
        """The names of all tables."""
        found = (f"{layer}/{name}" for layer in self.root.folders() for name in (self.root / layer).folders())
        return sorted(name for name in found if self.exists(name))

    def filled(self) -> "Lake":
        """Itself. Raises `TuttiError` where it has no table: most often another folder was meant."""
        if not self.tables():
            where = self.root if self.root.remote else Path(self.root).parent
            raise TuttiError(f"there is nothing in {where} yet: import first, or name the folder (DATA=)")
        return self

    def exists(self, table: str) -> bool:
        """Whether the table has been written."""
        return exists(self.root / table)

    def scan(self, table: str, schema: pa.Schema, slice: RangeFilter | None = None, version: int | None = None) -> Scan:
        """Find the rows of a table, all or those of a filter, now or at an earlier version; none if never written.

        Versions older than `KEEP_DAYS` may be gone. Raises `TuttiError` for tables of another format.
        """
        self.check()
        if not self.exists(table):
            return Scan([], _plain(schema))
        log = opened(self.root / table, version)
        found = [str(self.root / table / f["path"]) for f in files(log) if slice is None or not misses(f, slice)]
        return Scan(found, _plain(schema), slice, log.version())

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
            lake_format.claim(self.root)
            prepare(folder, stored)
        # In a bucket nothing can be locked: there a vacuum goes by age.
        with nullcontext(uuid.uuid4().hex) if folder.remote else lease(Path(folder)) as id:
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
        self.check()
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
        self.check()
        if self.root.remote:
            raise TuttiError(f"{self.root / table} is in a bucket, where other machines may be reading old versions")
        vacuum(self.root / table, 0)
        forget(Path(self.root, table))

    def stored(self, table: str) -> pa.Schema:
        """A table's columns, as they are stored."""
        return pa.schema(opened(self.root / table).schema().to_arrow())

    def rows(self, table: str) -> int:
        """How many rows a table has, as its log tells; none before it is written."""
        return sum(file["num_records"] for file in files(opened(self.root / table))) if self.exists(table) else 0

    def version(self, table: str) -> int:
        """The table's newest version."""
        return opened(self.root / table).version()


def _plain(schema: pa.Schema) -> pa.Schema:
    """A declared schema as it is stored: what must not be null is for checks to say, so that one can look at it."""
    comments = {f.name: {"comment": f.metadata[b"comment"]} for f in schema if f.metadata and b"comment" in f.metadata}
    return pa.schema([pa.field(f.name, f.type, metadata=comments.get(f.name)) for f in schema])
