"""Read the rows of a Parquet file as records, batch by batch.

Parquet needs random access, so a file inside an archive is first copied to a temporary file.
"""

from collections.abc import Iterator
from typing import IO

from resources.archives import Refused, spooled
from resources.sources.readers.archive import DAMAGED, DOWNLOAD, Member, unsupported
from resources.sources.readers.json_records import Record

MAGIC = b"PAR1"
LOST = f"some row groups of the file are damaged and were not imported: {DOWNLOAD}"
BATCH_ROWS = 10_000


def records(member: Member, columns: frozenset[str]) -> Iterator[Record]:
    """Yield the rows of a file, restricted to these columns, numbered from 0."""
    if member.path:
        with member.path.open("rb") as file:
            yield from _rows(member, file, columns)
        return
    try:
        copied, _ = spooled(member)
    except Refused as refused:
        raise unsupported(member.name, refused) from None
    with copied as file:
        yield from _rows(member, file, columns)


def _rows(member: Member, file: IO[bytes], columns: frozenset[str]) -> Iterator[Record]:
    import pyarrow as pa  # noqa: TID251 (needed for Parquet, and only here in this package)
    import pyarrow.parquet as pq  # noqa: TID251

    errors = (pa.ArrowException, OSError, ValueError, KeyError, OverflowError)
    try:
        table = pq.ParquetFile(file)
        names = [name for name in table.schema_arrow.names if name in columns]
    except errors:
        member.damage = DAMAGED
        return
    number = 0
    for group in range(table.num_row_groups):
        first = number
        try:
            for batch in table.iter_batches(BATCH_ROWS, [group], names, use_threads=False):
                for row in batch.to_pylist():
                    yield Record(number, "", row)
                    number += 1
        except errors:
            member.damage = LOST
            number = first + table.metadata.row_group(group).num_rows
