"""Partitions: how time is sliced. A day is a UTC day, a week begins on Monday, and every key is its first date."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypedDict

import dagster as dg
import narwhals as nw
import pyarrow as pa

from resources.schema import declare
from resources.sources.records.listen import EARLIEST

FIRST_DAY = EARLIEST.date()

# The current day, week, month and year have a partition too: people look at today.
DAILY = dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), end_offset=1)
WEEKLY = dg.WeeklyPartitionsDefinition(start_date="2002-09-30", day_offset=1, end_offset=1)
MONTHLY = dg.MonthlyPartitionsDefinition(start_date="2002-10-01", end_offset=1)
YEARLY = dg.TimeWindowPartitionsDefinition(cron_schedule="0 0 1 1 *", start="2002-01-01", fmt="%Y-%m-%d", end_offset=1)


@dataclass(frozen=True)
class Period:
    """A length of time that tables are about; `longest` is the most days it can have."""

    name: str
    partitions: dg.TimeWindowPartitionsDefinition
    first: Callable[[date], date]
    longest: int

    def following(self, start: date) -> date:
        """The first date of the period after the one that begins at `start`."""
        return self.first(start + timedelta(days=self.longest))


DAY = Period("daily", DAILY, lambda day: day, 1)
PERIODS = (
    DAY,
    Period("weekly", WEEKLY, lambda day: day - timedelta(days=day.weekday()), 7),
    Period("monthly", MONTHLY, lambda day: day.replace(day=1), 31),
    Period("yearly", YEARLY, lambda day: day.replace(month=1, day=1), 366),
)


class Sliced(TypedDict):
    """The arguments of `dg.asset` that belong together for a table with partitions."""

    partitions_def: dg.PartitionsDefinition[str] | None
    backfill_policy: dg.BackfillPolicy
    metadata: dict[str, Any]


def daily(schema: pa.Schema, *, key: Sequence[str], order: Sequence[str] = ()) -> Sliced:
    """Return the arguments of `dg.asset` that declare a table by `day`: partitions, backfills, columns, key and order.

    The rows of a day are sorted by `order`, by default the key.
    """
    return _sliced(DAY, "day", schema, key, order)


def periodic(period: Period, schema: pa.Schema, *, key: Sequence[str], order: Sequence[str] = ()) -> Sliced:
    """Return the same for a table by `period_start`, a partition for each `period`."""
    return _sliced(period, "period_start", schema, key, order)


def _sliced(period: Period, column: str, schema: pa.Schema, key: Sequence[str], order: Sequence[str]) -> Sliced:
    by = dict.fromkeys([column, *(order or key)])
    return {
        "partitions_def": period.partitions,
        "backfill_policy": dg.BackfillPolicy.single_run(),  # a range of days is one run, not one run a day
        "metadata": declare(schema, key=key, slices=column, order=list(by)),
    }


def dates(keys: dg.PartitionKeyRange) -> tuple[date, date]:
    """The dates with which the first and the last partition of a range begin."""
    return date.fromisoformat(keys.start), date.fromisoformat(keys.end)


def on_days(rows: nw.LazyFrame, first: date, last: date) -> nw.LazyFrame:
    """The rows of these days, both included."""
    return rows.filter(nw.col("day") >= first, nw.col("day") <= last)


def with_previous() -> dg.TimeWindowPartitionMapping:
    """From a period to its days and those of the period before."""
    return dg.TimeWindowPartitionMapping(start_offset=-1, allow_nonexistent_upstream_partitions=True)


def with_earlier(days: int) -> dg.TimeWindowPartitionMapping:
    """From a day to itself and a number of days before it."""
    return dg.TimeWindowPartitionMapping(start_offset=-days, allow_nonexistent_upstream_partitions=True)


def with_neighbors() -> dg.TimeWindowPartitionMapping:
    """From a day to the day before, itself and the day after."""
    return dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=1, allow_nonexistent_upstream_partitions=True)
