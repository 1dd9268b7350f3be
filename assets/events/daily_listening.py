"""Daily listening: what each listener listened to on a day, in counts that add up.

For any days and listeners, the skip rate is `skips` / `with_duration`, and the completion rate is `completions` /
`with_track_length`. A listen without a duration counts in neither rate. A recording without a length in the catalog
does not count in the completion rate.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg
import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.checks import DAYS_AND_TIME, ROWS, ascending, checks_of, in_both, sum_of, sums_match_upstream
from assets.partitions import DAY, daily
from resources.frames.frame import Frame
from resources.schema import column

DAILY_LISTENING = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which the listens began"),
        column("user_id", pa.string(), "listener", personal=True),
        column("listens", pa.int64(), "number of listens"),
        column("recordings", pa.int64(), "number of distinct recordings"),
        column("ms_played", pa.int64(), "time listened, as far as sources provide it", unit="ms"),
        column("with_duration", pa.int64(), "listens with a time listened from the source"),
        column("skips", pa.int64(), "of with_duration, listens of less than 30 seconds"),
        column("with_track_length", pa.int64(), "of with_duration, listens of recordings with a length in the catalog"),
        column("completions", pa.int64(), "of with_track_length, listens of at least nine tenths of the recording"),
        column("first_date", pa.date32(), "earliest date of a listen in the listener's time zone, UTC if unknown"),
        column("last_date", pa.date32(), "latest date of a listen in the listener's time zone, UTC if unknown"),
    ]
)
MIN_STREAM_MS = 30_000  # from which services count, and pay for, a stream; Spotify's rule among others
COMPLETE = (9, 10)  # of the length, as numerator and denominator; the rest is often applause, a fade or silence
DATED = pa.schema(
    [
        ("day", pa.date32()),
        ("user_id", pa.string()),
        ("recording_id", pa.string()),
        ("ms_played", pa.int64()),
        ("date", pa.date32()),
    ]
)
SECOND_US = 1_000_000
# Clocks are put forward and back on a quarter of an hour, so that one lookup per quarter is enough.
QUARTER_US, DAY_US = 15 * 60 * SECOND_US, 24 * 60 * 60 * SECOND_US


def on_dates(listens: pa.Table) -> pa.Table:
    """Add to each listen its date in the listener's time zone, or its UTC date if the time zone is unknown."""
    instants = np.asarray(listens["listened_at"].cast(pa.int64()))
    zones = listens["time_zone"].combine_chunks().dictionary_encode()
    place = np.asarray(pc.fill_null(zones.indices, -1))
    local = instants.copy()
    for number, zone in enumerate(zones.dictionary.to_pylist()):
        here = place == number
        quarters, which = np.unique(instants[here] // QUARTER_US, return_inverse=True)
        offsets = np.array([_utc_offset_us(q * QUARTER_US // SECOND_US, zone) for q in quarters.tolist()], np.int64)
        local[here] += offsets[which]
    date = pa.array((local // DAY_US).astype(np.int32)).cast(pa.date32())
    return pa.table([*(listens[n] for n in DATED.names[:-1]), date], DATED)


def measure(listens: nw.LazyFrame, recordings: nw.LazyFrame) -> nw.LazyFrame:
    """Count the listens of each listener, day and recording."""
    played, length = nw.col("ms_played"), nw.col("length_ms")
    with_duration = ~played.is_null()
    with_track_length = with_duration & ~length.is_null() & (length > 0)
    conditions = {
        "with_duration": with_duration,
        "skips": with_duration & (played < MIN_STREAM_MS),
        "with_track_length": with_track_length,
        "completions": with_track_length & (played * COMPLETE[1] >= length * COMPLETE[0]),
    }
    rows = listens.join(recordings, on="recording_id", how="left")
    rows = rows.with_columns(**{name: nw.when(met).then(1).otherwise(0) for name, met in conditions.items()})
    return rows.group_by("day", "user_id", "recording_id").agg(
        *(nw.col(c).sum() for c in ("ms_played", *conditions)),
        listens=nw.len(),
        first_date=nw.col("date").min(),
        last_date=nw.col("date").max(),
    )


def add_up(recordings: nw.LazyFrame) -> nw.LazyFrame:
    """Add up the counts of recordings for each listener and day."""
    return recordings.group_by("day", "user_id").agg(
        *(
            nw.col(c).sum()
            for c in ("listens", "ms_played", "with_duration", "skips", "with_track_length", "completions")
        ),
        recordings=nw.len(),
        first_date=nw.col("first_date").min(),
        last_date=nw.col("last_date").max(),
    )


@dg.asset(
    key_prefix="events",
    ins={"listens": dg.AssetIn(["events", "listens"]), "recordings": dg.AssetIn(["content", "recordings"])},
    **daily(DAILY_LISTENING, key=["day", "user_id"]),
)
def daily_listening(listens: Frame, recordings: Frame) -> Frame:
    """Listens, distinct recordings, time listened, skips and completions of each listener by UTC day."""
    needed = listens.select("day", "user_id", "recording_id", "ms_played", "listened_at", "time_zone")
    dated, lengths = needed.map(on_dates, schema=DATED, kernel="arrow"), recordings.select("recording_id", "length_ms")
    return dated.per("recording_id", measure, lengths).per(["day", "user_id"], add_up)


checks = [
    checks_of(
        daily_listening,
        ascending(
            ("completions", "with_track_length", "with_duration", "listens"),
            ("skips", "with_duration"),
            ("recordings", "listens"),
            ("first_date", "last_date"),
        ),
        sums_match_upstream(
            dg.AssetKey(["events", "listens"]),
            DAYS_AND_TIME,
            {
                "listens": (sum_of("listens"), ROWS),
                "milliseconds": in_both("ms_played"),
            },
            DAY,
        ),
    )
]


def _utc_offset_us(seconds: int, zone: str) -> int:
    """Return the offset of a time zone from UTC at an instant, in microseconds, negative if behind UTC."""
    offset = datetime.fromtimestamp(seconds, ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return int(offset.total_seconds()) * SECOND_US
