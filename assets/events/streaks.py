"""Streaks: days in a row on which a listener listened, by the listener's own calendar.

A day is a date where the listener was, as far as sources tell the time zone, else a UTC day; whoever crosses the date
line is given the date that is passed over. Whether a streak still runs depends on the reader's today: it does if
`last_day` is today or yesterday.
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
        column("user_id", pa.string(), "who listened", personal=True),
        column("latest_streak", pa.int64(), "days in a row that end with the last active one", unit="days"),
        column("longest", pa.int64(), "most days in a row", unit="days"),
        column("longest_first_day", pa.date32(), "first of them; of equally long streaks that of the earliest"),
        column("longest_last_day", pa.date32(), "last of them"),
        column("first_day", pa.date32(), "first active day"),
        column("last_day", pa.date32(), "last active day"),
        column("active_days", pa.int64(), "active days in all", unit="days"),
    ]
)
SPANS = pa.schema([("user_id", pa.string()), ("day", pa.int64()), ("first", pa.int64()), ("last", pa.int64())])


def numbered(daily_listening: pa.Table) -> pa.Table:
    """Dates as numbers, of which engines agree how far one is from another."""
    dates = (daily_listening[c].cast(pa.int32()).cast(pa.int64()) for c in ("day", "first_date", "last_date"))
    return pa.table([daily_listening["user_id"], *dates], SPANS)


def in_a_row(spans: nw.LazyFrame) -> nw.LazyFrame:
    """The longest and the last streak of each listener, of spans of dates that touch or overlap where a streak goes on.

    A span holds the dates of a UTC day: one, or two that follow each other, or three across the date line.
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
    found = streaks.group_by("user_id").agg(
        nw.col("latest_streak").max(),
        nw.col("longest").max(),
        nw.col("last_day").max(),
        longest_first_day=nw.col("began").min(),
        first_day=nw.col("first").min(),
        active_days=nw.col("length").sum(),
    )
    ends = nw.col("longest_first_day") + nw.col("longest") - 1
    return found.with_columns(longest_last_day=ends).select(STREAKS.names)


def dated(streaks: pa.Table) -> pa.Table:
    """Numbers as dates again."""
    narrow = [pa.int32() if pa.types.is_date32(f.type) else f.type for f in STREAKS]
    return pa.table([streaks[f.name].cast(t).cast(f.type) for f, t in zip(STREAKS, narrow, strict=True)], STREAKS)


@dg.asset(
    key_prefix="events",
    ins={"daily_listening": dg.AssetIn(["events", "daily_listening"])},
    metadata=declare(STREAKS, key=["user_id"]),
)
def streaks(daily_listening: Frame) -> Frame:
    """Days in a row on which each listener listened: the longest streak and the last."""
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
