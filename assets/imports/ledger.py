"""The ledger: which files were imported, and the tables that their records were written to.

A file is identified by its content, so that importing it twice changes nothing. Each record is written to the table of
its type, and an unreadable record to `quarantine` with the reason. The file's row of `imports` is written last. A
killed run leaves no such row, and the next one imports the file again. Only `batch` imports files.
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
        column("file", pa.string(), "name of the file, with its path in an archive"),
        column("record", pa.int64(), "line number from 1, or index from 0 in a JSON array; -1 for the whole file"),
        column("reason", pa.string(), "reason why the record cannot be imported"),
        column("raw", pa.string(), "record without personal fields, up to 10,000 characters", personal=True),
        column("seen_at", INSTANT, "time of the import", unit="UTC"),
        ARRIVAL[-1],
    ]
)
IMPORTS = pa.schema(
    [
        ARRIVAL[-1],
        column("file", pa.string(), "name of the file"),
        column("listener", pa.string(), "listener named for the import, if any", null=True, personal=True),
        *(
            column(k.counted, pa.int64(), f"rows of {k.table}, null if imported before that table existed", null=True)
            for k in RECORD_TYPES
        ),
        column("quarantined", pa.int64(), "records that could not be read"),
        column("skipped", pa.int64(), "well-formed records that are not music, such as podcast episodes"),
        column("first_day", pa.date32(), "earliest UTC day of its records", null=True),
        column("last_day", pa.date32(), "latest UTC day of its records", null=True),
        column("imported_at", INSTANT, "time of the import", unit="UTC"),
        column("landing_path", pa.string(), "path in the landing folder, null if imported by name", null=True),
        column("bytes", pa.int64(), "size of the landed file", unit="bytes", null=True),
        column("modified_at", INSTANT, "time of the last write to the landed file", unit="UTC", null=True),
    ]
)
TABLES = (*((k.table, k.schema, k.order) for k in RECORD_TYPES), ("events/quarantine", QUARANTINE, ("file", "record")))
COUNTS = (*(k.counted for k in RECORD_TYPES), "quarantined", "skipped")
LANDING_COLUMNS = ("landing_path", "bytes", "modified_at")
CHUNK_RECORDS = 200_000  # records held in memory: about 200 MB
WHOLE_FILE = -1  # the record number that stands for a whole file

MACHINE_ERRORS = OSError, MemoryError  # independent of the file that is imported


class Unexpected(TuttiError):
    """Tutti failed on a file. Since its content may be the cause, other files are still imported."""


ReportDays: TypeAlias = Callable[[RecordType, Sequence[date]], object]
"""Called with a table's record type and its days with new rows or new deletions."""


@contextmanager
def unexpected_errors() -> Iterator[None]:
    """Raise `Unexpected` for any error except those of readers, disk, memory and lake."""
    try:
        yield
    except (TuttiError, *MACHINE_ERRORS):
        raise
    except Exception as error:
        from deltalake.exceptions import DeltaError

        if isinstance(error, DeltaError):
            raise
        raise Unexpected(f"import failed with {type(error).__name__}: {error}. Please report this error.") from error


def ignore_days(kind: RecordType, days: Sequence[date]) -> None:
    """Do not report which days have new rows."""


def ledger_rows(lake: Lake, ids: ValuesFilter) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of `imports` with these ids, by import_id."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in lake.scan("events/imports", IMPORTS, ids).table().to_pylist():
        rows.setdefault(row["import_id"], []).append(row)
    return rows


def replace_imports(rows: Sequence[Mapping[str, Any]], lake: Lake, ids: RangeFilter) -> None:
    """Replace the rows of `imports` with these ids. From then on the files in `rows` count as imported."""
    lake.replace("events/imports", iter([pa.Table.from_pylist(list(rows), IMPORTS)]), IMPORTS, ids)


def landing_state(file: Landed) -> dict[str, Any]:
    """Return the values of `LANDING_COLUMNS` for a landed file."""
    return dict(zip(LANDING_COLUMNS, (file.path, file.bytes, file.modified_at), strict=True))


def landed_file(row: Mapping[str, Any]) -> Landed | None:
    """Return the landed file of a row of `imports`, or None if it was imported by name."""
    return None if row["landing_path"] is None else Landed.recorded(*(row[n] for n in LANDING_COLUMNS))


def prepare(lake: Lake) -> None:
    """Create the tables of all record types, so that they exist before a file has such records."""
    for table, schema, _ in TABLES[: len(RECORD_TYPES)]:
        if not lake.exists(table):
            with lake.writing(table, schema):
                pass


def identify(path: Path, listener: str | None) -> str:
    """Return the import_id of a file: 32 hex digits of a hash of its content and the listener."""
    return sha256(f"{exports.fingerprint(path)} {listener or ''}".encode()).hexdigest()[:32]


def refusal(file: str, error: Exception) -> list[RecordResult]:
    """Return the quarantine record of a file that is rejected as a whole."""
    return [RecordResult(file, WHOLE_FILE, reason=str(error), raw="")]


def write(
    files: Iterable[tuple[str, Iterable[RecordResult]]], lake: Lake, ids: RangeFilter, now: datetime, report: ReportDays
) -> dict[str, dict[str, Any]]:
    """Write the records of files, given by import_id, with one commit per table, and report the changed days.

    `ids` selects these files, and no file that is already imported. Return the counts and days of each file for
    `imports`, by import_id. Raises `Unexpected` if reading or writing fails for an unknown reason.
    """
    summaries: dict[str, dict[str, Any]] = {}
    days = {k.table: set[date]() for k in RECORD_TYPES if k.dated}
    with unexpected_errors():
        commit(_merge_small(tables(files, now, summaries, days)), lake, ids)
    report_changed_days(days, summaries.values(), lake, ids, report)
    return summaries


def report_changed_days(
    days: Mapping[str, set[date]],
    summaries: Iterable[Mapping[str, Any]],
    lake: Lake,
    ids: RangeFilter,
    report: ReportDays,
) -> None:
    """Report the days of each table that have new rows, or rows that new deletions name."""
    deleted_days = _deleted_days(lake, ids) if any(row[DELETION_RECORDS.counted] for row in summaries) else {}
    for kind in RECORD_TYPES:
        if changed := days.get(kind.table, set()) | deleted_days.get(kind.table, set()):
            report(kind, sorted(changed))


def _deleted_days(lake: Lake, ids: RangeFilter) -> dict[str, set[date]]:
    """Return the days of rows that these files delete, by table, as far as the rows are imported."""
    deletions = lake.scan(DELETION_RECORDS.table, DELETION_RECORDS.schema, ids)
    new = deletions.select(["deleted_id"]).table()["deleted_id"]
    days: dict[str, set[date]] = {}
    for kind in RECORD_TYPES:
        if kind.id and len(new):
            rows = lake.scan(kind.table, kind.schema, ValuesFilter.of(kind.id, new.to_pylist())).select(["day"])
            days[kind.table] = set(rows.table()["day"].unique().to_pylist())
    return days


def commit(parts: Iterable[Sequence[Frame | pa.Table | None]], lake: Lake, ids: RangeFilter) -> int:
    """Replace the rows of these files in each table, with one commit per table. Return the number of rows.

    Each part has rows for each of `TABLES`, or None.
    """
    transactions: dict[str, WriteTransaction] = {}
    rows = 0
    with ExitStack() as stack:
        for part in parts:
            for (table, schema, order), new in zip(TABLES, part, strict=True):
                if new is None or (isinstance(new, pa.Table) and not len(new)):
                    continue
                if table not in transactions:
                    transactions[table] = stack.enter_context(lake.writing(table, schema, order))
                transactions[table].write(new if isinstance(new, Frame) else iter([new]))
        for table, schema, order in TABLES:
            if table not in transactions and _has_rows(lake, table, schema, ids):
                transactions[table] = stack.enter_context(lake.writing(table, schema, order))
            if table in transactions:
                rows += transactions[table].publish(ids).rows
    return rows


def tables(
    files: Iterable[tuple[str, Iterable[RecordResult]]],
    now: datetime,
    summaries: dict[str, dict[str, Any]],
    days: dict[str, set[date]],
) -> Iterator[list[pa.Table]]:
    """Yield the rows of each file for each of `TABLES`, chunk by chunk.

    Enters the counts and days of each file into `summaries`, by import_id, and the days of each table into `days`.
    """
    for import_id, reads in files:
        summary: dict[str, Any] = dict.fromkeys(COUNTS, 0) | {"first_day": None, "last_day": None}
        summaries[import_id] = summary
        for chunk in _chunks(iter(reads)):
            rows = [k.rows(chunk, import_id) for k in RECORD_TYPES] + [quarantine_rows(chunk, import_id, now)]
            for kind, new in zip(RECORD_TYPES, rows, strict=False):
                summary[kind.counted] += len(new)
                if kind.dated and len(new):
                    new_days = set(new["day"].unique().to_pylist())
                    days[kind.table] |= new_days
                    summary["first_day"] = min(new_days | {summary["first_day"] or min(new_days)})
                    summary["last_day"] = max(new_days | {summary["last_day"] or max(new_days)})
            summary["quarantined"] += len(rows[-1])
            summary["skipped"] += len(chunk) - sum(map(len, rows))
            yield rows


def _merge_small(parts: Iterable[list[pa.Table]]) -> Iterator[list[pa.Table]]:
    """Concatenate the rows of small files until they fill a chunk."""
    waiting: list[list[pa.Table]] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += sum(map(len, part))
        if size >= CHUNK_RECORDS:
            yield [pa.concat_tables(same) for same in zip(*waiting, strict=True)]
            waiting, size = [], 0
    if waiting:
        yield [pa.concat_tables(same) for same in zip(*waiting, strict=True)]


def _has_rows(lake: Lake, table: str, schema: pa.Schema, ids: RangeFilter) -> bool:
    """Return whether a table has rows of these files, left by a killed run."""
    return lake.scan(table, schema, ids).dataset().count_rows() > 0


def quarantine_rows(reads: Sequence[RecordResult], import_id: str, now: datetime) -> pa.Table:
    """Return the unreadable records of a file as rows of `quarantine`."""
    return as_table([(r.file, r.record, r.reason, r.raw or "", now, import_id) for r in reads if r.reason], QUARANTINE)


def _chunks(reads: Iterator[RecordResult]) -> Iterator[list[RecordResult]]:
    while chunk := list(islice(reads, CHUNK_RECORDS)):
        yield chunk
