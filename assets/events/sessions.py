"""Sessions: listens of one listener without a break of thirty minutes.

A session belongs to the day of its first listen. Each day is computed from itself and its neighbors, in any order. This
works because sessions are limited: at the end of a full UTC day without a break, its session ends at midnight.
"""

from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of, timestamp_in_partition
from assets.partitions import daily, dates, on_days, with_neighbors
from resources.frames.frame import Frame
from resources.frames.windows import windowed
from resources.schema import INSTANT, column

SESSIONS = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which the session began"),
        column("user_id", pa.string(), "listener", personal=True),
        column("started_at", INSTANT, "start of the first listen", unit="UTC"),
        column("ended_at", INSTANT, "latest end of a listen, or its start if the end is unknown", unit="UTC"),
        column("listens", pa.int64(), "listens in the session"),
        column("recordings", pa.int64(), "distinct recordings in the session"),
        column("ms_played", pa.int64(), "time listened, as far as sources provide it", unit="ms"),
    ]
)
GAP = timedelta(minutes=30)  # the web-analytics convention; ListenBrainz closes at 5 minutes to pair tracks
A_DAY = timedelta(days=1)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)  # before every listen


def sessionize(listens: nw.LazyFrame) -> nw.LazyFrame:
    """Return the sessions of each listener.

    A session without a break of thirty minutes ends at each midnight that closes a full day without a break. These are
    all midnights but the first. The first one counts too if the session opened its day: it has no earlier listen on
    that day, and began within thirty minutes after midnight. The result does not depend on the order of listens at one
    instant.
    """
    when, before, opened = nw.col("listened_at"), nw.col("before"), nw.col("opened")
    midnight, first_midnight = nw.col("midnight"), nw.col("first_midnight")
    rows = windowed(listens, ["user_id"], ["listened_at"], before=when.shift(1))
    rows = rows.with_columns(
        midnight=when.dt.truncate("1d"),
        ended_at=nw.when(nw.col("ended_at").is_null()).then(when).otherwise(nw.col("ended_at")),
    )
    opens = before.is_null() | (when - before > GAP)
    opens_day = (before.is_null() | (before < midnight)) & (when - midnight <= GAP)
    # A session that opens its day is set to open at midnight, which distinguishes the two kinds below.
    opening = nw.when(opens).then(when).otherwise(nw.lit(LONG_AGO))
    opening = nw.when(opens & opens_day).then(midnight).otherwise(opening)
    rows = rows.with_columns(opened=opening, continues=nw.when(opens).then(0).otherwise(1))
    rows = windowed(rows, ["user_id"], ["listened_at", "continues"], opened=opened.cum_max())
    rows = rows.with_columns(first_midnight=opened.dt.truncate("1d"))
    over_midnight = (opened != first_midnight) & (midnight - first_midnight <= A_DAY)
    unbroken = (midnight == first_midnight) | over_midnight
    rows = rows.with_columns(session=nw.when(unbroken).then(opened).otherwise(midnight))
    by_recording = rows.group_by("user_id", "session", "recording_id").agg(
        started_at=when.min(), ended_at=nw.col("ended_at").max(), listens=nw.len(), ms_played=nw.col("ms_played").sum()
    )
    sessions = by_recording.group_by("user_id", "session").agg(
        started_at=nw.col("started_at").min(),
        ended_at=nw.col("ended_at").max(),
        recordings=nw.len(),
        listens=nw.col("listens").sum(),
        ms_played=nw.col("ms_played").sum(),
    )
    return sessions.with_columns(day=nw.col("started_at").cast(nw.Date))


@dg.asset(
    key_prefix="events",
    ins={"listens": dg.AssetIn(["events", "listens"], partition_mapping=with_neighbors())},
    **daily(SESSIONS, key=["user_id", "started_at"]),
)
def sessions(context: dg.AssetExecutionContext, listens: Frame) -> Frame:
    """Listening sessions, which end after thirty minutes without a listen, by the UTC day on which they began."""
    first, last = dates(context.partition_key_range)
    needed = listens.select("user_id", "recording_id", "listened_at", "ended_at", "ms_played")
    return needed.per("user_id", sessionize).map(partial(on_days, first=first, last=last)).select(*SESSIONS.names)


checks = [checks_of(sessions, timestamp_in_partition("started_at"))]
