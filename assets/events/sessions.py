"""Sessions: what one listener hears without a break.

A session ends where thirty minutes pass without a listen, and belongs to the day of its first listen. A day can be
computed from itself and its neighbours, in any order, because a session never reaches far: a UTC day that holds no gap
ends its session at its closing midnight.
"""

from datetime import date, timedelta
from functools import partial

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import bounded, complete, unique
from assets.partitions import DAILY, with_neighbours
from resources.columns import INSTANT, column, declare
from resources.frame import Frame

SESSIONS = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which the session began"),
        column("user_id", pa.string(), "who listened", personal=True),
        column("started_at", INSTANT, "start of the first listen", unit="UTC"),
        column(
            "ended_at", INSTANT, "end of the listen that ended last, or its start where no end is known", unit="UTC"
        ),
        column("listens", pa.int64(), "listens in the session"),
        column("recordings", pa.int64(), "distinct recordings in the session"),
        column("ms_played", pa.int64(), "time listened, as far as sources tell", unit="ms"),
    ]
)
GAP = timedelta(minutes=30)  # the web-analytics convention; ListenBrainz closes at 5 minutes to pair tracks
ORDER = ["listened_at", "recording_id"]  # total, since a listener starts a recording once at an instant


def sessionize(listens: nw.LazyFrame) -> nw.LazyFrame:
    """Each session of each listener."""
    when, day = nw.col("listened_at"), nw.col("day")
    rows = listens.with_columns(
        silence=when - when.shift(1).over("user_id", order_by=ORDER),
        pause=when - when.shift(1).over("user_id", "day", order_by=ORDER),
        opening=when - when.dt.truncate("1d"),
        day_before=day.shift(1).over("user_id", order_by=ORDER),
    )
    # A day holds no gap if neither the silence at its opening nor any pause within it is longer than one.
    longest = nw.when(nw.col("pause").is_null()).then(nw.col("opening")).otherwise(nw.col("pause"))
    rows = rows.with_columns(gap=nw.when(longest > GAP).then(1).otherwise(0))
    rows = rows.with_columns(gaps=nw.col("gap").sum().over("user_id", "day"))
    rows = rows.with_columns(gaps_before=nw.col("gaps").shift(1).over("user_id", order_by=ORDER))
    midnight = (nw.col("day_before") != day) & (nw.col("gaps_before") == 0)
    rows = rows.with_columns(opens=nw.when((nw.col("silence") <= GAP) & ~midnight).then(0).otherwise(1))
    rows = rows.with_columns(
        session=nw.col("opens").cum_sum().over("user_id", order_by=ORDER),
        ended_at=nw.when(nw.col("ended_at").is_null()).then(when).otherwise(nw.col("ended_at")),
    )
    heard = rows.group_by("user_id", "session", "recording_id").agg(
        day=day.min(),
        started_at=when.min(),
        ended_at=nw.col("ended_at").max(),
        listens=nw.len(),
        ms_played=nw.col("ms_played").sum(),
    )
    return heard.group_by("user_id", "session").agg(
        day=day.min(),
        started_at=nw.col("started_at").min(),
        ended_at=nw.col("ended_at").max(),
        recordings=nw.len(),
        listens=nw.col("listens").sum(),
        ms_played=nw.col("ms_played").sum(),
    )


def began_within(sessions: nw.LazyFrame, first: date, last: date) -> nw.LazyFrame:
    """The sessions that began on these days, both included."""
    return sessions.filter(nw.col("day") >= first, nw.col("day") <= last).select(SESSIONS.names)


@dg.asset(
    key_prefix="events",
    ins={"listens": dg.AssetIn(["events", "listens"], partition_mapping=with_neighbours())},
    partitions_def=DAILY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    metadata=declare(SESSIONS, slices="day", order=["day", "user_id", "started_at"]),
)
def sessions(context: dg.AssetExecutionContext, listens: Frame) -> Frame:
    """Listening without a break of thirty minutes, by the UTC day it began."""
    first, last = (date.fromisoformat(k) for k in (context.partition_key_range.start, context.partition_key_range.end))
    needed = listens.select("day", "user_id", "recording_id", "listened_at", "ended_at", "ms_played")
    return needed.per("user_id", sessionize).map(partial(began_within, first=first, last=last))


checks = [unique(sessions, "user_id", "started_at"), complete(sessions, SESSIONS), bounded(sessions, "started_at")]
