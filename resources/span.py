"""The span of days that have partitions, stored in Dagster's home.

Dagster shows how many of all partitions there are. If these began decades before the first listen, a complete history
would look empty. So imports store the first day that has records, and a process that loads the platform reads it.
"""

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from resources.files import publish
from resources.sources.records.listen import EARLIEST

NAME = "span.json"
EVER = EARLIEST.date()  # also the day of records without a date


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


def stored(home: Path) -> Span:
    """Return the span that is stored in a home; all days that a record may have if there is none."""
    try:
        first, last = json.loads((home / NAME).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return Span(EVER)
    return Span(date.fromisoformat(first), date.fromisoformat(last) if last else None)


def store(home: Path, span: Span) -> None:
    """Store a span, in place of any other."""
    publish(home / NAME, [json.dumps([span.first.isoformat(), span.last and span.last.isoformat()]).encode()])


def widen(home: Path, days: Iterable[date]) -> None:
    """Widen the stored span to these days. Records without a date do not count."""
    if not (dated := [day for day in days if day > EVER]):
        return
    first, last = min(dated), max(dated)
    with FileLock(home / f".{NAME}.lock"):
        current = stored(home) if (home / NAME).exists() else Span(first)
        wider = Span(min(first, current.first), current.last and max(last, current.last))
        if wider != current or not (home / NAME).exists():
            store(home, wider)
