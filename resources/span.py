"""The span of days that have partitions, stored in Dagster's home.

Dagster shows how many of all partitions there are. If these began decades before the first listen, a complete history
would look empty. So imports store the first day that has records, and a process that loads the platform reads it. If
the file is lost or damaged, or the home is new, the day is found in the lake.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime
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
IMPORTED = "events/raw_"  # the first characters of tables that hold records as imported, by `day`


class Span(NamedTuple):
    """The first and the last day that have partitions; without a last day, there are partitions until today."""

    first: date
    last: date | None = None

    def covers(self, day: date) -> bool:
        """Return whether a day has a partition, unless it is in the future."""
        return self.first <= day and (self.last is None or day <= self.last)

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
    """Return the stored span. Without one, find the first imported day in a lake and store it.

    Without imported records, all days that a record may have are the span.
    """
    if span := stored(home):
        return span
    try:
        first = first_imported(lake)
    except TuttiError:  # tables of another format, or no answer: commands that read the lake say so
        return Span(EVER)
    if not first:
        return Span(EVER)
    with suppress(OSError):  # a command that writes to this home says so
        store(home, Span(first))
    return Span(first)


def first_imported(lake: Lake) -> date | None:
    """Return the first day of the imported records that have a date, None without such records."""
    days = pa.schema([("day", pa.date32())])
    dated = RangeFilter("day", FIRST_DAY, date.max)
    tables = [table for table in lake.tables() if table.startswith(IMPORTED) and "day" in lake.stored(table).names]
    parts = (part for table in tables for part in lake.scan(table, days, dated).split())
    return min((day for part in parts if (day := pc.min(part.table()["day"]).as_py())), default=None)


def store(home: Path, span: Span) -> None:
    """Store a span, in place of any other."""
    publish(home / NAME, [json.dumps([span.first.isoformat(), span.last and span.last.isoformat()]).encode()])


def widen(home: Path, days: Iterable[date]) -> None:
    """Widen the stored span to these days. Records without a date do not count."""
    if not (dated := [day for day in days if day > UNDATED]):
        return
    first, last = min(dated), max(dated)
    with FileLock(home / f".{NAME}.lock"):
        current = stored(home)
        narrow = current or Span(first)
        wider = Span(min(first, narrow.first), narrow.last and max(last, narrow.last))
        if wider != current:
            store(home, wider)
