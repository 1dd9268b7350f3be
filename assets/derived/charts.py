"""Charts: recordings and artists by plays, for each day, week, month and year, and of all time.

A chart ranks everything that was played in its period, so that its sums equal those of the plays below it. Readers
choose how many places to show, and whether to order by `plays` or by `plays_capped`, which limits the plays of one
listener and day. Movement compares with the period before.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of, sum_of, sums_match_upstream
from assets.derived.recording_plays import RECORDING_PLAYS
from assets.partitions import PERIODS, Period, dates, periodic, with_previous
from resources.frames.frame import Frame
from resources.frames.windows import windowed
from resources.schema import column, declare
from resources.span import FIRST_DAY

DAILY_CAP = 3
"""The most plays of a recording or artist by one listener and day that `plays_capped` counts.

A listener who loves a song plays it a few times a day. A program that loops a song plays it all day, and so counts as
much as this number of listeners who play it once. With a cap of ten, the Official Charts Company's since 2014, a few
programs lead the charts of some hundred listeners. With a cap of one, favorites do not show.
"""
CHART = pa.schema(
    [
        column("period_start", pa.date32(), "first UTC day of the period"),
        column("entity", pa.string(), "kind of entity: recording or artist"),
        column("entity_id", pa.string(), "recording_id or artist id of the listens"),
        column("rank", pa.int64(), "place by plays, from 1; of equal ones the smaller id comes first"),
        column("plays", pa.int64(), "number of listens"),
        column("ms_played", pa.int64(), "time listened, as far as sources provide it", unit="ms"),
        column("listeners", pa.int64(), "number of distinct listeners"),
        column("plays_capped", pa.int64(), f"number of listens, at most {DAILY_CAP} per listener and day"),
        column("previous_rank", pa.int64(), "place in the period before, null if not played then", null=True),
        column("name", pa.string(), "latest display name", null=True),
    ]
)
ENTITIES = ("recording", "artist")
CALENDAR = ["entity", "day", "period"]
KEY = ["entity", "entity_id"]
COUNTS = ("plays", "ms_played", "plays_capped")
INPUTS = {"plays": "recording_plays", "artist_plays": "artist_plays", "names": "display_names"}
LONG_PERIOD_DAYS = 300  # from which rows are counted per listener within each part before they are shuffled


def calendar(period: Period, first: date, last: date) -> pa.Table:
    """Return each day of the periods from `first` to `last` and of the one before, which is period 0.

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
    """Return a calendar's days and periods for each kind of entity. Joins by a date alone are slow in pandas."""
    entities = [entity for entity in ENTITIES for _ in days]
    columns = (entities, [*days] * len(ENTITIES), [*periods] * len(ENTITIES))
    return pa.table(
        [pa.array(c, t) for c, t in zip(columns, (pa.string(), pa.date32(), pa.int64()), strict=True)], CALENDAR
    )


def starts(period: Period, first: date, last: date) -> pa.Table:
    """Return the charted periods: period (from 1) and period_start."""
    first_days = [first]
    while first_days[-1] < last:
        first_days.append(period.following(first_days[-1]))
    return pa.table({"period": pa.array(range(1, len(first_days) + 1), pa.int64()), "period_start": first_days})


def as_entity(plays: nw.LazyFrame, entity: str, id_column: str) -> nw.LazyFrame:
    """Return plays of recordings or artists in the columns that both share."""
    return plays.select(
        "day",
        "user_id",
        nw.lit(entity, nw.String()).alias("entity"),
        nw.col(id_column).alias("entity_id"),
        "plays",
        "ms_played",
        plays_capped=nw.when(nw.col("plays") > DAILY_CAP).then(DAILY_CAP).otherwise("plays"),
    )


def into_periods(rows: nw.LazyFrame, calendar: nw.LazyFrame) -> nw.LazyFrame:
    """Add the period of their day to plays or names."""
    return rows.join(calendar, on=["entity", "day"], how="inner")


def count_listeners(plays: nw.LazyFrame) -> nw.LazyFrame:
    """Return plays, time listened and distinct listeners of each entity and period.

    Narwhals counts distinct values wrongly across the parts of a Dask frame. Here each part has whole keys.
    """
    totals = (nw.col(c).sum() for c in COUNTS)
    return plays.group_by("period", *KEY).agg(*totals, listeners=nw.col("user_id").n_unique())


def of_listener(plays: nw.LazyFrame) -> nw.LazyFrame:
    """Return plays and time listened of each listener, entity and period."""
    return plays.group_by("period", *KEY, "user_id").agg(*(nw.col(c).sum() for c in COUNTS))


def latest_names(names: nw.LazyFrame) -> nw.LazyFrame:
    """Return the latest name of each entity in a period."""
    return names.unique(["period", *KEY], keep="last", order_by=["day", "name"])


def ranked(totals: nw.LazyFrame) -> nw.LazyFrame:
    """Rank the entities of each period by plays, from one, of equal ones the smaller id first."""
    down = totals.with_columns(one=nw.lit(1), down=-nw.col("plays"))
    rows = windowed(down, ["period", "entity"], ["down", "entity_id"], rank=nw.col("one").cum_sum())
    return rows.drop("one", "down")


def moved(chart: nw.LazyFrame, names: nw.LazyFrame) -> nw.LazyFrame:
    """Add each entity's place in the period before, and its latest name in this period, else in the one before."""
    last = latest_names(names).select("period", *KEY, "name")
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
    """Keep the charted periods, by their first day."""
    return chart.join(starts, on="period", how="inner").select(CHART.names)


def rank_periods(plays: Frame, artist_plays: Frame, names: Frame, days: pa.Table, periods: pa.Table) -> Frame:
    """Return the charts of the periods, from plays and names on the days of the calendar."""
    recordings = _in_periods(plays, "recording", "recording_id", days)
    artists = _in_periods(artist_plays, "artist", "artist_id", days)
    # Persisted since it has few rows: the steps after it then need no memory beside that of the count.
    totals = recordings.concat(artists).per("entity_id", count_listeners).persist()
    chart = totals.per(["period", "entity"], ranked)
    names = names.map(into_periods, broadcast=[days])
    if _is_long(days):
        names = names.pre_combined(latest_names)
    return chart.per("entity_id", moved, names).map(dated, broadcast=[periods])


def _in_periods(plays: Frame, entity: str, id_column: str, days: pa.Table) -> Frame:
    """Return plays of recordings or artists by period, already added up per listener if the period is long."""
    rows = plays.map(partial(as_entity, entity=entity, id_column=id_column)).map(into_periods, broadcast=[days])
    rows = rows.select("period", *KEY, "user_id", *COUNTS)
    return rows.pre_combined(of_listener) if _is_long(days) else rows


def _is_long(days: pa.Table) -> bool:
    """Return whether a calendar's periods are so long that listeners play most recordings in them repeatedly."""
    return len(days) > LONG_PERIOD_DAYS * len(ENTITIES) * len(days["period"].unique())


def chart_of(period: Period) -> dg.AssetsDefinition:
    """Return the asset with the charts of a length of period."""

    @dg.asset(
        key=["derived", f"charts_{period.name}"],
        ins={n: dg.AssetIn(["derived", t], partition_mapping=with_previous()) for n, t in INPUTS.items()},
        **periodic(period, CHART, key=["period_start", "entity", "entity_id"], order=["entity", "rank"]),
        description=f"{period.name.title()} charts of recordings and artists: rank, plays, listeners and movement.",
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
    """All-time charts of recordings and artists: rank, plays, listeners and time listened."""
    until = date.today() + timedelta(days=2)  # UTC may be a day ahead of this machine's today
    ever = [FIRST_DAY + timedelta(days=d) for d in range((until - FIRST_DAY).days)]
    days = of_entities(ever, [1] * len(ever))
    periods = pa.table({"period": [1], "period_start": pa.array([FIRST_DAY], pa.date32())})
    return rank_periods(plays, artist_plays, names, days, periods)


def of_recordings() -> nw.Expr:
    """Match rows of recordings. In rows of artists, a recording by two artists counts twice."""
    return nw.col("entity") == "recording"


SUMS = {"plays": (sum_of("plays", of_recordings, "entity"), sum_of("plays"))}
charts = [*map(chart_of, PERIODS), charts_all_time]
checks = [
    checks_of(chart, sums_match_upstream(dg.AssetKey(["derived", "recording_plays"]), RECORDING_PLAYS, SUMS, period))
    for chart, period in zip(charts, [*PERIODS, None], strict=True)
]
