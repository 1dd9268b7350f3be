"""Records out of Parquet, one row group's batch after the other: the only source that reads tables as such.

Row groups are read from a file of their own; what streams out of an archive is put into a temporary one first.
"""

import tempfile
from collections.abc import Iterator
from typing import IO

from resources.sources.readers.archive import DAMAGED, DOWNLOAD, Member
from resources.sources.readers.json_records import Record

MAGIC = b"PAR1"
LOST = f"some row groups of the file are damaged and lost: {DOWNLOAD}"
BATCH = 10_000  # rows turned into records at once
BLOCK = 1 << 20  # bytes copied at once


def records(member: Member, columns: frozenset[str]) -> Iterator[Record]:
    """The rows of a file, those columns of them that are named, by their index."""
    if member.path:
        with member.path.open("rb") as file:
            yield from _rows(member, file, columns)
        return
    with tempfile.TemporaryFile() as file:
        while block := member.read(BLOCK):
            file.write(block)
        yield from _rows(member, file, columns)


def _rows(member: Member, file: IO[bytes], columns: frozenset[str]) -> Iterator[Record]:
    import pyarrow as pa  # noqa: TID251 (Parquet is a table: here, and nowhere else in this room)
    import pyarrow.parquet as pq  # noqa: TID251

    broken = (pa.ArrowException, OSError, ValueError, KeyError, OverflowError)
    try:
        table = pq.ParquetFile(file)
        names = [name for name in table.schema_arrow.names if name in columns]
    except broken:
        member.damage = DAMAGED
        return
    number = 0
    for group in range(table.num_row_groups):
        first = number
        try:
            for batch in table.iter_batches(BATCH, [group], names, use_threads=False):
                for row in batch.to_pylist():
                    yield Record(number, "", row)
                    number += 1
        except broken:
            member.damage = LOST
            number = first + table.metadata.row_group(group).num_rows
