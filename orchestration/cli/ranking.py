"""Rankings: charts as the terminal shows them, with ranks, movement, listeners and time.

A chart of several listeners is ranked by `plays_capped`, so that no single listener decides it. A chart of one listener
is ranked by `plays`.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from assets.derived.charts import CHART
from assets.partitions import PERIODS, Period
from resources.frames.filters import RangeFilter
from resources.lake.lake import Lake

ALL_TIME = "all_time"
NAMES = (ALL_TIME, *(period.name for period in reversed(PERIODS)))
BY_NAME = {period.name: period for period in PERIODS}
COUNTED = ["plays", "plays_capped"]


@dataclass(frozen=True)
class Place:
    """A row of a chart. `before` is the rank in the previous chart, or None."""

    rank: int
    before: int | None
    entity_id: str
    name: str
    plays: int  # capped if the chart has several listeners
    listeners: int
    ms_played: int


@dataclass(frozen=True)
class Ranking:
    """A chart of recordings and artists, and the previous chart, if there is one."""

    title: str  # "all time"
    compared_with: str  # "the week before"; empty without a previous chart
    capped: bool
    now: pa.Table
    before: pa.Table

    def places(self, entity: str, limit: int) -> list[Place]:
        """Return the first `limit` ranks of recordings or artists."""
        counted = COUNTED[self.capped]
        order = [(counted, "descending"), ("entity_id", "ascending")]
        now, before = (t.filter(pc.equal(t["entity"], entity)).sort_by(order) for t in (self.now, self.before))
        top = now.slice(0, limit)
        earlier = pc.index_in(top["entity_id"], value_set=before["entity_id"].combine_chunks()).to_pylist()
        return [
            Place(
                rank=n,
                before=None if place is None else place + 1,
                entity_id=row["entity_id"],
                name=row["name"] or row["entity_id"],
                plays=row[counted],
                listeners=row["listeners"],
                ms_played=row["ms_played"],
            )
            for n, (row, place) in enumerate(zip(top.to_pylist(), earlier, strict=True), start=1)
        ]


def read(lake: Lake, name: str) -> Ranking | None:
    """Return the newest chart of a period, or the all-time chart. Return None if there is none.

    The chart of all time is compared with itself before the newest week.
    """
    if name != ALL_TIME:
        return _of_period(lake, BY_NAME[name])
    now, week = _rows(lake, ALL_TIME), _of_period(lake, BY_NAME["weekly"])
    if not len(now):
        return None
    if not week:
        return _ranking("all time", "", now, now.slice(0, 0))
    return _ranking("all time", week.title, now, _without(now, week.now))


def _of_period(lake: Lake, period: Period) -> Ranking | None:
    table = f"derived/charts_{period.name}"
    starts = lake.scan(table, CHART).select(["period_start"]).table()["period_start"]
    newest: date | None = pc.max(starts).as_py()
    if newest is None:
        return None
    earlier = period.first(newest - timedelta(days=1))
    before = _rows(lake, period.name, earlier)
    return _ranking(_title(period, newest), _title(period, earlier), _rows(lake, period.name, newest), before)


def _rows(lake: Lake, name: str, start: date | None = None) -> pa.Table:
    return lake.scan(
        f"derived/charts_{name}", CHART, RangeFilter("period_start", start, start) if start else None
    ).table()


def _ranking(title: str, compared_with: str, now: pa.Table, before: pa.Table) -> Ranking:
    several = pc.max(now["listeners"]).as_py() > 1
    return Ranking(title, compared_with if len(before) else "", several, now, before)


def _without(now: pa.Table, week: pa.Table) -> pa.Table:
    """Return the chart of all time as it was without the plays of a week."""
    recent = week.select(["entity", "entity_id", *COUNTED]).rename_columns(["entity", "entity_id", "new", "new_capped"])
    joined = now.join(recent, ["entity", "entity_id"], join_type="left outer")
    for column, new in zip(COUNTED, ("new", "new_capped"), strict=True):
        left = pc.subtract(joined[column], pc.fill_null(joined[new], 0))
        joined = joined.set_column(joined.column_names.index(column), column, left)
    return joined.filter(pc.greater(joined["plays"], 0))


def _title(period: Period, start: date) -> str:
    formats = {"daily": "%Y-%m-%d", "weekly": "the week of %Y-%m-%d", "monthly": "%B %Y", "yearly": "%Y"}
    return start.strftime(formats[period.name])
