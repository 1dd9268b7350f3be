"""Ranges of days that users type: the first and the last day, both included."""

from datetime import date

from assets.partitions import FIRST_DAY, SPAN
from resources.errors import TuttiError


def span(first: str, last: str, today: date, example: str) -> tuple[date, date]:
    """Return the first and last day of a range.

    Raises `TuttiError` for invalid dates, for days outside of `FIRST_DAY` to `today`, and for days without partitions.
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
    if not (SPAN.covers(end) or SPAN.covers(start)):
        raise TuttiError(f"no records from {start} to {end}: the first day with records is {SPAN.first}")
    return start, end
