"""Days as a person names them: the first and the last, both included."""

from datetime import date

from assets.partitions import FIRST_DAY, SPAN
from resources.errors import TuttiError


def span(first: str, last: str, today: date, example: str) -> tuple[date, date]:
    """The days asked for. Raises `TuttiError` for what is no day, or none that can have listens."""
    if not first or not last:
        raise TuttiError(f"which days? name the first and the last: {example}")
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError as error:
        raise TuttiError(f"{first!r} to {last!r} are no days: write them as 2024-01-31") from error
    if start > end:
        raise TuttiError(f"{start} comes after {end}: name the first day first")
    if start < FIRST_DAY:
        raise TuttiError(f"{start} is too early: the first day there is, is {FIRST_DAY}")
    if end > today:
        raise TuttiError(f"{end} is yet to come: the last day there is, is {today} (UTC)")
    if not (SPAN.covers(end) or SPAN.covers(start)):
        raise TuttiError(f"no records from {start} to {end}: the first day with records is {SPAN.first}")
    return start, end
