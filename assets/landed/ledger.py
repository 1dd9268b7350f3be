"""The ledger: files taken in, each whole or not at all, and what became of each of their records.

A file is known by its content, so that taking it in twice changes nothing. Each record goes to the table of its kind,
what cannot be read to `quarantine` with the reason, and a row of `imports`, written last, says that the file is all in:
a run that is killed leaves no such row, and the next one takes the file again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import date, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from assets.landed.kind import ARRIVAL, Kind, rows
from assets.landed.kinds import KINDS
from resources.columns import INSTANT, column
from resources.lake import Draft, Lake, Slice
from resources.sources import exports
from resources.sources.exports import NoExport
from resources.sources.listen import Read

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
            for k in KINDS
        ),
        column("quarantined", pa.int64(), "records that could not be read"),
        column("passed_over", pa.int64(), "well-formed records that are no music, such as podcast episodes"),
        column("first_day", pa.date32(), "earliest UTC day heard on", null=True),
        column("last_day", pa.date32(), "latest UTC day heard on", null=True),
        column("imported_at", INSTANT, "when it was read", unit="UTC"),
    ]
)
COUNTS = (*(k.counted for k in KINDS), "quarantined", "passed_over")
CHUNK = 200_000  # records held in memory: about 200 MB
WHOLE = -1  # the record that stands for its whole file

Tell: TypeAlias = Callable[[Kind, Sequence[date]], object]


def untold(kind: Kind, days: Sequence[date]) -> None:
    """Tell nobody which days have new rows."""


def take(
    path: Path,
    listener: str | None,
    lake: Lake,
    now: datetime,
    tell: Tell = untold,
    *,
    name: str | None = None,
    refuse: bool = False,
) -> tuple[dict[str, Any], bool]:
    """Take in one file, whole or not at all: its row of `imports`, of now or of then, and whether it is new.

    The days whose rows change are told, kind by kind, before the file counts as in, so that what follows from them is
    never forgotten. `name` is what the file is called, if not by its own name. A file that is no export raises
    `NoExport`, or, to `refuse` it, is entered as a quarantined whole: it is not tried again until its content changes.
    """
    import_id = sha256(f"{exports.fingerprint(path)} {listener or ''}".encode()).hexdigest()[:32]
    slice = Slice("import_id", import_id, import_id)
    known = lake.scan("events/imports", IMPORTS, slice).table().to_pylist()
    if row := next((k for k in known if k["import_id"] == import_id), None):
        return row, False
    row = {"import_id": import_id, "file": name or path.name, "listener": listener, "imported_at": now}
    try:
        told = _write(exports.read(path, listener, now, name), lake, slice, now, tell)
    except NoExport as error:
        if not refuse:
            raise
        told = _write(iter([Read(row["file"], WHOLE, reason=str(error), raw="")]), lake, slice, now, tell)
    lake.replace("events/imports", iter([pa.Table.from_pylist([row | told], IMPORTS)]), IMPORTS, slice)
    return row | told, True


def _write(reads: Iterator[Read], lake: Lake, slice: Slice, now: datetime, tell: Tell) -> dict[str, Any]:
    """Write each record to its table, and tell of the days; what `imports` says of them."""
    count = dict.fromkeys(COUNTS, 0)
    days: dict[str, set[date]] = {k.table: set() for k in KINDS if k.dated}
    tables = [(k.table, k.schema, k.order) for k in KINDS] + [("events/quarantine", QUARANTINE, ("file", "record"))]
    drafts: dict[str, Draft] = {}
    with ExitStack() as stack:
        for chunk in _chunks(reads):
            found = [k.rows(chunk, slice.first) for k in KINDS] + [quarantine_rows(chunk, slice.first, now)]
            for (table, schema, order), new in zip(tables, found, strict=True):
                if len(new) and table not in drafts:
                    drafts[table] = stack.enter_context(lake.writing(table, schema, order))
                if len(new):
                    drafts[table].write(iter([new]))
            for kind, new in zip(KINDS, found, strict=False):
                count[kind.counted] += len(new)
                if kind.dated:
                    days[kind.table].update(new["day"].unique().to_pylist())
            count["quarantined"] += len(found[-1])
            count["passed_over"] += len(chunk) - sum(map(len, found))
        for table, schema, order in tables:
            if table not in drafts and lake.scan(table, schema, slice).files:  # of a run that was killed, maybe
                drafts[table] = stack.enter_context(lake.writing(table, schema, order))
            if table in drafts:
                drafts[table].publish(slice)
    for kind in KINDS:
        if new_days := days.get(kind.table):
            tell(kind, sorted(new_days))
    heard = [day for found_days in days.values() for day in found_days]
    return count | {"first_day": min(heard, default=None), "last_day": max(heard, default=None)}


def quarantine_rows(reads: Sequence[Read], import_id: str, now: datetime) -> pa.Table:
    """The records of a file that could not be read."""
    return rows([(r.file, r.record, r.reason, r.raw or "", now, import_id) for r in reads if r.reason], QUARANTINE)


def _chunks(reads: Iterator[Read]) -> Iterator[list[Read]]:
    while chunk := list(islice(reads, CHUNK)):
        yield chunk
