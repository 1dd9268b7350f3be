"""Records of landed files, read by Spark tasks: records of all types as rows of one table.

The ledger's own `tables` converts the records, so the result is the same as in an import by one process. The last row
of each file is its outcome. The sink decides whether the file's records count.
"""

import pickle
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets.imports.ledger import TABLES, identify, refusal, tables
from assets.imports.record_types import RECORD_TYPES
from resources.engines.cogroup import SIDE, side_column
from resources.errors import TuttiError
from resources.folders.landing import Landed, Landing
from resources.schema import INSTANT
from resources.sources import exports
from resources.sources.readers.archive import UnsupportedFile
from resources.sources.records.listen import RecordResult

LANDED, REFUSED, HAPPENED, OUTCOME = "landed", "refused", "happened_at", "outcome"
SCHEMA = pa.schema(
    [
        pa.field(LANDED, pa.string()),  # the file's path in the landing folder
        pa.field(
            REFUSED, pa.bool_()
        ),  # whether the file has an unsupported format, so that this row quarantines the whole file
        pa.field(HAPPENED, INSTANT),  # time of the event, if the record type has one
        pa.field(OUTCOME, pa.binary()),  # a pickled `Outcome` in the last row of a file
        pa.field(SIDE, pa.int64()),  # index of the record's table in `TABLES`; null for an outcome
        *(
            pa.field(side_column(n), pa.struct([pa.field(f.name, f.type) for f in schema]))
            for n, (_, schema, _) in enumerate(TABLES)
        ),
    ]
)
TIME_COLUMNS = (*(kind.happened for kind in RECORD_TYPES), None)  # by index in `TABLES`


@dataclass(frozen=True)
class Outcome:
    """The result of reading a file: its row of `imports`, and the days of each table that it has rows of."""

    file: Landed
    import_id: str = ""
    row: dict[str, Any] = field(default_factory=dict)
    days: dict[str, set[date]] = field(default_factory=dict)
    refused: bool = False
    postponed: str | None = None  # the reason why the file could not be read yet


def read_files(landing: Landing, files: Iterable[Landed], now: datetime) -> Iterator[pa.RecordBatch]:
    """Yield the records of each file, then its outcome. An unreadable file does not hold up the others."""
    for file in files:
        name, outcome = Path(file.path).name, Outcome(file)
        try:
            with landing.opened(file) as path:
                import_id = identify(path, None)
                try:
                    outcome = yield from _rows(file, import_id, exports.read(path, None, now, name), now)
                except UnsupportedFile as error:
                    outcome = yield from _rows(file, import_id, refusal(name, error), now, refused=True)
            if landing.state_of(file.path) != file:
                outcome = Outcome(file, postponed="it changed while Tutti read it")
        except (TuttiError, FileNotFoundError) as error:  # unreadable, removed, or the object store does not answer
            outcome = Outcome(file, postponed=str(error))
        except Exception as error:  # it would end the stream, and every stream that is started again
            outcome = Outcome(file, postponed=f"reading it failed with {type(error).__name__}. Please report this")
        yield _batch(file, 1, {OUTCOME: pa.array([pickle.dumps(outcome)], pa.binary())})


def _rows(
    file: Landed, import_id: str, reads: Iterable[RecordResult], now: datetime, refused: bool = False
) -> Generator[pa.RecordBatch, None, Outcome]:
    """Yield the records of a file, and return its outcome."""
    imports: dict[str, dict[str, Any]] = {}
    days = {k.table: set[date]() for k in RECORD_TYPES if k.dated}
    for batch in tables([(import_id, reads)], now, imports, days):
        for side, rows in enumerate(batch):
            if len(rows):
                yield _tagged(file, side, rows, refused)
    return Outcome(file, import_id, imports[import_id], days, refused)


def _tagged(file: Landed, side: int, rows: pa.Table, refused: bool) -> pa.RecordBatch:
    """Return rows of one of `TABLES` in the columns of `SCHEMA`."""
    fields = list(SCHEMA.field(side_column(side)).type)
    columns = {
        REFUSED: pa.repeat(refused, len(rows)),
        SIDE: pa.repeat(pa.scalar(side, pa.int64()), len(rows)),
        side_column(side): pa.StructArray.from_arrays([c.combine_chunks() for c in rows.columns], fields=fields),
    }
    if happened := TIME_COLUMNS[side]:
        columns[HAPPENED] = rows[happened].combine_chunks()
    return _batch(file, len(rows), columns)


def _batch(file: Landed, size: int, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """Return rows of a file in the columns of `SCHEMA`. Missing columns are null."""
    present = {LANDED: pa.repeat(file.path, size), **columns}
    arrays = [present[f.name] if f.name in present else pa.nulls(size, f.type) for f in SCHEMA]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
