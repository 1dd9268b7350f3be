"""Record types: what every kind of imported record has in common.

A record type names a dataclass that readers produce and the table that stores such records. The table has the fields
of the dataclass as columns of the same names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from assets.imports.name_key import NAME_KEY, name_keys
from resources.schema import INSTANT, column, declare
from resources.sources.records.listen import RecordResult
from resources.span import UNDATED

ARRIVAL = (
    column("file", pa.string(), "name of the file, with its path in an archive"),
    column("record", pa.int64(), "line number from 1, or index from 0 in a JSON array"),
    column("import_id", pa.string(), "id of the import: half a SHA-256 of the file's content and the listener"),
)
"""The last columns of every record type: the place of a record in its file."""
BY_ARRIVAL = ["import_id", "file", "record"]
"""The same columns, in the order in which otherwise equal records are sorted."""


@dataclass(frozen=True)
class RecordType:
    """One kind of record and its table. A table that is `dated_by` a field is partitioned by day."""

    table: str  # "events/raw_listens"
    description: str  # of the table, in Dagster's catalog
    counted: str  # the column of `imports` that counts these records
    record: type  # the dataclass that readers produce
    schema: pa.Schema  # `day` if dated, fields of the record, NAME_KEY if it names a recording, ARRIVAL
    order: tuple[str, ...]  # the columns by which rows are sorted in files
    row_key: tuple[str, ...] = ()  # the columns that identify a row, if the table promises this
    dated_by: str | None = None  # the field that gives the day, in UTC; a null becomes UNDATED
    id: str | None = None  # the column by which a deletion names rows

    @property
    def dated(self) -> bool:
        """Whether rows have a day."""
        return self.dated_by is not None

    @property
    def happened(self) -> str | None:
        """The column with the instant that gives the day, or None if no instant does."""
        return self.dated_by if self.dated_by and self.schema.field(self.dated_by).type == INSTANT else None

    @property
    def key(self) -> dg.AssetKey:
        """The asset key of the table."""
        return dg.AssetKey(self.table.split("/"))

    @property
    def spec(self) -> dg.AssetSpec:
        """The asset spec of the table, with its columns, key and order."""
        slices = "day" if self.dated else None
        metadata = declare(self.schema, key=self.row_key, slices=slices, order=self.order)
        return dg.AssetSpec(self.key, description=self.description, metadata=metadata)

    def rows(self, reads: Sequence[RecordResult], import_id: str) -> pa.Table:
        """Return the records of this type among those of a file, in the columns of `schema`."""
        matching = [read for read in reads if isinstance(read.parsed, self.record)]
        records = [read.parsed for read in matching]
        columns: dict[str, pa.Array] = {
            "file": pa.array([read.file for read in matching], pa.string()),
            "record": pa.array([read.record for read in matching], pa.int64()),
            "import_id": pa.repeat(pa.scalar(import_id), len(matching)),
        }
        for field in self.schema:
            if field.name not in {*columns, "day", NAME_KEY.name}:
                columns[field.name] = pa.array(list(map(attrgetter(field.name), records)), field.type)
        if NAME_KEY.name in self.schema.names:
            columns[NAME_KEY.name] = name_keys(columns)
        if self.dated_by:
            columns["day"] = pc.fill_null(columns[self.dated_by].cast(pa.date32()), UNDATED)
        return pa.table([columns[name] for name in self.schema.names], self.schema)
