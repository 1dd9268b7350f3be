"""Retention: of the listeners who first came in a week, how many were there in each week after.

Weeks are ISO weeks, which begin on Monday. Retention is the classic one, which Amplitude calls "return on": a listener
is retained in a week if active in that very week, whatever they did before or after it. Week 0 is the cohort itself.
The newest week that has listens is left out, as cohort and as week, since nothing tells that it is over: half a week
would look like listeners lost. Weeks in which nobody came back are rows with zero, so that a mean over rows is right.
"""

import dagster as dg
import narwhals as nw
import numpy as np
import pyarrow as pa

from assets.checks import ascending, checks_of
from resources.frames.frame import Frame
from resources.schema import column, declare

RETENTION = pa.schema(
    [
        column("cohort_week", pa.date32(), "Monday of the week in which these listeners were first active"),
        column("weeks_since", pa.int64(), "weeks since then; 0 is that week itself"),
        column("retained", pa.int64(), "those of them who were active in that week"),
        column("cohort_size", pa.int64(), "how many listeners there are in all"),
    ]
)
WEEKS = pa.schema([("user_id", pa.string()), ("week", pa.int64())])
MONDAY = 3  # days from the Monday before to 1970-01-01, from which dates are counted: a Thursday


def in_weeks(daily_listening: pa.Table) -> pa.Table:
    """Who was active in which week, as a number."""
    day = np.asarray(daily_listening["day"].cast(pa.int32())).astype(np.int64)
    return pa.table([daily_listening["user_id"], pa.array((day + MONDAY) // 7)], WEEKS)


def in_cohorts(weeks: nw.LazyFrame) -> nw.LazyFrame:
    """How many listeners of each cohort were active in each week, as far as these listeners tell."""
    rows = weeks.group_by("user_id", "week").agg(days=nw.len())
    rows = rows.with_columns(first=nw.col("week").min().over("user_id"))
    return rows.group_by("first", "week").agg(listeners=nw.len())


def triangle(counts: pa.Table) -> pa.Table:
    """The cohorts and the weeks since, without gaps, until the newest week. It needs all rows at once; they are few."""
    if not len(counts):
        return RETENTION.empty_table()
    first, week, listeners = (np.asarray(counts[c].cast(pa.int64())) for c in ("first", "week", "listeners"))
    oldest, newest = int(first.min()), int(week.max())
    active = np.zeros([newest - oldest + 1] * 2, np.int64)
    np.add.at(active, (first - oldest, week - oldest), listeners)
    active = active[:-1, :-1]
    cohorts = active.diagonal()
    cohort, at = np.nonzero(np.triu(np.ones_like(active)) * cohorts[:, None])
    monday = pa.array(((cohort + oldest) * 7 - MONDAY).astype(np.int32)).cast(pa.date32())
    return pa.table([monday, at - cohort, active[cohort, at], cohorts[cohort]], RETENTION.names).cast(RETENTION)


@dg.asset(
    key_prefix="events",
    ins={"daily_listening": dg.AssetIn(["events", "daily_listening"])},
    metadata=declare(RETENTION, key=["cohort_week", "weeks_since"]),
)
def retention(daily_listening: Frame) -> Frame:
    """How many of the listeners who first came in a week were there in each week after."""
    weeks = daily_listening.select("day", "user_id").map(in_weeks, schema=WEEKS, kernel="arrow")
    return weeks.per("user_id", in_cohorts).per([], triangle, schema=RETENTION, kernel="arrow")


checks = [checks_of(retention, ascending(("retained", "cohort_size")))]
