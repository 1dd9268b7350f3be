"""Partitions: how time is sliced. A day is a UTC day, a week begins on Monday, and every key is its first date."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypedDict

import dagster as dg
import narwhals as nw
import pyarrow as pa

from resources.environments import home_folder, open_lake
from resources.schema import declare
from resources.span import load

SPAN = load(home_folder(), open_lake())  # the days that have partitions in this process


@dataclass(frozen=True)
class Period:
    """A length of time that tables are about; `longest` is the most days it can have."""

    name: str
    partitions: dg.TimeWindowPartitionsDefinition
    first: Callable[[date], date]
    longest: int

    def following(self, start: date) -> date:
        """Return the first date of the period after the one that begins at `start`."""
        return self.first(start + timedelta(days=self.longest))


def _period(name: str, cron_schedule: str, first: Callable[[date], date], longest: int) -> Period:
    """Return a period and its partitions, which hold all days of the span."""
    # The current day, week, month and year have a partition too: people look at today. Of an ended history, Dagster
    # would look for the newest partitions after its `end` (1.13: `get_paginated_partition_keys`), so the end is
    # counted back from today.
    today = datetime.now(UTC).date()
    end_offset, start = 1, first(SPAN.last or today)
    while start < first(today):
        start = first(start + timedelta(days=longest))
        end_offset -= 1
    partitions = dg.TimeWindowPartitionsDefinition(
        start=first(SPAN.first).isoformat(), fmt="%Y-%m-%d", cron_schedule=cron_schedule, end_offset=end_offset
    )
    return Period(name, partitions, first, longest)


DAY = _period("daily", "0 0 * * *", lambda day: day, 1)
PERIODS = (
    DAY,
    _period("weekly", "0 0 * * 1", lambda day: day - timedelta(days=day.weekday()), 7),
    _period("monthly", "0 0 1 * *", lambda day: day.replace(day=1), 31),
    _period("yearly", "0 0 1 1 *", lambda day: day.replace(month=1, day=1), 366),
)
DAILY, WEEKLY, MONTHLY, YEARLY = (period.partitions for period in PERIODS)


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
    """Return the arguments of `dg.asset` that declare a table by `period_start`, with one partition per `period`."""
    return _sliced(period, "period_start", schema, key, order)


def _sliced(period: Period, column: str, schema: pa.Schema, key: Sequence[str], order: Sequence[str]) -> Sliced:
    by = dict.fromkeys([column, *(order or key)])
    return {
        "partitions_def": period.partitions,
        "backfill_policy": dg.BackfillPolicy.single_run(),  # a range of days is one run, not one run a day
        "metadata": declare(schema, key=key, slices=column, order=list(by)),
    }


def dates(keys: dg.PartitionKeyRange) -> tuple[date, date]:
    """Return the first date of the first partition of a range, and that of the last one."""
    return date.fromisoformat(keys.start), date.fromisoformat(keys.end)


def on_days(rows: nw.LazyFrame, first: date, last: date) -> nw.LazyFrame:
    """Return the rows of these days, both included."""
    return rows.filter(nw.col("day") >= first, nw.col("day") <= last)


def with_previous() -> dg.TimeWindowPartitionMapping:
    """Map a period to its days and those of the period before."""
    return dg.TimeWindowPartitionMapping(start_offset=-1, allow_nonexistent_upstream_partitions=True)


def with_earlier(days: int) -> dg.TimeWindowPartitionMapping:
    """Map a day to itself and a number of days before it."""
    return dg.TimeWindowPartitionMapping(start_offset=-days, allow_nonexistent_upstream_partitions=True)


def with_neighbors() -> dg.TimeWindowPartitionMapping:
    """Map a day to the day before, itself and the day after."""
    return dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=1, allow_nonexistent_upstream_partitions=True)
