"""The ledger: which files are imported, and what became of each of their records.

A file is known by its content, so that importing it twice changes nothing. Each record is written to the table of its
type, and a record that cannot be read to `quarantine` with the reason. A row of `imports`, written last, completes the
file: a killed run leaves no such row, and the next one imports the file again. Files enter by `batch` alone.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from assets.imports.deletions import DELETION_RECORDS
from assets.imports.record_type import ARRIVAL, RecordType
from assets.imports.record_types import RECORD_TYPES
from resources.errors import TuttiError
from resources.folders.landing import Landed
from resources.frames.filters import RangeFilter, ValuesFilter
from resources.frames.frame import Frame
from resources.lake.lake import Lake
from resources.lake.write_transaction import WriteTransaction
from resources.schema import INSTANT, as_table, column
from resources.sources import exports
from resources.sources.records.listen import RecordResult

QUARANTINE = pa.schema(
    [
        column("file", pa.string(), "name of the file, and of its member in an archive"),
        column("record", pa.int64(), "line from 1, or index from 0 in a JSON array; -1 for the file as a whole"),
        column("reason", pa.string(), "what is wrong with the record"),
        column("raw", pa.string(), "its text without personal fields, up to 10,000 characters", personal=True),
        column("seen_at", INSTANT, "when it was read", unit="UTC"),
        ARRIVAL[-1],
    ]
)
IMPORTS = pa.schema(
    [
        ARRIVAL[-1],
        column("file", pa.string(), "name of the file"),
        column("listener", pa.string(), "for whom it was imported, if one person", null=True, personal=True),
        *(
            column(k.counted, pa.int64(), f"rows of {k.table}; null where older than that table", null=True)
            for k in RECORD_TYPES
        ),
        column("quarantined", pa.int64(), "records that could not be read"),
        column("skipped", pa.int64(), "well-formed records that are no music, such as podcast episodes"),
        column("first_day", pa.date32(), "earliest UTC day that it tells of", null=True),
        column("last_day", pa.date32(), "latest UTC day that it tells of", null=True),
        column("imported_at", INSTANT, "when it was read", unit="UTC"),
        column("landing_path", pa.string(), "where it lay in the landing folder, if it did", null=True),
        column("bytes", pa.int64(), "how large it was there", null=True),
        column("modified_at", INSTANT, "when it was last written to there", unit="UTC", null=True),
    ]
)
TABLES = (*((k.table, k.schema, k.order) for k in RECORD_TYPES), ("events/quarantine", QUARANTINE, ("file", "record")))
COUNTS = (*(k.counted for k in RECORD_TYPES), "quarantined", "skipped")
LYING = ("landing_path", "bytes", "modified_at")
CHUNK = 200_000  # records held in memory: about 200 MB
WHOLE = -1  # the record that stands for its whole file

MACHINE = OSError, MemoryError  # errors of the machine, whatever file is imported


class Unexpected(TuttiError):
    """Files on which this program fails. They may hold what nobody thought of, so that others are not affected."""


Tell: TypeAlias = Callable[[RecordType, Sequence[date]], object]


@contextmanager
def explained() -> Iterator[None]:
    """Raise `Unexpected` for an error that neither the readers, the disk, the lake nor the memory explain."""
    try:
        yield
    except (TuttiError, *MACHINE):
        raise
    except Exception as error:
        from deltalake.exceptions import DeltaError

        if isinstance(error, DeltaError):
            raise
        raise Unexpected(f"importing it failed with {type(error).__name__}: {error}. Please report this") from error


def untold(kind: RecordType, days: Sequence[date]) -> None:
    """Tell nobody which days have new rows."""


def known(lake: Lake, slice: ValuesFilter) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the ledger that a slice names, by import_id."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in lake.scan("events/imports", IMPORTS, slice).table().to_pylist():
        rows.setdefault(row["import_id"], []).append(row)
    return rows


def replace_imports(rows: Sequence[Mapping[str, Any]], lake: Lake, slice: RangeFilter) -> None:
    """Make these the rows of `imports` in a slice of it. From then on the files they name are imported."""
    lake.replace("events/imports", iter([pa.Table.from_pylist(list(rows), IMPORTS)]), IMPORTS, slice)


def lying(file: Landed) -> dict[str, Any]:
    """How a file of the landing folder lies there, as a row of `imports` tells."""
    return dict(zip(LYING, (file.path, file.bytes, file.modified_at), strict=True))


def lay(row: Mapping[str, Any]) -> Landed | None:
    """How a file lay in the landing folder, if it did, as a row of `imports` tells."""
    return None if row["landing_path"] is None else Landed.recorded(*(row[n] for n in LYING))


def prepare(lake: Lake) -> None:
    """Make the tables of all kinds, so that they are there also before the first file has such records."""
    for table, schema, _ in TABLES[: len(RECORD_TYPES)]:
        if not lake.exists(table):
            with lake.writing(table, schema):
                pass


def identify(path: Path, listener: str | None) -> str:
    """What a file is known by."""
    return sha256(f"{exports.fingerprint(path)} {listener or ''}".encode()).hexdigest()[:32]


def refusal(file: str, error: Exception) -> list[RecordResult]:
    """The record that stands for a file of which nothing can be read."""
    return [RecordResult(file, WHOLE, reason=str(error), raw="")]


def write(
    files: Iterable[tuple[str, Iterable[RecordResult]]], lake: Lake, slice: RangeFilter, now: datetime, tell: Tell
) -> dict[str, dict[str, Any]]:
    """Write each record of some files, by import_id, to its table in one commit a table, and tell of the days.

    Returns what `imports` says of each. The slice has these files and no other that counts as in. Raises `Unexpected`
    if this program fails to read or write the records.
    """
    told: dict[str, dict[str, Any]] = {}
    days = {k.table: set[date]() for k in RECORD_TYPES if k.dated}
    with explained():
        commit(_gathered(tables(files, now, told, days)), lake, slice)
    tell_of(days, told.values(), lake, slice, tell)
    return told


def tell_of(
    days: Mapping[str, set[date]], told: Iterable[Mapping[str, Any]], lake: Lake, slice: RangeFilter, tell: Tell
) -> None:
    """Tell of the days of each table that have new rows, or rows that new deletions name."""
    taken_back = _deleted(lake, slice) if any(row[DELETION_RECORDS.counted] for row in told) else {}
    for kind in RECORD_TYPES:
        if changed := days.get(kind.table, set()) | taken_back.get(kind.table, set()):
            tell(kind, sorted(changed))


def _deleted(lake: Lake, slice: RangeFilter) -> dict[str, set[date]]:
    """The days of what the deletions in a slice take back, as far as that was told before."""
    deletions = lake.scan(DELETION_RECORDS.table, DELETION_RECORDS.schema, slice)
    new = deletions.select(["deleted_id"]).table()["deleted_id"]
    found: dict[str, set[date]] = {}
    for kind in RECORD_TYPES:
        if kind.id and len(new):
            named = lake.scan(kind.table, kind.schema, ValuesFilter.of(kind.id, new.to_pylist())).select(["day"])
            found[kind.table] = set(named.table()["day"].unique().to_pylist())
    return found


def commit(found: Iterable[Sequence[Frame | pa.Table | None]], lake: Lake, slice: RangeFilter) -> int:
    """Make rows for each table, part by part, the slice of it, in one commit a table; how many there were."""
    drafts: dict[str, WriteTransaction] = {}
    rows = 0
    with ExitStack() as stack:
        for part in found:
            for (table, schema, order), new in zip(TABLES, part, strict=True):
                if new is None or (isinstance(new, pa.Table) and not len(new)):
                    continue
                if table not in drafts:
                    drafts[table] = stack.enter_context(lake.writing(table, schema, order))
                drafts[table].write(new if isinstance(new, Frame) else iter([new]))
        for table, schema, order in TABLES:
            if table not in drafts and _left(lake, table, schema, slice):
                drafts[table] = stack.enter_context(lake.writing(table, schema, order))
            if table in drafts:
                rows += drafts[table].publish(slice).rows
    return rows


def tables(
    files: Iterable[tuple[str, Iterable[RecordResult]]],
    now: datetime,
    told: dict[str, dict[str, Any]],
    days: dict[str, set[date]],
) -> Iterator[list[pa.Table]]:
    """The rows of each file for each of `TABLES`, chunk by chunk; counts and days are entered as they are found."""
    for import_id, reads in files:
        row: dict[str, Any] = dict.fromkeys(COUNTS, 0) | {"first_day": None, "last_day": None}
        told[import_id] = row
        for chunk in _chunks(iter(reads)):
            found = [k.rows(chunk, import_id) for k in RECORD_TYPES] + [quarantine_rows(chunk, import_id, now)]
            for kind, new in zip(RECORD_TYPES, found, strict=False):
                row[kind.counted] += len(new)
                if kind.dated and len(new):
                    found_on = set(new["day"].unique().to_pylist())
                    days[kind.table] |= found_on
                    row["first_day"] = min(found_on | {row["first_day"] or min(found_on)})
                    row["last_day"] = max(found_on | {row["last_day"] or max(found_on)})
            row["quarantined"] += len(found[-1])
            row["skipped"] += len(chunk) - sum(map(len, found))
            yield found


def _gathered(found: Iterable[list[pa.Table]]) -> Iterator[list[pa.Table]]:
    """Rows of small files together, as many as a large one has in a chunk."""
    held: list[list[pa.Table]] = []
    size = 0
    for tables in found:
        held.append(tables)
        size += sum(map(len, tables))
        if size >= CHUNK:
            yield [pa.concat_tables(same) for same in zip(*held, strict=True)]
            held, size = [], 0
    if held:
        yield [pa.concat_tables(same) for same in zip(*held, strict=True)]


def _left(lake: Lake, table: str, schema: pa.Schema, slice: RangeFilter) -> bool:
    """Whether a run that was killed left rows of these files in a table."""
    return lake.scan(table, schema, slice).dataset().count_rows() > 0


def quarantine_rows(reads: Sequence[RecordResult], import_id: str, now: datetime) -> pa.Table:
    """The records of a file that could not be read."""
    return as_table([(r.file, r.record, r.reason, r.raw or "", now, import_id) for r in reads if r.reason], QUARANTINE)


def _chunks(reads: Iterator[RecordResult]) -> Iterator[list[RecordResult]]:
    while chunk := list(islice(reads, CHUNK)):
        yield chunk
