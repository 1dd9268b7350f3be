"""Dates: where counting starts, and which days stand together."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # instants are stored as microseconds since then
A_DAY = timedelta(days=1)
DAYS = "tutti/days"  # tags a run with the only days of its range that it builds: "2010-01-02/2010-01-06 2010-06-03/..."


def stretches(
    days: Iterable[date], apart: timedelta = A_DAY, most: timedelta = timedelta.max
) -> list[tuple[date, date]]:
    """The first and last day of each stretch of days: no two neighbors are further `apart`, nor is it longer than
    `most`."""
    found: list[tuple[date, date]] = []
    for day in sorted(days):
        if found and day - found[-1][1] <= apart and day - found[-1][0] < most:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def as_tag(ranges: Iterable[tuple[date, date]]) -> dict[str, str]:
    """Return the tag of a run that builds some ranges of days; both ends are included."""
    return {DAYS: " ".join(f"{first}/{last}" for first, last in ranges)}


def tagged_days(tags: Mapping[str, str]) -> frozenset[date]:
    """Return the only days that a run with these tags builds, or none if it builds its whole range."""
    ends = (part.split("/") for part in tags.get(DAYS, "").split())
    ranges = ((date.fromisoformat(first), date.fromisoformat(last)) for first, last in ends)
    return frozenset(first + A_DAY * n for first, last in ranges for n in range((last - first).days + 1))
