"""Stretches: how days become runs. Days with little between them share one, since a run costs more than a few days."""

from collections.abc import Iterable
from datetime import date, timedelta

from resources.dates import stretches as days_together

LONG = 366  # partitions in a run: memory holds what happens in a year, and today waits for one such run at most
QUIET = timedelta(days=365)  # a run costs seconds, a day in a run milliseconds: beyond this, two runs cost less


def stretches(days: Iterable[date]) -> list[tuple[date, date]]:
    """Return the first and last day of each stretch that one run builds, oldest first.

    A stretch has no gap longer than `QUIET`, and at most `LONG` days.
    """
    return days_together(days, QUIET, timedelta(days=LONG))
