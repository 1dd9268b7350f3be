"""Retention: how many listeners who first listened in a week were active in each later week.

Weeks are ISO weeks, which begin on Monday. This is classic retention, which Amplitude calls "return on": a listener is
retained in a week if they are active in that week, independent of other weeks. Week 0 is the cohort itself. The newest
week with listens is left out as cohort and as week, since it may not be over: half a week would look like lost
listeners. Weeks in which nobody returned are rows with zero, so that a mean over rows is correct.
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
        column("cohort_week", pa.date32(), "Monday of the first active week of these listeners"),
        column("weeks_since", pa.int64(), "weeks since the cohort week, which is 0", unit="weeks"),
        column("retained", pa.int64(), "listeners of the cohort who were active in that week"),
        column("cohort_size", pa.int64(), "listeners of the cohort"),
    ]
)
WEEKS = pa.schema([("user_id", pa.string()), ("week", pa.int64())])
MONDAY_OFFSET_DAYS = 3  # from the last Monday to 1970-01-01, a Thursday, from which dates are counted


def in_weeks(daily_listening: pa.Table) -> pa.Table:
    """Return the listener and the number of the week for each active day."""
    day = np.asarray(daily_listening["day"].cast(pa.int32())).astype(np.int64)
    return pa.table([daily_listening["user_id"], pa.array((day + MONDAY_OFFSET_DAYS) // 7)], WEEKS)


def in_cohorts(weeks: nw.LazyFrame) -> nw.LazyFrame:
    """Count the active listeners of each cohort and week, in a part of the listeners."""
    rows = weeks.group_by("user_id", "week").agg(days=nw.len())
    rows = rows.with_columns(first=nw.col("week").min().over("user_id"))
    return rows.group_by("first", "week").agg(listeners=nw.len())


def triangle(counts: pa.Table) -> pa.Table:
    """Return all cohorts and weeks without gaps, up to the week before the newest. Needs all rows, which are few."""
    if not len(counts):
        return RETENTION.empty_table()
    first, week, listeners = (np.asarray(counts[c].cast(pa.int64())) for c in ("first", "week", "listeners"))
    oldest, newest = int(first.min()), int(week.max())
    active = np.zeros([newest - oldest + 1] * 2, np.int64)
    np.add.at(active, (first - oldest, week - oldest), listeners)
    active = active[:-1, :-1]
    cohorts = active.diagonal()
    cohort, at = np.nonzero(np.triu(np.ones_like(active)) * cohorts[:, None])
    monday = pa.array(((cohort + oldest) * 7 - MONDAY_OFFSET_DAYS).astype(np.int32)).cast(pa.date32())
    return pa.table([monday, at - cohort, active[cohort, at], cohorts[cohort]], RETENTION.names).cast(RETENTION)


@dg.asset(
    key_prefix="events",
    ins={"daily_listening": dg.AssetIn(["events", "daily_listening"])},
    metadata=declare(RETENTION, key=["cohort_week", "weeks_since"]),
)
def retention(daily_listening: Frame) -> Frame:
    """Weekly retention: listeners of each first week who were active in that and each later week."""
    weeks = daily_listening.select("day", "user_id").map(in_weeks, schema=WEEKS, kernel="arrow")
    return weeks.per("user_id", in_cohorts).per([], triangle, schema=RETENTION, kernel="arrow")


checks = [checks_of(retention, ascending(("retained", "cohort_size")))]
