"""Dates: where counting starts, and which days stand together."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # instants are stored as microseconds since then
A_DAY = timedelta(days=1)


def stretches(
    days: Iterable[date], apart: timedelta = A_DAY, most: timedelta = timedelta.max
) -> list[tuple[date, date]]:
    """The first and last day of each stretch of days: no two neighbours are further `apart`, nor is it longer than
    `most`."""
    found: list[tuple[date, date]] = []
    for day in sorted(days):
        if found and day - found[-1][1] <= apart and day - found[-1][0] < most:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found
