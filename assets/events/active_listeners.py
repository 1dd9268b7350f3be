"""Active listeners: the number of distinct listeners of each day, and of the week and month that end with it.

Distinct listeners do not add up: a listener of two days of a week is one listener of that week. So they are counted
from their active days, never from counts of shorter periods. A day has a row if its month has any listener, so that the
table does not depend on which quiet days were built.
"""

from datetime import date, timedelta
from functools import partial

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import ROWS, ascending, checks_of, in_both, sum_of, sums_match_upstream
from assets.events.daily_listening import DAILY_LISTENING
from assets.partitions import DAY, daily, dates, with_earlier
from resources.frames.frame import Frame
from resources.frames.windows import windowed
from resources.schema import column

# The convention of product analytics, for example of the monthly active people in Meta's annual reports.
WEEK_DAYS, MONTH_DAYS = 7, 30
ACTIVE_LISTENERS = pa.schema(
    [
        column("day", pa.date32(), "UTC day"),
        column("dau", pa.int64(), "distinct listeners of the day"),
        column("wau", pa.int64(), f"distinct listeners of the {WEEK_DAYS} days that end with it"),
        column("mau", pa.int64(), f"distinct listeners of the {MONTH_DAYS} days that end with it"),
        column("listens", pa.int64(), "listens of the day"),
        column("ms_played", pa.int64(), "time listened on the day, as far as sources provide it", unit="ms"),
    ]
)
NUMBERED = pa.schema(
    [("number", pa.int64()), ("user_id", pa.string()), ("listens", pa.int64()), ("ms_played", pa.int64())]
)


def number_days(daily_listening: pa.Table) -> pa.Table:
    """Replace each day by its number, since engines differ in date arithmetic."""
    day = daily_listening["day"].cast(pa.int32()).cast(pa.int64())
    return pa.table([day, *(daily_listening[n] for n in NUMBERED.names[1:])], NUMBERED)


def calendar(first: date, last: date) -> pa.Table:
    """Return the days of the month that ends with `first`, and all later ones up to `last`: day, number."""
    start = first - timedelta(days=MONTH_DAYS - 1)
    days = pa.array([start + timedelta(days=n) for n in range((last - start).days + 1)], pa.date32())
    return pa.table({"day": days, "number": days.cast(pa.int32()).cast(pa.int64())})


def hold(daily_listening: nw.LazyFrame) -> nw.LazyFrame:
    """Count the listeners of each day by the days until they are active again, at most a month.

    A listener's active day counts until the next one, or until the window ends. So at any time only one of their days
    counts them, and all windows are sums over these few rows.
    """
    rows = windowed(daily_listening, ["user_id"], ["number"], following=nw.col("number").shift(-1))
    rows = rows.with_columns(wait=nw.col("following") - nw.col("number"))
    long = nw.col("wait").is_null() | (nw.col("wait") > MONTH_DAYS)
    rows = rows.with_columns(held=nw.when(long).then(nw.lit(MONTH_DAYS)).otherwise(nw.col("wait")))
    return rows.group_by("number", "held").agg(nw.col("listens").sum(), nw.col("ms_played").sum(), listeners=nw.len())


def add_up(held: nw.LazyFrame) -> nw.LazyFrame:
    """Add up the counts of `hold` from all parts."""
    return held.group_by("number", "held").agg(*(nw.col(c).sum() for c in ("listens", "ms_played", "listeners")))


def count_days(held: nw.LazyFrame, days: nw.LazyFrame, first: date) -> nw.LazyFrame:
    """Return the listeners of each day from `first` on, and of its week and month.

    A window's listeners are those who came up to its last day, minus those who left.
    """
    came = held.group_by("number").agg(
        nw.col("listens").sum(), nw.col("ms_played").sum(), dau=nw.col("listeners").sum()
    )
    rows = days.join(came, on="number", how="left")
    for window in (WEEK_DAYS, MONTH_DAYS):
        stay = nw.when(nw.col("held") > window).then(nw.lit(window)).otherwise(nw.col("held"))
        leave = held.with_columns(number=nw.col("number") + stay)
        left = leave.group_by("number").agg(nw.col("listeners").sum()).rename({"listeners": f"left_{window}"})
        rows = rows.join(left, on="number", how="left")
    counts = ("dau", f"left_{WEEK_DAYS}", f"left_{MONTH_DAYS}", "listens", "ms_played")
    rows = rows.with_columns(*(nw.col(c).fill_null(0) for c in counts), one=nw.lit(1))
    rows = windowed(rows, ["one"], ["number"], **{f"until_{c}": nw.col(c).cum_sum() for c in counts[:3]})
    rows = rows.with_columns(
        wau=nw.col("until_dau") - nw.col(f"until_left_{WEEK_DAYS}"),
        mau=nw.col("until_dau") - nw.col(f"until_left_{MONTH_DAYS}"),
    )
    return rows.filter(nw.col("day") >= first, nw.col("mau") > 0).select(ACTIVE_LISTENERS.names)


@dg.asset(
    key_prefix="events",
    ins={"daily_listening": dg.AssetIn(["events", "daily_listening"], partition_mapping=with_earlier(MONTH_DAYS - 1))},
    **daily(ACTIVE_LISTENERS, key=["day"]),
)
def active_listeners(context: dg.AssetExecutionContext, daily_listening: Frame) -> Frame:
    """Daily, weekly and monthly active listeners, for every day whose month has any listener."""
    first, last = dates(context.partition_key_range)
    numbered = daily_listening.select("day", *NUMBERED.names[1:]).map(number_days, schema=NUMBERED, kernel="arrow")
    held = numbered.per("user_id", hold).per(["number", "held"], add_up).persist()
    return held.per([], partial(count_days, first=first), daily_listening.engine.from_arrow(calendar(first, last)))


checks = [
    checks_of(
        active_listeners,
        ascending(("dau", "wau", "mau"), ("dau", "listens")),
        sums_match_upstream(
            dg.AssetKey(["events", "daily_listening"]),
            DAILY_LISTENING,
            {
                "listeners": (sum_of("dau"), ROWS),
                "listens": in_both("listens"),
            },
            DAY,
        ),
    )
]
