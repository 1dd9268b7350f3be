"""Record types: one sort of record that files contain, and the table that stores such records.

A table has the fields of its record by their names. What belongs here is what all record types have in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from assets.imports.name_key import NAME_KEY, name_keys
from assets.partitions import FIRST_DAY
from resources.schema import INSTANT, column, declare
from resources.sources.records.listen import RecordResult

ARRIVAL = (
    column("file", pa.string(), "name of the file, and of its member in an archive"),
    column("record", pa.int64(), "line from 1, or index from 0 in a JSON array"),
    column("import_id", pa.string(), "the file's content and listener, as half a SHA-256"),
)
"""The last columns of every record type: where a record was read."""
BY_ARRIVAL = ["import_id", "file", "record"]
"""The same by name, in the order in which otherwise equal records are sorted."""


@dataclass(frozen=True)
class RecordType:
    """Records of one sort. A table that is `dated_by` a field has partitions by day, any other is a whole."""

    table: str  # "events/raw_listens"
    description: str  # of the table, for the catalog
    counted: str  # the column of `imports` that counts them
    record: type  # the dataclass that a reader makes of such a record
    schema: pa.Schema  # `day` if it is dated, fields of the record, NAME_KEY if it names a recording, ARRIVAL
    order: tuple[str, ...]  # how rows are sorted in files
    row_key: tuple[str, ...] = ()  # the columns that identify a row, if the table promises them
    dated_by: str | None = None  # the field that gives the day, in UTC; FIRST_DAY where it is null
    id: str | None = None  # the column by which a deletion may name rows

    @property
    def dated(self) -> bool:
        """Whether rows have a day."""
        return self.dated_by is not None

    @property
    def happened(self) -> str | None:
        """The column with the instant that gives the day; None where no instant does."""
        return self.dated_by if self.dated_by and self.schema.field(self.dated_by).type == INSTANT else None

    @property
    def key(self) -> dg.AssetKey:
        """The table as an asset."""
        return dg.AssetKey(self.table.split("/"))

    @property
    def spec(self) -> dg.AssetSpec:
        """The table as the catalog shows it."""
        slices = "day" if self.dated else None
        metadata = declare(self.schema, key=self.row_key, slices=slices, order=self.order)
        return dg.AssetSpec(self.key, description=self.description, metadata=metadata)

    def rows(self, reads: Sequence[RecordResult], import_id: str) -> pa.Table:
        """Return the records of this type among those of a file."""
        own = [read for read in reads if isinstance(read.parsed, self.record)]
        found = [read.parsed for read in own]
        columns: dict[str, pa.Array] = {
            "file": pa.array([read.file for read in own], pa.string()),
            "record": pa.array([read.record for read in own], pa.int64()),
            "import_id": pa.repeat(pa.scalar(import_id), len(own)),
        }
        for field in self.schema:
            if field.name not in {*columns, "day", NAME_KEY.name}:
                columns[field.name] = pa.array(list(map(attrgetter(field.name), found)), field.type)
        if NAME_KEY.name in self.schema.names:
            columns[NAME_KEY.name] = name_keys(columns)
        if self.dated_by:
            columns["day"] = pc.fill_null(columns[self.dated_by].cast(pa.date32()), FIRST_DAY)
        return pa.table([columns[name] for name in self.schema.names], self.schema)
