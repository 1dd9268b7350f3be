"""Stretches: how days become runs. A run costs seconds and a day in it milliseconds, so one run builds many stretches.

What lies between two stretches is not built: there a day would cost as much history as a day with listens.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

import dagster as dg

from orchestration.cadence import DAILY, DatedJob
from resources.dates import A_DAY, as_tag
from resources.dates import stretches as days_together

LONG = 366  # days in a run: memory holds what happens in a year, and today waits for one such run at most
FAR = 10 * LONG  # days in a run of other jobs: these read counts by day, of which `all_time` reads all there are
QUIET = timedelta(days=7)  # days without listens that are built all the same: a longer gap ends a stretch


@dataclass
class Portion:
    """What one run builds: for days that changed, ranges of days, ends included, that are whole partitions."""

    changed: set[date] = field(default_factory=set)
    ranges: list[tuple[date, date]] = field(default_factory=list)

    @property
    def days(self) -> int:
        """How many days the run builds."""
        return sum((last - first).days + 1 for first, last in self.ranges)

    @property
    def tags(self) -> dict[str, str]:
        """The tags that make a run build these days of its range; none if it builds all of them."""
        return as_tag(self.ranges) if len(self.ranges) > 1 else {}

    def halves(self, changed: Collection[date], failed: Collection[date]) -> list[tuple[list[date], list[date]]]:
        """Return its days that changed and those that failed, in two parts, for when a run of several ranges fails.

        Most of them are not to blame.
        """
        days = sorted(self.changed)
        parts = days[: len(days) // 2], days[len(days) // 2 :]
        return [([day for day in part if day in changed], [day for day in part if day in failed]) for part in parts]

    def add(self, changed: tuple[date, date], first: date, last: date) -> None:
        """Build a range, too, for days that changed."""
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
    """Return few runs of a job, oldest first, each with its range.

    They build what the days that changed can change, and the partitions that failed. Around these they build nothing:
    a range fails as a whole, so each retry would fail on more days than the last.
    """
    size, found = (LONG if job.name == DAILY else FAR), list[Portion]()
    reached = [(stretch, job.reached(*stretch, today)) for stretch in stretches(changed)]
    for stretch in days_together(failed, A_DAY, timedelta(days=LONG)):
        start, end = (job.period.first(day).isoformat() for day in stretch)
        reached.append((stretch, dg.PartitionKeyRange(start, end)))
    for stretch, keys in sorted(reached, key=lambda each: each[1].start):
        first, last = date.fromisoformat(keys.start), job.period.following(date.fromisoformat(keys.end)) - A_DAY
        if not found or found[-1].days + (last - first).days >= size:
            found.append(Portion())
        found[-1].add(stretch, first, last)
    return [(portion, _keys(job, portion)) for portion in found]


def _keys(job: DatedJob, portion: Portion) -> dg.PartitionKeyRange:
    first, last = portion.ranges[0][0], job.period.first(portion.ranges[-1][1])
    return dg.PartitionKeyRange(first.isoformat(), last.isoformat())
