"""The span of days that have partitions, stored in Dagster's home.

Dagster shows how many of all partitions there are. If these began decades before the first listen, a complete history
would look empty. So imports store the first day that has records, and the last one of an ended history. A process that
loads the platform reads them. If the file is lost or damaged, or the home is new, they are found in the lake.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock

from resources.dates import A_DAY
from resources.errors import TuttiError
from resources.files import publish
from resources.frames.filters import RangeFilter
from resources.lake.lake import Lake
from resources.sources.records.listen import EARLIEST

NAME = "span.json"
FIRST_DAY = EARLIEST.date()  # the earliest that a record may have
UNDATED = FIRST_DAY - A_DAY  # the day of records without a date
EVER = UNDATED  # the first day that can have records
ENDED_AFTER = timedelta(days=31)  # a history without newer records gets no partitions until today, which would be empty
IMPORTED = "events/raw_"  # the first characters of tables that hold records as imported, by `day`


class Span(NamedTuple):
    """The first and the last day that have partitions. Without a last day, every day until today has one."""

    first: date
    last: date | None = None

    def covers(self, day: date) -> bool:
        """Return whether a day has a partition, unless it is in the future."""
        return self.first <= day and (self.last is None or day <= self.last)

    def joined(self, other: "Span") -> "Span":
        """Return the span of the days of both. It has no last day if the history goes on."""
        last = self.last and other.last and max(self.last, other.last)
        goes_on = last and datetime.now(UTC).date() - last <= ENDED_AFTER
        return Span(min(self.first, other.first), None if goes_on else last)

    def holds(self, other: "Span") -> bool:
        """Return whether every day of another span has a partition."""
        ends = self.last is None or (other.last is not None and other.last <= self.last)
        return self.first <= other.first and ends


def stored(home: Path) -> Span | None:
    """Return the span that is stored in a home; None if there is none, or no valid one."""
    try:
        first, last = json.loads((home / NAME).read_bytes())
        span = Span(date.fromisoformat(first), date.fromisoformat(last) if last else None)
    except (OSError, ValueError, TypeError):
        return None
    return span if EVER <= span.first <= min(datetime.now(UTC).date(), span.last or date.max) else None


def load(home: Path, lake: Lake) -> Span:
    """Return the stored span. Without one, find the days of a lake's imported records and store their span.

    Without imported records, all days that a record may have are the span.
    """
    if span := stored(home):
        return span
    try:
        imported = in_lake(lake)
    except TuttiError:  # tables of another format, or no answer: commands that read the lake say so
        return Span(EVER)
    if not imported:
        return Span(EVER)
    with suppress(OSError):  # a command that writes to this home says so
        store(home, imported)
    return imported


def in_lake(lake: Lake) -> Span | None:
    """Return the span of the imported records that have a date, None without such records."""
    days = pa.schema([("day", pa.date32())])
    dated = RangeFilter("day", FIRST_DAY, date.max)
    tables = [table for table in lake.tables() if table.startswith(IMPORTED) and "day" in lake.stored(table).names]
    parts = (part.table()["day"] for table in tables for part in lake.scan(table, days, dated).split())
    spans = [Span(m["min"], m["max"]) for m in (pc.min_max(p).as_py() for p in parts) if m["min"]]
    return reduce(Span.joined, spans, spans[0]) if spans else None


def store(home: Path, span: Span) -> None:
    """Store a span, in place of any other."""
    publish(home / NAME, [json.dumps([span.first.isoformat(), span.last and span.last.isoformat()]).encode()])


def widen(home: Path, days: Iterable[date]) -> None:
    """Widen the stored span to these days. Records without a date do not count."""
    if not (dated := [day for day in days if day > UNDATED]):
        return
    days_only = Span(min(dated), max(dated))
    with FileLock(home / f".{NAME}.lock"):
        current = stored(home)
        wider = days_only.joined(current or days_only)
        if wider != current:
            store(home, wider)
