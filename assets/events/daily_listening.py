"""Activity: what each listener did on a day, in counts that add up.

Rates are left to whoever reads: the skip rate of any days and listeners is their skips by their timed listens, the
completion rate their completions by their measured listens. A listen whose source does not tell how long it was heard
is in neither; nor is one of unknown length in the second.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg
import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.checks import DAYS_AND_TIME, ROWS, added, alike, ascending, checks_of, sums_match_upstream
from assets.partitions import DAY, daily
from resources.frames.frame import Frame
from resources.schema import column

DAILY_LISTENING = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which the listens began"),
        column("user_id", pa.string(), "who listened", personal=True),
        column("listens", pa.int64(), "listens"),
        column("recordings", pa.int64(), "distinct recordings"),
        column("ms_played", pa.int64(), "time listened, as far as sources tell", unit="ms"),
        column("with_duration", pa.int64(), "listens of which the source tells how long they were heard"),
        column("skips", pa.int64(), "timed listens of less than 30 seconds"),
        column("with_track_length", pa.int64(), "timed listens of recordings whose length the catalog knows"),
        column("completions", pa.int64(), "measured listens of at least nine tenths of the recording"),
        column("first_date", pa.date32(), "earliest date of a listen where the listener was, by UTC where not told"),
        column("last_date", pa.date32(), "latest date of a listen where the listener was, by UTC where not told"),
    ]
)
PLAYED = 30_000  # milliseconds from which services count, and pay for, a stream; Spotify's rule among others
COMPLETE = (9, 10)  # of the length: what is left is often applause, a fade or silence
DATED = pa.schema(
    [
        ("day", pa.date32()),
        ("user_id", pa.string()),
        ("recording_id", pa.string()),
        ("ms_played", pa.int64()),
        ("date", pa.date32()),
    ]
)
SECOND = 1_000_000  # microseconds
QUARTER, A_DAY = 15 * 60 * SECOND, 24 * 60 * 60 * SECOND  # clocks are put forward and back on a quarter of an hour


def on_dates(listens: pa.Table) -> pa.Table:
    """Each listen with its date where the listener was; that of its UTC day where no source tells the time zone."""
    instants = np.asarray(listens["listened_at"].cast(pa.int64()))
    zones = listens["time_zone"].combine_chunks().dictionary_encode()
    place = np.asarray(pc.fill_null(zones.indices, -1))
    local = instants.copy()
    for number, zone in enumerate(zones.dictionary.to_pylist()):
        here = place == number
        quarters, which = np.unique(instants[here] // QUARTER, return_inverse=True)
        local[here] += np.array([_ahead(q * QUARTER // SECOND, zone) for q in quarters.tolist()], np.int64)[which]
    date = pa.array((local // A_DAY).astype(np.int32)).cast(pa.date32())
    return pa.table([*(listens[n] for n in DATED.names[:-1]), date], DATED)


def measure(listens: nw.LazyFrame, recordings: nw.LazyFrame) -> nw.LazyFrame:
    """What each listener did with each recording on a day, its length being known or not."""
    played, length = nw.col("ms_played"), nw.col("length_ms")
    with_duration = ~played.is_null()
    with_track_length = with_duration & ~length.is_null() & (length > 0)
    conditions = {
        "with_duration": with_duration,
        "skips": with_duration & (played < PLAYED),
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
    """What each listener did on a day, of what was done with each recording."""
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
    """What each listener did on a day: listens, skips, completions, time."""
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
                "listens": (added("listens"), ROWS),
                "milliseconds": alike("ms_played"),
            },
            DAY,
        ),
    )
]


def _ahead(seconds: int, zone: str) -> int:
    """By how many microseconds the clocks of a zone are ahead of UTC at an instant, or behind it (negative)."""
    ahead = datetime.fromtimestamp(seconds, ZoneInfo(zone)).utcoffset()
    assert ahead is not None
    return int(ahead.total_seconds()) * SECOND
