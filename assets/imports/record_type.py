"""A kind: one sort of record that files give, and the table that holds such records."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pyarrow as pa

from resources.schema import INSTANT, as_table, column, declare
from resources.sources.records.listen import Read

ARRIVAL = (
    column("file", pa.string(), "name of the file, and of its member in an archive"),
    column("record", pa.int64(), "line from 1, or index from 0 in a JSON array"),
    column("import_id", pa.string(), "the file's content and listener, as half a SHA-256"),
)
"""The last columns of every kind: where a record was read."""
BY_ARRIVAL = ["import_id", "file", "record"]
"""The same by name, in the order in which records are told apart that are equal else."""


@dataclass(frozen=True)
class Kind:
    """Records of one sort. A table with a `day` is told day by day, any other as a whole."""

    table: str  # "events/raw_listens"
    says: str  # what the table is, for the catalogue
    counted: str  # the column of `imports` that counts them
    found: type  # what the reader of a file makes of such a record
    schema: pa.Schema  # the columns of `row`, then ARRIVAL
    row: Callable[[Any], tuple[Any, ...]]  # what a record says, in the order of the schema
    order: tuple[str, ...]  # how rows are sorted in files
    row_key: tuple[str, ...] = ()  # the columns that identify a row, if the table promises them
    id: str | None = None  # the column by which a retraction may name rows

    @property
    def dated(self) -> bool:
        """Whether rows have a day."""
        return "day" in self.schema.names

    @property
    def happened(self) -> str | None:
        """The column that tells when what a row of a day is about happened, if one does: its first instant."""
        return next((f.name for f in self.schema if f.type == INSTANT), None) if self.dated else None

    @property
    def key(self) -> dg.AssetKey:
        """The table as an asset."""
        return dg.AssetKey(self.table.split("/"))

    @property
    def spec(self) -> dg.AssetSpec:
        """The table as the catalogue shows it."""
        slices = "day" if self.dated else None
        metadata = declare(self.schema, key=self.row_key, slices=slices, order=self.order)
        return dg.AssetSpec(self.key, description=self.says, metadata=metadata)

    def rows(self, reads: Sequence[Read], import_id: str) -> pa.Table:
        """The records of this kind among those of a file."""
        found = [(*self.row(r.found), r.file, r.record, import_id) for r in reads if isinstance(r.found, self.found)]
        return as_table(found, self.schema)
