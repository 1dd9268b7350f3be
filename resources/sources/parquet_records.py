"""Records out of Parquet, one row group's batch after the other: the only source that reads tables as such.

Row groups are read from a file of their own; what streams out of an archive is put into a temporary one first.
"""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from typing import IO, Any

from resources.sources.archive import DAMAGED, Member
from resources.sources.json_records import Record

MAGIC = b"PAR1"
BATCH = 10_000  # rows turned into records at once
BLOCK = 1 << 20  # bytes copied at once


def records(member: Member, columns: frozenset[str]) -> Iterator[Record]:
    """The rows of a file, those columns of them that are named, by their index."""
    if member.path:
        yield from _rows(member, member.path.open("rb"), columns)
        return
    with tempfile.TemporaryFile() as file:
        while block := member.read(BLOCK):
            file.write(block)
        yield from _rows(member, file, columns)


def _rows(member: Member, file: IO[bytes], columns: frozenset[str]) -> Iterator[Record]:
    import pyarrow as pa  # noqa: TID251 (Parquet is a table: here, and nowhere else in this room)
    import pyarrow.parquet as pq  # noqa: TID251

    number = 0
    try:
        with closing(file), pq.ParquetFile(file) as table:
            names = [name for name in table.schema_arrow.names if name in columns]
            for batch in table.iter_batches(BATCH, columns=names, use_threads=False):
                rows: list[dict[str, Any]] = batch.to_pylist()
                for row in rows:
                    yield Record(number, "", row)
                    number += 1
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError):
        member.damage = DAMAGED
