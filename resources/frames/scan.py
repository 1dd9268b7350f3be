"""Scans: which rows of a stored table an engine is to read, and how they divide.

What belongs here is reading Parquet with Arrow; engines with a reader of their own only take the names of the files.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import pyarrow.compute as pc


@dataclass(frozen=True)
class Scan:
    """Some rows of a stored table: its files, the columns wanted, and a range of dates, both ends included."""

    files: Sequence[str]
    schema: pa.Schema
    column: str | None = None
    first: date | None = None
    last: date | None = None

    def select(self, columns: Sequence[str]) -> "Scan":
        """The same rows with fewer columns; the dated one is still read to find them."""
        return replace(self, schema=pa.schema([self.schema.field(c) for c in columns]))

    def table(self) -> pa.Table:
        """Read the rows into memory."""
        import pyarrow.dataset as ds

        if not self.files:
            return self.schema.empty_table()
        return ds.dataset(list(self.files), self.stored, "parquet").to_table(self.schema.names, filter=self.within)

    def split(self, rows: int = 1_000_000) -> "Iterator[Share]":
        """Shares of about `rows` rows, each some row groups of one file, for engines that read in many places."""
        import pyarrow.parquet as pq

        for file in self.files:
            groups: list[int] = []
            size, meta = 0, pq.read_metadata(file)
            for i in range(meta.num_row_groups):
                groups, size = [*groups, i], size + meta.row_group(i).num_rows
                if size >= rows or i == meta.num_row_groups - 1:
                    yield Share(self, file, tuple(groups))
                    groups, size = [], 0

    @property
    def stored(self) -> pa.Schema:
        """The columns to open the files with: those wanted and the dated one."""
        dated = self.column is not None and self.column not in self.schema.names
        return self.schema.append(pa.field(self.column, pa.date32())) if dated else self.schema

    @property
    def within(self) -> "pc.Expression | None":
        """The condition on dates, or none."""
        import pyarrow.dataset as ds

        if self.column is None or self.first is None:
            return None
        return (ds.field(self.column) >= self.first) & (ds.field(self.column) <= self.last)


@dataclass(frozen=True)
class Share:
    """Some row groups of one file of a scan."""

    scan: Scan
    file: str
    groups: tuple[int, ...]

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the rows into memory."""
        import pyarrow.dataset as ds
        from pyarrow.fs import LocalFileSystem

        scan = self.scan.select(columns) if columns is not None else self.scan
        fragment = ds.ParquetFileFormat().make_fragment(self.file, LocalFileSystem(), row_groups=list(self.groups))
        return fragment.to_table(scan.stored, columns=scan.schema.names, filter=scan.within)
