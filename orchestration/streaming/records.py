"""Landed files read where an engine's workers are: the records of all kinds travel as rows of one table.

What becomes of a record is told by the ledger's own `tables`, so that it is the same as where one process reads. After
the records of a file comes what became of it as a whole; whether they count is decided by whoever enters it.
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
from resources.sources.records.listen import Read

LANDED, REFUSED, HAPPENED, OUTCOME = "landed", "refused", "happened_at", "outcome"
TRAVELLING = pa.schema(
    [
        pa.field(LANDED, pa.string()),  # the file's place in the landing folder
        pa.field(REFUSED, pa.bool_()),  # whether the row stands for the file as a whole, which is none of our formats
        pa.field(HAPPENED, INSTANT),  # when what the record is about happened, where its kind tells
        pa.field(OUTCOME, pa.binary()),  # of the last row of a file, a pickled `Outcome`
        pa.field(SIDE, pa.int64()),  # in which of `TABLES` the record belongs; none for an outcome
        *(
            pa.field(side_column(n), pa.struct([pa.field(f.name, f.type) for f in schema]))
            for n, (_, schema, _) in enumerate(TABLES)
        ),
    ]
)
INSTANTS = (*(kind.happened for kind in RECORD_TYPES), None)  # by the places of `TABLES`


@dataclass(frozen=True)
class Outcome:
    """What became of a file: what its row of `imports` says, and which days of which tables it has rows of."""

    file: Landed
    import_id: str = ""
    told: dict[str, Any] = field(default_factory=dict)
    days: dict[str, set[date]] = field(default_factory=dict)
    refused: bool = False
    later: str | None = None  # why nothing is known yet, if so


def travelling(landing: Landing, files: Iterable[Landed], now: datetime) -> Iterator[pa.RecordBatch]:
    """The records of files, and after those of each what became of it; what cannot be read now holds up no other."""
    for file in files:
        name, outcome = Path(file.path).name, Outcome(file)
        try:
            with landing.opened(file) as path:
                id = identify(path, None)
                try:
                    outcome = yield from _rows(file, id, exports.read(path, None, now, name), now)
                except UnsupportedFile as error:
                    outcome = yield from _rows(file, id, refusal(name, error), now, refused=True)
            if landing.look(file.path) != file:
                outcome = Outcome(file, later="it was written to while it was read")
        except (TuttiError, FileNotFoundError) as error:  # unreadable, gone, or the object store does not answer
            outcome = Outcome(file, later=str(error))
        except Exception as error:  # a stream would end by it, and again each time it is begun
            outcome = Outcome(file, later=f"reading it failed with {type(error).__name__}: please report this")
        yield _batch(file, 1, {OUTCOME: pa.array([pickle.dumps(outcome)], pa.binary())})


def _rows(
    file: Landed, id: str, reads: Iterable[Read], now: datetime, refused: bool = False
) -> Generator[pa.RecordBatch, None, Outcome]:
    """The records of a file; returned is what became of it."""
    told: dict[str, dict[str, Any]] = {}
    days = {k.table: set[date]() for k in RECORD_TYPES if k.dated}
    for found in tables([(id, reads)], now, told, days):
        for side, rows in enumerate(found):
            if len(rows):
                yield _tagged(file, side, rows, refused)
    return Outcome(file, id, told[id], days, refused)


def _tagged(file: Landed, side: int, rows: pa.Table, refused: bool) -> pa.RecordBatch:
    """Rows of one of `TABLES`, as they travel."""
    fields = list(TRAVELLING.field(side_column(side)).type)
    columns = {
        REFUSED: pa.repeat(refused, len(rows)),
        SIDE: pa.repeat(pa.scalar(side, pa.int64()), len(rows)),
        side_column(side): pa.StructArray.from_arrays([c.combine_chunks() for c in rows.columns], fields=fields),
    }
    if happened := INSTANTS[side]:
        columns[HAPPENED] = rows[happened].combine_chunks()
    return _batch(file, len(rows), columns)


def _batch(file: Landed, size: int, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """Rows of a file with these columns, and nothing in the others."""
    whole = {LANDED: pa.repeat(file.path, size), **columns}
    arrays = [whole[f.name] if f.name in whole else pa.nulls(size, f.type) for f in TRAVELLING]
    return pa.RecordBatch.from_arrays(arrays, schema=TRAVELLING)
