"""Scans: the rows of a stored table that an engine reads, and how they divide into parts.

This module reads Parquet with Arrow. Engines that have their own reader use only the names of the files.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from resources.frames.filters import RangeFilter
from resources.storage import Storage

if TYPE_CHECKING:
    import pyarrow.compute as pc
    import pyarrow.dataset as ds
    from pyarrow.fs import FileSystem


@dataclass(frozen=True)
class Scan:
    """Rows of a stored table: files by path or s3:// address, the columns to read, and a filter."""

    files: Sequence[str]
    schema: pa.Schema
    filter: RangeFilter | None = None
    version: int | None = None  # version of the table

    def select(self, columns: Sequence[str]) -> "Scan":
        """Return a scan of the same rows with only these columns."""
        return replace(self, schema=pa.schema([self.schema.field(c) for c in columns]))

    def table(self) -> pa.Table:
        """Read the rows into memory."""
        return self.dataset().to_table(self.schema.names)

    def dataset(self) -> "ds.Dataset":
        """Open the rows with Arrow, including a column that only the filter needs."""
        import pyarrow.dataset as ds

        if not self.files:
            return ds.dataset(self.stored.empty_table())
        rows = ds.dataset([Storage(file).path for file in self.files], self.stored, "parquet", filesystem=self.fs)
        return rows if self.filter is None else rows.filter(self.filter.arrow)

    def split(self, rows: int = 1_000_000) -> "Iterator[ScanPart]":
        """Yield parts of about `rows` rows, each some row groups of one file, for engines that read in parallel."""
        import pyarrow.parquet as pq

        for file in self.files:
            groups: list[int] = []
            size, meta = 0, pq.read_metadata(Storage(file).path, filesystem=self.fs)
            for i in range(meta.num_row_groups):
                groups, size = [*groups, i], size + meta.row_group(i).num_rows
                if size >= rows or i == meta.num_row_groups - 1:
                    yield ScanPart(self, file, tuple(groups))
                    groups, size = [], 0

    @property
    def remote(self) -> bool:
        """Return whether the files are in a bucket, which the engines' own readers cannot read."""
        return bool(self.files) and Storage(self.files[0]).remote

    @property
    def fs(self) -> "FileSystem":
        """Return Arrow's file system for the files, which are all in one place."""
        return Storage(self.files[0]).fs

    @property
    def stored(self) -> pa.Schema:
        """Return the columns to read from the files: the requested ones and the filter's column."""
        if self.filter is None or self.filter.column in self.schema.names:
            return self.schema
        return self.schema.append(pa.field(self.filter.column, pa.scalar(self.filter.first).type))

    @property
    def condition(self) -> "pc.Expression | None":
        """Return the filter's condition for Arrow, or None."""
        return self.filter.arrow if self.filter else None


@dataclass(frozen=True)
class ScanPart:
    """A part of a scan: some row groups of one file."""

    scan: Scan
    file: str
    groups: tuple[int, ...]

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the rows into memory."""
        import pyarrow.dataset as ds

        scan = self.scan.select(columns) if columns is not None else self.scan
        place = Storage(self.file)
        fragment = ds.ParquetFileFormat().make_fragment(place.path, place.fs, row_groups=list(self.groups))
        return fragment.to_table(scan.stored, columns=scan.schema.names, filter=scan.condition)
