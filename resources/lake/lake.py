"""The lake: Delta tables under one root. Each write replaces a table, or a slice of dates, in one commit.

A table is a folder of sorted Parquet files. The log has each file's least and greatest values, so that a reader opens
only the files it needs. Files are not divided by day: if a day inside a larger file is replaced, the file's other days
move to a new file. Each commit also merges small files of similar size, so fifteen years of one listener are dozens of
files, not thousands. This module stores and finds rows; engines compute them.
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
from resources.lake.delta_table import KEEP_DAYS, exists, open_table, plain_errors, prepare
from resources.lake.file_stats import files, misses
from resources.lake.lease import lease
from resources.lake.vacuum import Vacuumed, drop_history, vacuum
from resources.lake.write_transaction import WriteTransaction, Written
from resources.storage import Storage


class Lake:
    """The tables below one folder, by name ("layer/asset")."""

    def __init__(self, root: str | Path | Storage) -> None:
        self.root = Storage.at(root)

    def check(self) -> None:
        """Raise `TuttiError` if the format of the tables is not this version's."""
        lake_format.check(self.root)

    def tables(self) -> list[str]:
        """Return the names of all tables, sorted."""
        names = (f"{layer}/{name}" for layer in self.root.folders() for name in (self.root / layer).folders())
        return sorted(name for name in names if self.exists(name))

    def require_tables(self) -> "Lake":
        """Return the lake itself. Raises `TuttiError` if it has no table."""
        if not self.tables():
            where = self.root if self.root.remote else Path(self.root).parent
            raise TuttiError(f"no data in {where}. Import something first, or set DATA to the right folder.")
        return self

    def exists(self, table: str) -> bool:
        """Return whether the table has been written."""
        return exists(self.root / table)

    def scan(self, table: str, schema: pa.Schema, where: RangeFilter | None = None, version: int | None = None) -> Scan:
        """Return a scan of a table: all rows or those that `where` selects, of the newest or an earlier version.

        A table that was never written has no rows. Raises `TuttiError` if the tables have another format, or if the
        version is older than `KEEP_DAYS` and was removed.
        """
        self.check()
        if not self.exists(table):
            return Scan([], _plain(schema))
        log = open_table(self.root / table, version)
        paths = [str(self.root / table / f["path"]) for f in files(log) if where is None or not misses(f, where)]
        return Scan(paths, _plain(schema), where, log.version())

    def replace(
        self,
        table: str,
        rows: Frame | Iterator[pa.Table],
        schema: pa.Schema,
        where: RangeFilter | None = None,
        order: Sequence[str] = (),
    ) -> Written:
        """Compute rows and commit them as the new content of the table, or of the part that `where` selects.

        Readers see the old version until the commit and the new one after it. `order` names the columns by which rows
        are sorted in files. Raises `TuttiError`, and leaves the table unchanged, if rows are outside `where`, if they
        do not fit the schema, or if the disk is full or read-only.
        """
        with self.writing(table, schema, order) as draft:
            draft.write(rows)
            return draft.publish(where)

    @contextmanager
    def writing(self, table: str, schema: pa.Schema, order: Sequence[str] = ()) -> "Iterator[WriteTransaction]":
        """Open a write transaction for one or more commits. Files that are not published are removed at the end."""
        folder, stored = self.root / table, _plain(schema)
        with writing_to(folder), plain_errors(folder):
            lake_format.claim(self.root)
            prepare(folder, stored)
        # Files in a bucket cannot be locked; there a vacuum decides by age.
        with nullcontext(uuid.uuid4().hex) if folder.remote else lease(Path(folder)) as lease_id:
            draft = WriteTransaction(folder, stored, tuple(order), lease_id)
            try:
                yield draft
            finally:
                draft.discard()

    def vacuum(self, table: str, keep_days: int = KEEP_DAYS) -> Vacuumed:
        """Remove files that no version of the last `keep_days` days contains, and files that killed jobs left behind.

        A running job keeps the files it has written and, within `keep_days`, the files it reads. Values above
        `KEEP_DAYS` have no effect.
        """
        self.check()
        return vacuum(self.root / table, keep_days)

    def rewrite(
        self, table: str, schema: pa.Schema, change: Callable[[pa.Table], pa.Table], order: Sequence[str] = ()
    ) -> int:
        """Replace each file's rows with the result of `change`, in one commit, and return the number of rows removed.

        A file stays if `change` returns the same table object. No other process may write to the table meanwhile.
        """
        with self.writing(table, schema, order) as draft:
            return draft.rewrite(change)

    def drop_history(self, table: str) -> None:
        """Remove all earlier versions from the log and the disk.

        No other process may read or write the table meanwhile. Raises `TuttiError` if the lake is in a bucket.
        """
        self.check()
        if self.root.remote:
            raise TuttiError(
                f"cannot remove the old versions of {self.root / table}: other machines may be reading them"
            )
        vacuum(self.root / table, 0)
        drop_history(Path(self.root, table))

    def stored(self, table: str) -> pa.Schema:
        """Return a table's columns as they are stored."""
        return pa.schema(open_table(self.root / table).schema().to_arrow())

    def rows(self, table: str) -> int:
        """Return the number of rows according to the log; 0 if the table was never written."""
        return sum(file["num_records"] for file in files(open_table(self.root / table))) if self.exists(table) else 0

    def version(self, table: str) -> int:
        """Return the number of a table's newest version."""
        return open_table(self.root / table).version()


def _plain(schema: pa.Schema) -> pa.Schema:
    """Return a declared schema as it is stored: nullable, so that checks can report nulls and people can see them."""
    comments = {f.name: {"comment": f.metadata[b"comment"]} for f in schema if f.metadata and b"comment" in f.metadata}
    return pa.schema([pa.field(f.name, f.type, metadata=comments.get(f.name)) for f in schema])
