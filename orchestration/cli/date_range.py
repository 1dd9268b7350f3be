"""Ranges of days that users type: the first and the last day, both included."""

from datetime import date

from assets.partitions import SPAN
from resources.errors import TuttiError
from resources.span import FIRST_DAY


def span(first: str, last: str, today: date, example: str) -> tuple[date, date]:
    """Return the first and last day of a range.

    Raises `TuttiError` for invalid dates, and for days outside of `FIRST_DAY` to `today`.
    """
    if not first or not last:
        raise TuttiError(f"no days given. Name the first and the last one: `{example}`")
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError as error:
        raise TuttiError(f"invalid dates {first!r} to {last!r}: expected dates such as 2024-01-31") from error
    if start > end:
        raise TuttiError(f"the first day {start} is after the last day {end}. Swap them")
    if start < FIRST_DAY:
        raise TuttiError(f"{start} is too early: the earliest day is {FIRST_DAY}")
    if end > today:
        raise TuttiError(f"{end} is in the future: the last day is {today} (UTC)")
    return start, end


def with_records(first: date, last: date) -> None:
    """Raise `TuttiError` if no day of a range has a partition."""
    if last < SPAN.first or (SPAN.last and SPAN.last < first):
        have = f"from {SPAN.first} to {SPAN.last}" if SPAN.last else f"from {SPAN.first} on"
        raise TuttiError(f"no records from {first} to {last}: there are records {have}")
