"""Streaks: consecutive days on which a listener listened, by the listener's calendar.

A day is a date in the listener's time zone, or a UTC day if the time zone is unknown. A date that is skipped at the
international date line counts as active. A streak is current if its `last_day` is today or yesterday.
"""

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import ascending, checks_of
from resources.frames.frame import Frame
from resources.frames.windows import windowed
from resources.schema import column, declare

STREAKS = pa.schema(
    [
        column("user_id", pa.string(), "listener", personal=True),
        column("latest_streak", pa.int64(), "length of the streak that ends with the last active day", unit="days"),
        column("longest", pa.int64(), "length of the longest streak", unit="days"),
        column("longest_first_day", pa.date32(), "first day of the longest streak, of equal ones the earliest"),
        column("longest_last_day", pa.date32(), "last day of the longest streak"),
        column("first_day", pa.date32(), "first active day"),
        column("last_day", pa.date32(), "last active day"),
        column("active_days", pa.int64(), "number of active days", unit="days"),
    ]
)
SPANS = pa.schema([("user_id", pa.string()), ("day", pa.int64()), ("first", pa.int64()), ("last", pa.int64())])


def numbered(daily_listening: pa.Table) -> pa.Table:
    """Replace dates by their numbers, since engines differ in date arithmetic."""
    dates = (daily_listening[c].cast(pa.int32()).cast(pa.int64()) for c in ("day", "first_date", "last_date"))
    return pa.table([daily_listening["user_id"], *dates], SPANS)


def in_a_row(spans: nw.LazyFrame) -> nw.LazyFrame:
    """Return the longest and the latest streak of each listener.

    A span has the dates of a UTC day: one, two consecutive ones, or three across the date line. Spans that touch or
    overlap belong to one streak.
    """
    order = ["first", "last", "day"]
    rows = windowed(spans, ["user_id"], order, reached=nw.col("last").cum_max())
    rows = windowed(rows, ["user_id"], order, before=nw.col("reached").shift(1))
    begins = nw.col("before").is_null() | (nw.col("first") - nw.col("before") > 1)
    rows = rows.with_columns(begins=nw.when(begins).then(1).otherwise(0))
    rows = windowed(rows, ["user_id"], order, streak=nw.col("begins").cum_sum())
    streaks = rows.group_by("user_id", "streak").agg(nw.col("first").min(), nw.col("last").max())
    streaks = streaks.with_columns(length=nw.col("last") - nw.col("first") + 1)
    streaks = streaks.with_columns(
        longest=nw.col("length").max().over("user_id"), last_day=nw.col("last").max().over("user_id")
    )
    streaks = streaks.with_columns(
        began=nw.when(nw.col("length") == nw.col("longest")).then(nw.col("first")),
        latest_streak=nw.when(nw.col("last") == nw.col("last_day")).then(nw.col("length")),
    )
    rows = streaks.group_by("user_id").agg(
        nw.col("latest_streak").max(),
        nw.col("longest").max(),
        nw.col("last_day").max(),
        longest_first_day=nw.col("began").min(),
        first_day=nw.col("first").min(),
        active_days=nw.col("length").sum(),
    )
    ends = nw.col("longest_first_day") + nw.col("longest") - 1
    return rows.with_columns(longest_last_day=ends).select(STREAKS.names)


def dated(streaks: pa.Table) -> pa.Table:
    """Replace the numbers of dates by dates."""
    narrow = [pa.int32() if pa.types.is_date32(f.type) else f.type for f in STREAKS]
    return pa.table([streaks[f.name].cast(t).cast(f.type) for f, t in zip(STREAKS, narrow, strict=True)], STREAKS)


@dg.asset(
    key_prefix="events",
    ins={"daily_listening": dg.AssetIn(["events", "daily_listening"])},
    metadata=declare(STREAKS, key=["user_id"]),
)
def streaks(daily_listening: Frame) -> Frame:
    """Longest and latest streak of consecutive listening days of each listener."""
    dates = daily_listening.select("user_id", "day", "first_date", "last_date")
    spans = dates.map(numbered, schema=SPANS, kernel="arrow")
    return spans.per("user_id", in_a_row).map(dated, schema=STREAKS, kernel="arrow")


checks = [
    checks_of(
        streaks,
        ascending(
            ("latest_streak", "longest", "active_days"),
            ("first_day", "longest_first_day", "longest_last_day", "last_day"),
        ),
    )
]
