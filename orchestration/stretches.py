"""Stretches: how days are divided into runs.

A stretch is a range of days without long gaps. A run has seconds of overhead and a day only milliseconds, so one run
builds many stretches. Days between two stretches are not built, since each would be stored in Dagster's history.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

import dagster as dg

from orchestration.cadence import DAILY, DatedJob
from resources.dates import A_DAY, as_tag
from resources.dates import date_ranges as days_together

LONG = 366  # days in a run: a year fits into memory, and today's run waits for one such run at most
FAR = 10 * LONG  # days in a run of other jobs, which read only counts per day
QUIET = timedelta(days=7)  # a longer gap without listens ends a stretch


@dataclass
class Portion:
    """What one run builds: the days that changed, and the ranges of days (ends included) to build for them."""

    changed: set[date] = field(default_factory=set)
    ranges: list[tuple[date, date]] = field(default_factory=list)

    @property
    def days(self) -> int:
        """The number of days that the run builds."""
        return sum((last - first).days + 1 for first, last in self.ranges)

    @property
    def tags(self) -> dict[str, str]:
        """The tags that limit a run to these days of its range. Empty if the range has no gaps."""
        return as_tag(self.ranges) if len(self.ranges) > 1 else {}

    def halves(self, changed: Collection[date], failed: Collection[date]) -> list[tuple[list[date], list[date]]]:
        """Return two halves, each as the days that changed and the days that failed.

        If a run of several ranges fails, building each half finds the days that cause the failure.
        """
        days = sorted(self.changed)
        parts = days[: len(days) // 2], days[len(days) // 2 :]
        return [([day for day in part if day in changed], [day for day in part if day in failed]) for part in parts]

    def add(self, changed: tuple[date, date], first: date, last: date) -> None:
        """Add a range to build for days that changed."""
        self.changed |= {changed[0] + A_DAY * n for n in range((changed[1] - changed[0]).days + 1)}
        if self.ranges and first <= self.ranges[-1][1] + A_DAY:
            first, last = self.ranges[-1][0], max(last, self.ranges.pop()[1])
        self.ranges.append((first, last))


def stretches(days: Iterable[date]) -> list[tuple[date, date]]:
    """Return the first and last day of each stretch of days, oldest first.

    A stretch has no gap longer than `QUIET`, and at most `LONG` days.
    """
    return days_together(days, QUIET, timedelta(days=LONG))


def portions(
    job: DatedJob, changed: Iterable[date], today: date, failed: Collection[date] = ()
) -> list[tuple[Portion, dg.PartitionKeyRange]]:
    """Return few runs of a job, oldest first, each with its partition range.

    They build the partitions that the changed days reach, and the failed partitions. They build no days around failed
    partitions: a range fails as a whole, so each retry would fail on more days than the last.
    """
    size, runs = (LONG if job.name == DAILY else FAR), list[Portion]()
    reached = [(stretch, job.reached(*stretch, today)) for stretch in stretches(changed)]
    for stretch in days_together(failed, A_DAY, timedelta(days=LONG)):
        start, end = (job.period.first(day).isoformat() for day in stretch)
        reached.append((stretch, dg.PartitionKeyRange(start, end)))
    for stretch, keys in sorted(reached, key=lambda reach: reach[1].start):
        first, last = date.fromisoformat(keys.start), job.period.following(date.fromisoformat(keys.end)) - A_DAY
        if not runs or runs[-1].days + (last - first).days >= size:
            runs.append(Portion())
        runs[-1].add(stretch, first, last)
    return [(portion, _keys(job, portion)) for portion in runs]


def _keys(job: DatedJob, portion: Portion) -> dg.PartitionKeyRange:
    first, last = portion.ranges[0][0], job.period.first(portion.ranges[-1][1])
    return dg.PartitionKeyRange(first.isoformat(), last.isoformat())
