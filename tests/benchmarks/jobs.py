"""The measured jobs: three assets, each from stored tables to a stored table, on any engine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa

from assets.derived.charts import CHART, charts
from assets.derived.display_names import DISPLAY_NAMES, display_names
from assets.derived.recording_plays import ARTIST_PLAYS, RECORDING_PLAYS, artist_plays, recording_plays
from assets.events.listens import LISTENS
from assets.events.sessions import SESSIONS, sessions
from resources.frames.filters import RangeFilter
from resources.frames.frame import Engine, Frame
from resources.lake.lake import Lake
from resources.sandbox import listen_generator
from tests.transformations import work_of

WORKERS = 2
MEMORY_GB = 2  # for DuckDB, and for each of two Dask workers
GAP = timedelta(minutes=30)
WEEKS = (date(2025, 4, 7), date(2025, 4, 28))  # first and last week of the charts, which also read the week before
DAYS = (
    listen_generator.FIRST_DAY,
    listen_generator.FIRST_DAY + timedelta(days=listen_generator.DAYS - 1),
)  # of the listens


@dataclass(frozen=True)
class Job:
    """An asset's computation: the tables it reads, its schema and the sort order of its files."""

    reads: Mapping[str, pa.Schema]
    schema: pa.Schema
    order: tuple[str, ...]
    work: Callable[..., Frame]
    span: tuple[date, date] = DAYS
    days: RangeFilter | None = None

    def run(self, engine: Engine, lake: Lake, into: Lake, out: str) -> None:
        """Run the job through the contract, from the tables of one lake into a table of another."""
        frames = [engine.read(lake.scan(table, schema, self.days)) for table, schema in self.reads.items()]
        into.replace(out, self.work(*frames, span=self.span), self.schema, order=self.order)


JOBS = {
    "plays": Job(
        {"events/listens": LISTENS}, RECORDING_PLAYS, ("day", "user_id", "recording_id"), work_of(recording_plays)
    ),
    "charts": Job(
        {
            "derived/recording_plays": RECORDING_PLAYS,
            "derived/artist_plays": ARTIST_PLAYS,
            "derived/display_names": DISPLAY_NAMES,
        },
        CHART,
        ("period_start", "entity", "rank"),
        work_of(charts[1]),
        WEEKS,
        RangeFilter("day", WEEKS[0] - timedelta(days=7), WEEKS[1] + timedelta(days=6)),
    ),
    "sessions": Job({"events/listens": LISTENS}, SESSIONS, ("day", "user_id", "started_at"), work_of(sessions)),
}
ROLLUPS = {
    "derived/recording_plays": JOBS["plays"],
    "derived/artist_plays": Job(
        {"events/listens": LISTENS}, ARTIST_PLAYS, ("day", "user_id", "artist_id"), work_of(artist_plays)
    ),
    "derived/display_names": Job(
        {"events/listens": LISTENS}, DISPLAY_NAMES, ("day", "entity", "entity_id"), work_of(display_names)
    ),
}
"""The tables that charts are counted from. They are built before the measurement."""


def files(lake: Lake, job: Job) -> list[list[str]]:
    """Return the Parquet files that a job reads, table by table."""
    return [[str(Path(f)) for f in lake.scan(table, schema).files] for table, schema in job.reads.items()]
