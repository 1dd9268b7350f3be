"""Charts: the recordings and artists of each day, week, month and year, and of all time, most played first.

A chart ranks everything that was heard in its period, so that totals agree with the plays below it; how many places to
show is the reader's choice, and so is whether one listener may decide them: beside all plays stand those of which each
listener counts only so many. Movement is against the period before.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import added, checks_of, sums_match_upstream
from assets.derived.recording_plays import RECORDING_PLAYS
from assets.partitions import FIRST_DAY, PERIODS, Period, dates, periodic, with_previous
from resources.frames.frame import Frame
from resources.frames.windows import windowed
from resources.schema import column, declare

DAILY_CAP = 3
"""Plays of a recording or artist by one listener and day that `plays_capped` counts: nobody is to decide a chart.

A listener who loves a song plays it a few times a day. A program that loops one plays it round the clock, every day: so
the cap is what it counts for, in listeners who play once a day. At ten, the Official Charts Company's cap on streams
of one user and day since 2014, a few programs lead the charts of some hundred listeners. At one, no favorite is seen.
"""
CHART = pa.schema(
    [
        column("period_start", pa.date32(), "first UTC day of the period"),
        column("entity", pa.string(), '"recording" or "artist"'),
        column("entity_id", pa.string(), "recording_id or artist id of the listens"),
        column("rank", pa.int64(), "place by plays, from 1; of equals the smaller id comes first"),
        column("plays", pa.int64(), "listens"),
        column("ms_played", pa.int64(), "time listened, as far as sources tell", unit="ms"),
        column("listeners", pa.int64(), "distinct listeners"),
        column("plays_capped", pa.int64(), f"listens, at most {DAILY_CAP} of a listener and day"),
        column("previous_rank", pa.int64(), "place in the period before; null if not heard then", null=True),
        column("name", pa.string(), "what it was called last", null=True),
    ]
)
ENTITIES = ("recording", "artist")
CALENDAR = ["entity", "day", "period"]
KEY = ["entity", "entity_id"]
COUNTS = ("plays", "ms_played", "plays_capped")
INPUTS = {"plays": "recording_plays", "artist_plays": "artist_plays", "names": "display_names"}
LONG = 300  # days: of a year and more, rows are counted for each listener where they lie before they come together


def calendar(period: Period, first: date, last: date) -> pa.Table:
    """Each day of the periods from `first` to `last` and of the one before: entity, day, period (0 is the one before).

    Both dates are starts of periods.
    """
    start, number = period.first(first - timedelta(days=1)), 0
    rows = []
    while start <= last:
        end = period.following(start)
        rows += [(start + timedelta(days=d), number) for d in range((end - start).days)]
        start, number = end, number + 1
    return of_entities(*zip(*rows, strict=True))


def of_entities(days: Sequence[date], periods: Sequence[int]) -> pa.Table:
    """A calendar's days and periods, for each kind of entity: pandas joins by a date alone only one by one."""
    entities = [entity for entity in ENTITIES for _ in days]
    columns = (entities, [*days] * len(ENTITIES), [*periods] * len(ENTITIES))
    return pa.table(
        [pa.array(c, t) for c, t in zip(columns, (pa.string(), pa.date32(), pa.int64()), strict=True)], CALENDAR
    )


def starts(period: Period, first: date, last: date) -> pa.Table:
    """The periods that are charted: period (from 1), period_start."""
    found = [first]
    while found[-1] < last:
        found.append(period.following(found[-1]))
    return pa.table({"period": pa.array(range(1, len(found) + 1), pa.int64()), "period_start": found})


def as_entity(plays: nw.LazyFrame, entity: str, id: str) -> nw.LazyFrame:
    """Plays of recordings or artists in the columns both share."""
    return plays.select(
        "day",
        "user_id",
        nw.lit(entity, nw.String()).alias("entity"),
        nw.col(id).alias("entity_id"),
        "plays",
        "ms_played",
        plays_capped=nw.when(nw.col("plays") > DAILY_CAP).then(DAILY_CAP).otherwise("plays"),
    )


def into_periods(rows: nw.LazyFrame, calendar: nw.LazyFrame) -> nw.LazyFrame:
    """Plays or names with the period of their day."""
    return rows.join(calendar, on=["entity", "day"], how="inner")


def count_listeners(plays: nw.LazyFrame) -> nw.LazyFrame:
    """Plays, time and distinct listeners of each entity in a period.

    Narwhals counts distinct values wrongly across the parts of a Dask frame; here each part is a table of whole keys.
    """
    totals = (nw.col(c).sum() for c in COUNTS)
    return plays.group_by("period", *KEY).agg(*totals, listeners=nw.col("user_id").n_unique())


def of_listener(plays: nw.LazyFrame) -> nw.LazyFrame:
    """Plays and time of each listener and entity in a period."""
    return plays.group_by("period", *KEY, "user_id").agg(*(nw.col(c).sum() for c in COUNTS))


def last_called(names: nw.LazyFrame) -> nw.LazyFrame:
    """The last name of each entity in a period."""
    return names.unique(["period", *KEY], keep="last", order_by=["day", "name"])


def ranked(totals: nw.LazyFrame) -> nw.LazyFrame:
    """Number the entities of each period from one, most plays first, of equals the smaller id."""
    down = totals.with_columns(one=nw.lit(1), down=-nw.col("plays"))
    rows = windowed(down, ["period", "entity"], ["down", "entity_id"], rank=nw.col("one").cum_sum())
    return rows.drop("one", "down")


def moved(chart: nw.LazyFrame, names: nw.LazyFrame) -> nw.LazyFrame:
    """Each entity's place in the period before, and its last name in this period, else in that one."""
    last = last_called(names).select("period", *KEY, "name")
    rows = chart.join(last, on=["period", *KEY], how="left")
    columns = {"before": "period", "place": "rank", "called": "name"}
    rows = windowed(rows, KEY, ["period"], **{new: nw.col(c).shift(1) for new, c in columns.items()})
    follows = nw.col("before") == nw.col("period") - 1
    unnamed = nw.col("name").is_null() & follows
    return rows.with_columns(
        previous_rank=nw.when(follows).then(nw.col("place")),
        name=nw.when(unnamed).then(nw.col("called")).otherwise(nw.col("name")),
    ).drop(*columns)


def dated(chart: nw.LazyFrame, starts: nw.LazyFrame) -> nw.LazyFrame:
    """The periods asked for, by their first day."""
    return chart.join(starts, on="period", how="inner").select(CHART.names)


def rank_periods(plays: Frame, artist_plays: Frame, names: Frame, days: pa.Table, periods: pa.Table) -> Frame:
    """Charts of the periods, from plays on the days of the calendar."""
    heard = _heard(plays, "recording", "recording_id", days).concat(_heard(artist_plays, "artist", "artist_id", days))
    # Kept, for it has few rows, and what follows then needs no memory beside the count's.
    totals = heard.per("entity_id", count_listeners).persist()
    chart = totals.per(["period", "entity"], ranked)
    called = names.map(into_periods, broadcast=[days])
    if _is_long(days):
        called = called.pre_combined(last_called)
    return chart.per("entity_id", moved, called).map(dated, broadcast=[periods])


def _heard(plays: Frame, entity: str, id: str, days: pa.Table) -> Frame:
    """Plays of recordings or artists in periods, those of a listener and a long period together."""
    rows = plays.map(partial(as_entity, entity=entity, id=id)).map(into_periods, broadcast=[days])
    rows = rows.select("period", *KEY, "user_id", *COUNTS)
    return rows.pre_combined(of_listener) if _is_long(days) else rows


def _is_long(days: pa.Table) -> bool:
    """Whether a calendar's periods have so many days that most of what is heard is heard again in them."""
    return len(days) > LONG * len(ENTITIES) * len(days["period"].unique())


def chart_of(period: Period) -> dg.AssetsDefinition:
    """The chart of a period as an asset."""

    @dg.asset(
        key=["derived", f"charts_{period.name}"],
        ins={n: dg.AssetIn(["derived", t], partition_mapping=with_previous()) for n, t in INPUTS.items()},
        **periodic(period, CHART, key=["period_start", "entity", "entity_id"], order=["entity", "rank"]),
        description=f"Recordings and artists by plays, {period.name}: place, listeners, time and movement.",
    )
    def charts(context: dg.AssetExecutionContext, plays: Frame, artist_plays: Frame, names: Frame) -> Frame:
        first, last = dates(context.partition_key_range)
        days, periods = calendar(period, first, last), starts(period, first, last)
        return rank_periods(plays, artist_plays, names, days, periods)

    return charts


@dg.asset(
    key=["derived", "charts_all_time"],
    ins={n: dg.AssetIn(["derived", t]) for n, t in INPUTS.items()},
    metadata=declare(CHART, key=["period_start", "entity", "entity_id"], order=["period_start", "entity", "rank"]),
)
def charts_all_time(plays: Frame, artist_plays: Frame, names: Frame) -> Frame:
    """Recordings and artists by plays, of all time: place, listeners and time."""
    until = date.today() + timedelta(days=2)  # a listener's today may be tomorrow here
    ever = [FIRST_DAY + timedelta(days=d) for d in range((until - FIRST_DAY).days)]
    days = of_entities(ever, [1] * len(ever))
    periods = pa.table({"period": [1], "period_start": pa.array([FIRST_DAY], pa.date32())})
    return rank_periods(plays, artist_plays, names, days, periods)


def of_recordings() -> nw.Expr:
    """Rows of the chart of recordings: a recording by two artists counts for both of theirs in the other."""
    return nw.col("entity") == "recording"


SUMS = {"plays": (added("plays", of_recordings, "entity"), added("plays"))}
charts = [*map(chart_of, PERIODS), charts_all_time]
checks = [
    checks_of(chart, sums_match_upstream(dg.AssetKey(["derived", "recording_plays"]), RECORDING_PLAYS, SUMS, period))
    for chart, period in zip(charts, [*PERIODS, None], strict=True)
]
