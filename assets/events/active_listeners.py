"""Actives: how many listeners there were on a day, in the week and in the month that end with it.

Distinct listeners do not add up: a listener of two days of a week is one listener of that week. So each is counted
from the days they were active, never from counts of shorter periods. A day has a row if its month has a listener: so
the table does not depend on which quiet days were built.
"""

from datetime import date, timedelta
from functools import partial

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import ROWS, added, alike, ascending, checks_of, sums_match_upstream
from assets.events.daily_listening import DAILY_LISTENING
from assets.partitions import DAY, daily, dates, with_earlier
from resources.frames.frame import Frame
from resources.frames.windows import windowed
from resources.schema import column

WEEK, MONTH = 7, 30  # days; the convention of product analytics, and what Meta's annual reports call a monthly active
ACTIVE_LISTENERS = pa.schema(
    [
        column("day", pa.date32(), "UTC day"),
        column("dau", pa.int64(), "distinct listeners of the day"),
        column("wau", pa.int64(), f"distinct listeners of the {WEEK} days that end with it"),
        column("mau", pa.int64(), f"distinct listeners of the {MONTH} days that end with it"),
        column("listens", pa.int64(), "listens of the day"),
        column("ms_played", pa.int64(), "time listened on the day, as far as sources tell", unit="ms"),
    ]
)
NUMBERED = pa.schema(
    [("number", pa.int64()), ("user_id", pa.string()), ("listens", pa.int64()), ("ms_played", pa.int64())]
)


def number(daily_listening: pa.Table) -> pa.Table:
    """Activity with its day as a number, of which engines agree how far one is from another."""
    day = daily_listening["day"].cast(pa.int32()).cast(pa.int64())
    return pa.table([day, *(daily_listening[n] for n in NUMBERED.names[1:])], NUMBERED)


def calendar(first: date, last: date) -> pa.Table:
    """The days from `first` to `last` and those that a month of the first looks back to: day, number."""
    start = first - timedelta(days=MONTH - 1)
    days = pa.array([start + timedelta(days=n) for n in range((last - start).days + 1)], pa.date32())
    return pa.table({"day": days, "number": days.cast(pa.int32()).cast(pa.int64())})


def hold(daily_listening: nw.LazyFrame) -> nw.LazyFrame:
    """How many listeners were active on each day, by the number of days until they were next, at most a month.

    A listener's active day holds until the next one, or for as long as the window is: so that at any time only one of
    their days counts them. The windows of all days are sums over these few rows.
    """
    rows = windowed(daily_listening, ["user_id"], ["number"], following=nw.col("number").shift(-1))
    rows = rows.with_columns(wait=nw.col("following") - nw.col("number"))
    long = nw.col("wait").is_null() | (nw.col("wait") > MONTH)
    rows = rows.with_columns(held=nw.when(long).then(nw.lit(MONTH)).otherwise(nw.col("wait")))
    return rows.group_by("number", "held").agg(nw.col("listens").sum(), nw.col("ms_played").sum(), listeners=nw.len())


def add_up(held: nw.LazyFrame) -> nw.LazyFrame:
    """The same of all listeners, of what shares tell of theirs."""
    return held.group_by("number", "held").agg(*(nw.col(c).sum() for c in ("listens", "ms_played", "listeners")))


def count_days(held: nw.LazyFrame, days: nw.LazyFrame, first: date) -> nw.LazyFrame:
    """The listeners of each day from `first` on, and of its week and month: those who came, without those who left."""
    came = held.group_by("number").agg(
        nw.col("listens").sum(), nw.col("ms_played").sum(), dau=nw.col("listeners").sum()
    )
    rows = days.join(came, on="number", how="left")
    for window in (WEEK, MONTH):
        stay = nw.when(nw.col("held") > window).then(nw.lit(window)).otherwise(nw.col("held"))
        leave = held.with_columns(number=nw.col("number") + stay)
        left = leave.group_by("number").agg(nw.col("listeners").sum()).rename({"listeners": f"left_{window}"})
        rows = rows.join(left, on="number", how="left")
    counts = ("dau", f"left_{WEEK}", f"left_{MONTH}", "listens", "ms_played")
    rows = rows.with_columns(*(nw.col(c).fill_null(0) for c in counts), one=nw.lit(1))
    rows = windowed(rows, ["one"], ["number"], **{f"until_{c}": nw.col(c).cum_sum() for c in counts[:3]})
    rows = rows.with_columns(
        wau=nw.col("until_dau") - nw.col(f"until_left_{WEEK}"),
        mau=nw.col("until_dau") - nw.col(f"until_left_{MONTH}"),
    )
    return rows.filter(nw.col("day") >= first, nw.col("mau") > 0).select(ACTIVE_LISTENERS.names)


@dg.asset(
    key_prefix="events",
    ins={"daily_listening": dg.AssetIn(["events", "daily_listening"], partition_mapping=with_earlier(MONTH - 1))},
    **daily(ACTIVE_LISTENERS, key=["day"]),
)
def active_listeners(context: dg.AssetExecutionContext, daily_listening: Frame) -> Frame:
    """Daily, weekly and monthly active listeners, for every day whose month has any."""
    first, last = dates(context.partition_key_range)
    numbered = daily_listening.select("day", *NUMBERED.names[1:]).map(number, schema=NUMBERED, kernel="arrow")
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
                "listeners": (added("dau"), ROWS),
                "listens": alike("listens"),
            },
            DAY,
        ),
    )
]
