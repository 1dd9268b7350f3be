"""Dates: the epoch, ranges of days, and the run tag that lists them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # instants are stored as microseconds since then
A_DAY = timedelta(days=1)
DAYS = "tutti/days"  # tag of a run that builds only some days of its range: "2010-01-02/2010-01-06 2010-06-03/..."


def date_ranges(
    days: Iterable[date], max_gap: timedelta = A_DAY, max_length: timedelta = timedelta.max
) -> list[tuple[date, date]]:
    """Group days into ranges and return the first and last day of each, in order.

    Neighboring days in a range are at most `max_gap` from each other. No range is longer than `max_length`.
    """
    ranges: list[tuple[date, date]] = []
    for day in sorted(days):
        if ranges and day - ranges[-1][1] <= max_gap and day - ranges[-1][0] < max_length:
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges


def as_tag(ranges: Iterable[tuple[date, date]]) -> dict[str, str]:
    """Return the tag of a run that builds only these ranges of days; both ends are included."""
    return {DAYS: " ".join(f"{first}/{last}" for first, last in ranges)}


def tagged_days(tags: Mapping[str, str]) -> frozenset[date]:
    """Return the days that a run with these tags builds; empty if it builds every day of its range."""
    ends = (part.split("/") for part in tags.get(DAYS, "").split())
    ranges = ((date.fromisoformat(first), date.fromisoformat(last)) for first, last in ends)
    return frozenset(first + A_DAY * n for first, last in ranges for n in range((last - first).days + 1))
