"""Daily app usage: the actions of each listener in programs on a day, and the outcomes of plays that began on it.

Events are actions, not listening time. A program plays one recording at a time, and plays on until it is paused,
skipped or given another recording. So for each listener and program, with events in order of time:

1. A `play` begins a play, unless it resumes one. It resumes one if the previous event is a pause or seek in the same
   recording, at most twelve hours ago, and its position is not the beginning.
2. A play ends with its first `skip`, else when the next play begins. A play that has not ended after a day is open and
   counts in no rate.
3. The position that a play reached is the largest in its events, or the one that it had played to by the next event.

For any days and listeners, the skip rate is `skipped` / `plays_ended`, and the completion rate is `completed` /
`with_track_length`. As in `daily_listening`, nine tenths of a recording complete it. A play can be both skipped and
completed, for example if the applause is skipped. The Music Streaming Sessions Dataset distinguishes early and late
skips for the same reason (https://arxiv.org/abs/1901.09851). A play belongs to the day on which it began, an event to
its own day.
"""

from datetime import timedelta
from functools import partial

import dagster as dg
import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from assets.checks import ONLY_DAYS, ROWS, ascending, checks_of, sum_of, sums_match_upstream
from assets.events.daily_listening import COMPLETE
from assets.partitions import DAY, daily, dates, on_days, with_neighbors
from resources.frames.frame import Frame
from resources.frames.windows import windowed
from resources.schema import column

COUNTED = {
    "play": "plays",
    "pause": "pauses",
    "seek": "seeks",
    "skip": "skips",
    "like": "likes",
    "dislike": "dislikes",
    "search": "searches",
    "add_to_playlist": "playlist_adds",
    "page_view": "page_views",
}
"""The column that counts each event."""
DAILY_APP_USAGE = pa.schema(
    [
        column("day", pa.date32(), "UTC day"),
        column("user_id", pa.string(), "listener", personal=True),
        column("events", pa.int64(), "events of the day"),
        *(column(name, pa.int64(), f"{event} events of the day") for event, name in COUNTED.items()),
        column("others", pa.int64(), "other events of the day"),
        column("plays_started", pa.int64(), "plays that began on the day, resumed plays counted once"),
        column("plays_ended", pa.int64(), "of plays_started, plays with a known end"),
        column("skipped", pa.int64(), "of plays_ended, plays ended by a skip"),
        column("with_track_length", pa.int64(), "of plays_ended, plays of recordings with a length in the catalog"),
        column("completed", pa.int64(), "of with_track_length, plays that reached nine tenths of the recording"),
    ]
)
PLAY_COUNTS = ["plays_started", "plays_ended", "skipped", "with_track_length", "completed"]
MAX_PAUSE_MS = timedelta(hours=12) // timedelta(milliseconds=1)  # a night; a later play is a new one
MAX_PLAY_MS = timedelta(days=1) // timedelta(milliseconds=1)  # so that a day and its neighbors have all of its plays

# The order of events at one instant: first what ends a play, then what begins one, then what is in it.
TURNS = ["skip", "pause", "play", "seek"]
SKIP, PAUSE, PLAY, SEEK = range(len(TURNS))
PLAYBACK = pa.schema(
    [
        ("day", pa.date32()),
        ("user_id", pa.string()),
        ("client", pa.string()),
        ("recording", pa.string()),
        ("at", pa.int64()),  # milliseconds since 1970
        ("turn", pa.int64()),
        ("event_id", pa.string()),
        ("from_ms", pa.int64()),  # position from which it plays on
        ("at_ms", pa.int64()),  # position before the event
    ]
)
PLAYER = ["user_id", "client"]
ORDER = ["at", "turn", "event_id"]


def playback(events: pa.Table) -> pa.Table:
    """Return the events about playing, as rows of `PLAYBACK`."""
    turn = pc.index_in(events["event"], pa.array(TURNS))
    rows = events.append_column("turn", turn).filter(pc.is_valid(turn))
    names = pc.binary_join_element_wise(*(pc.fill_null(rows[n], "") for n in ("artist_name", "recording_name")), "\x1f")
    play, seek = (pc.equal(rows["turn"], n) for n in (PLAY, SEEK))
    nowhere = pa.scalar(None, pa.int64())
    columns = {
        "client": pc.fill_null(rows["client"], ""),
        "recording": pc.coalesce(rows["recording_id"], names),
        "at": pc.divide(rows["at"].cast(pa.int64()), 1000),
        "turn": rows["turn"].cast(pa.int64()),
        "from_ms": pc.if_else(play, rows["position_ms"], pc.if_else(seek, rows["to_ms"], nowhere)),
        "at_ms": pc.if_else(play, nowhere, rows["position_ms"]),
    }
    return pa.table([columns[n] if n in columns else rows[n] for n in PLAYBACK.names], PLAYBACK)


def with_lengths(playback: nw.LazyFrame, lengths: nw.LazyFrame) -> nw.LazyFrame:
    """Add the length of each recording, null if the catalog lacks it."""
    return playback.join(lengths, on="recording", how="left")


def follow(playback: nw.LazyFrame) -> nw.LazyFrame:
    """Return the outcome of each play of whole players: its day, listener and `PLAY_COUNTS` as zeros and ones."""
    at, turn, began = nw.col("at"), nw.col("turn"), nw.col("began")
    rows = windowed(
        playback,
        PLAYER,
        ORDER,
        turn_before=turn.shift(1),
        recording_before=nw.col("recording").shift(1),
        at_before=at.shift(1),
        next_at=at.shift(-1),
    )
    before = nw.col("turn_before")
    elsewhere = before.is_null() | ~before.is_in([PAUSE, SEEK]) | (nw.col("recording_before") != nw.col("recording"))
    start = ~nw.col("from_ms").is_null() & (nw.col("from_ms") == 0)
    is_new = elsewhere | (at - nw.col("at_before") > MAX_PAUSE_MS) | start
    begins = (turn == PLAY) & is_new
    # As columns first: ordered windows over an expression use the stored order of rows in pandas.
    rows = rows.with_columns(
        begins=nw.when(begins).then(1).otherwise(0),
        began=nw.when(begins).then(at).otherwise(0),
        played_at=nw.when(turn == PLAY).then(at).otherwise(0),
        paused_at=nw.when(turn == PAUSE).then(at).otherwise(0),
        is_skip=nw.when(turn == SKIP).then(1).otherwise(0),
    )
    begins = nw.col("begins") == 1
    newest = ("began", "played_at", "paused_at")
    rows = windowed(rows, PLAYER, ORDER, **{c: nw.col(c).cum_max() for c in newest}, play=nw.col("begins").cum_sum())
    rows = windowed(rows, [*PLAYER, "play"], ORDER, skips=nw.col("is_skip").cum_sum())
    rows = rows.filter(nw.col("play") > 0, nw.col("skips") - nw.col("is_skip") == 0, at - began <= MAX_PLAY_MS)
    plays_on = ((turn == PLAY) | ((turn == SEEK) & (nw.col("played_at") >= nw.col("paused_at")))) & (
        nw.col("next_at") - began <= MAX_PLAY_MS
    )
    position = nw.when(begins & nw.col("from_ms").is_null()).then(0).otherwise(nw.col("from_ms"))
    rows = rows.with_columns(
        played_to=nw.when(plays_on).then(position + nw.col("next_at") - at),
        first_day=nw.when(begins).then(nw.col("day")),
        length=nw.when(begins).then(nw.col("length_ms")),
    )
    plays = rows.group_by(*PLAYER, "play").agg(
        nw.col("played_to").max(),
        nw.col("at_ms").max(),
        nw.col("length").max(),
        nw.col("began").max(),
        day=nw.col("first_day").max(),
        skipped=nw.col("is_skip").sum(),
    )
    plays = windowed(plays, PLAYER, ["play"], next_began=began.shift(-1))
    skipped = nw.col("skipped") > 0
    ended = skipped | (~nw.col("next_began").is_null() & (nw.col("next_began") - began <= MAX_PLAY_MS))
    measured = ended & ~nw.col("length").is_null() & (nw.col("length") > 0)
    enough = nw.col("length") * COMPLETE[0]
    reached = (nw.col("played_to") * COMPLETE[1] >= enough, nw.col("at_ms") * COMPLETE[1] >= enough)
    completed = measured & nw.any_horizontal(*reached, ignore_nulls=True)
    met = {"plays_ended": ended, "with_track_length": measured, "completed": completed}
    plays = plays.with_columns(plays_started=nw.lit(1), **{n: nw.when(m).then(1).otherwise(0) for n, m in met.items()})
    return plays.select("day", "user_id", *PLAY_COUNTS)


def tally(events: nw.LazyFrame, plays: nw.LazyFrame) -> nw.LazyFrame:
    """Count the events of each listener and day, and add the counts of plays that began on it."""
    event = nw.col("event")
    kinds = {name: event == kind for kind, name in COUNTED.items()} | {"others": ~event.is_in(list(COUNTED))}
    rows = events.with_columns(**{name: nw.when(met).then(1).otherwise(0) for name, met in kinds.items()})
    counted = rows.group_by("day", "user_id").agg(*(nw.col(n).sum() for n in kinds), events=nw.len())
    ended = plays.group_by("day", "user_id").agg(*(nw.col(n).sum() for n in PLAY_COUNTS))
    # A play starts with an event of its day, so the left join loses none.
    both = counted.join(ended, on=["day", "user_id"], how="left")
    none = {n: nw.when(nw.col(n).is_null()).then(0).otherwise(nw.col(n)) for n in PLAY_COUNTS}
    return both.with_columns(**none).select(DAILY_APP_USAGE.names)


@dg.asset(
    key_prefix="events",
    ins={
        "app_events": dg.AssetIn(["events", "app_events"], partition_mapping=with_neighbors()),
        "recordings": dg.AssetIn(["content", "recordings"]),
    },
    **daily(DAILY_APP_USAGE, key=["day", "user_id"]),
)
def daily_app_usage(context: dg.AssetExecutionContext, app_events: Frame, recordings: Frame) -> Frame:
    """Application events of each listener by UTC day, counted by kind, with started, skipped and completed plays."""
    first, last = dates(context.partition_key_range)
    of_days = partial(on_days, first=first, last=last)
    needed = ["artist_name", "recording_name", "position_ms", "to_ms", "recording_id", "client", "event_id", "at"]
    played = app_events.select("day", "user_id", "event", *needed).map(playback, schema=PLAYBACK, kernel="arrow")
    lengths = recordings.select("recording_id", "length_ms").map(as_lengths)
    plays = played.per("recording", with_lengths, lengths).per(PLAYER, follow).map(of_days)
    return app_events.select("day", "user_id", "event").map(of_days).per(["day", "user_id"], tally, plays)


def as_lengths(recordings: nw.LazyFrame) -> nw.LazyFrame:
    """Rename the id of recordings to its name in `PLAYBACK`."""
    return recordings.rename({"recording_id": "recording"})


checks = [
    checks_of(
        daily_app_usage,
        ascending(
            ("completed", "with_track_length", "plays_ended", "plays_started", "plays", "events"),
            ("skipped", "plays_ended"),
        ),
        sums_match_upstream(
            dg.AssetKey(["events", "app_events"]),
            ONLY_DAYS,
            {"events": (sum_of("events"), ROWS)},
            DAY,
        ),
    )
]
