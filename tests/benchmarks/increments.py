"""Measure one more day after 10, 100 and 1,000 days of history: `python -m tests.benchmarks.increments`.

A history repeats ten days of the sandbox, with one commit per day and table, like a service that runs daily. The
benchmark then imports one more day and materializes every asset for it, five times. CPU seconds include an asset's step
and its checks, but not process start. Dagster's records stay in memory: `tests.benchmarks.backfill` measures their
cost. The row `import` is the import of one day's file.
"""

import argparse
import logging
import os
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from assets.imports.batch import import_file
from assets.partitions import PERIODS
from orchestration.cadence import Cadence
from orchestration.definitions import build
from orchestration.run_tags import over
from resources.frames.filters import RangeFilter
from resources.lake.lake import Lake
from resources.sandbox import world
from resources.schema import declared, order

NEW = date(2024, 6, 15)  # the first new day: a Saturday in the middle of its month and year
TEMPLATE_DAYS, LISTENERS, TIMES = 10, 40, 5
ENVIRONMENTS = {"pandas": "laptop", "duckdb": "workstation"}
MAX_RATIO = 1.2  # of a daily output's cost after the longest history to that after the shortest
DAILY = (
    *(
        "events/recording_matches",
        "events/duplicate_listens",
        "events/listens",
        "events/sessions",
        "events/daily_listening",
    ),
    *("derived/recording_plays", "derived/artist_plays", "derived/display_names"),
)
TABLES = (*DAILY, "derived/charts_daily")
CUMULATIVE = ("derived/charts_all_time", "events/retention", "events/streaks")
ASSETS = (*TABLES, "events/active_listeners", *(f"derived/charts_{p.name}" for p in PERIODS[1:]), *CUMULATIVE)


class Stopwatch(logging.Handler):
    """A log handler that sums the CPU seconds of a run's steps by asset."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = defaultdict(float)

    def emit(self, record: logging.LogRecord) -> None:
        """Add the CPU time between the start and the end of a step."""
        event = getattr(record, "dagster_event", None)
        if event is None or event.step_key is None:
            return
        step = event.step_key.replace("__", "/")
        key = next((a for a in ASSETS if step == a or step.startswith(f"{a}_")), step)  # checks count for their asset
        if event.event_type_value == "STEP_START":
            self.seconds[key] -= time.process_time()
        elif event.event_type_value == "STEP_SUCCESS":
            self.seconds[key] += time.process_time()


def main() -> None:
    """Measure the cost of one more day and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--days", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--engines", nargs="+", choices=ENVIRONMENTS, default=list(ENVIRONMENTS))
    options = parser.parse_args()
    cost: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as folder:
        template = _template(Path(folder) / "template")
        for days in options.days:
            _write_history(template, _lake(folder, options.engines[0], days), days)
            for engine in options.engines[1:]:
                shutil.copytree(_lake(folder, options.engines[0], days), _lake(folder, engine, days))
        # Measure histories in turn, so that load on the machine affects all. The first round loads libraries.
        for n in range(TIMES + 1):
            for engine in options.engines:
                for days in options.days:
                    file = template / f"sandbox-{NEW + timedelta(days=n)}.listens"
                    for asset, seconds in _one_more_day(engine, _lake(folder, engine, days), file).items():
                        cost[engine, asset][days] += [seconds] if n else []
    print("\n".join(_table(cost, options.days)))


def _lake(folder: str, engine: str, days: int) -> Path:
    """Return the data folder of a history."""
    return Path(folder, f"{engine}-{days}")


def _template(data: Path) -> Path:
    """Materialize every daily asset for ten days, and write the files of the new days."""
    for n in range(-TEMPLATE_DAYS, TIMES + 1):
        world.write(data / "landing", first_day=NEW + timedelta(days=n), days=1, listeners=LISTENERS)
    new_files = [data / "landing" / "listens" / f"sandbox-{NEW + timedelta(days=n)}.listens" for n in range(TIMES + 1)]
    for path in new_files:
        path.rename(data / path.name)
    keys = dg.PartitionKeyRange(
        (NEW - timedelta(days=TEMPLATE_DAYS)).isoformat(), (NEW - timedelta(days=1)).isoformat()
    )
    os.environ["TUTTI_DATA_DIR"] = str(data)
    with dg.DagsterInstance.ephemeral() as instance:
        for job, days in (("build_catalog", None), ("import_listens", None), ("daily", keys)):
            _run("laptop", job, instance, days)
    return data


def _write_history(template: Path, data: Path, days: int) -> None:
    """Write a lake with a history of so many days before the new one, with one commit per day and table."""
    shutil.copytree(template / "lake" / "content", data / "lake" / "content")
    old, new = Lake(template / "lake"), Lake(data / "lake")
    metadata: dict[str, Any] = {"/".join(s.key.path): s.metadata for s in build("laptop").resolve_all_asset_specs()}
    for table in ("events/raw_listens", *TABLES):
        schema, sorted_by = declared(metadata[table]), order(metadata[table])
        column = metadata[table]["partition_expr"]
        rows = old.scan(table, schema).table()
        for n in range(days, 0, -1):
            source, day = NEW - timedelta(days=(n - 1) % TEMPLATE_DAYS + 1), NEW - timedelta(days=n)
            moved = _shifted(rows.filter(pc.equal(rows[column], pa.scalar(source))), day - source)
            day_filter = RangeFilter(column, day, day)
            if table == "events/raw_listens":
                file = sha256(str(n).encode()).hexdigest()[:32]
                moved = moved.set_column(schema.get_field_index("import_id"), "import_id", pa.repeat(file, len(moved)))
                day_filter = RangeFilter("import_id", file, file)
            new.replace(table, iter([moved]), schema, day_filter, sorted_by)


def _shifted(rows: pa.Table, by: timedelta) -> pa.Table:
    """Shift all dates and timestamps of rows."""
    for i, field in enumerate(rows.schema):
        if pa.types.is_date(field.type):
            days = pc.add(pc.cast(rows[field.name], pa.int32()), pa.scalar(by.days, pa.int32()))
            rows = rows.set_column(i, field, pc.cast(days, field.type))
        elif pa.types.is_timestamp(field.type):
            rows = rows.set_column(i, field, pc.add(rows[field.name], pa.scalar(by, pa.duration("us"))))
    return rows


def _one_more_day(engine: str, data: Path, file: Path) -> dict[str, float]:
    """Return the CPU seconds of each asset for one more day, and of the import of its file."""
    os.environ["TUTTI_DATA_DIR"] = str(data)
    began = time.process_time()
    import_file(file, None, Lake(data / "lake"), datetime.now(UTC))
    seconds = {"import": time.process_time() - began}
    with dg.DagsterInstance.ephemeral() as instance:
        for job in Cadence(build(ENVIRONMENTS[engine]).resolve_asset_graph()).dated:
            start = job.period.first(NEW).isoformat()
            seconds |= _run(ENVIRONMENTS[engine], job.name, instance, dg.PartitionKeyRange(start, start)).seconds
        seconds |= _run(ENVIRONMENTS[engine], "all_time", instance, None).seconds
    return seconds


def _run(environment: str, job: str, instance: dg.DagsterInstance, keys: dg.PartitionKeyRange | None) -> Stopwatch:
    """Run a job with a stopwatch."""
    watch = Stopwatch()

    @dg.logger
    def stopwatch(_: dg.InitLoggerContext) -> logging.Logger:
        log = logging.Logger("stopwatch", logging.DEBUG)
        log.addHandler(watch)
        return log

    defs = dg.Definitions.merge(build(environment), dg.Definitions(loggers={"stopwatch": stopwatch}))
    defs.resolve_job_def(job).execute_in_process(
        instance=instance, tags=over(keys), run_config={"loggers": {"stopwatch": {}}}
    )
    return watch


def _table(cost: Mapping[tuple[str, str], Mapping[int, list[float]]], days: Sequence[int]) -> Iterator[str]:
    """Yield the lines of a table of CPU seconds by engine, asset and days of history, with the last ratio."""
    yield f"CPU seconds for one more day, median of {TIMES}; {LISTENERS} listeners\n"
    yield f"| engine | asset | {' | '.join(f'{d:,} days' for d in days)} | ratio | |"
    yield f"|---|---|{'---:|' * (len(days) + 1)}---|"
    for (engine, asset), seconds in cost.items():
        median = [statistics.median(seconds[d]) for d in days]
        ratio = median[-1] / median[0]
        verdict = "may grow" if asset in CUMULATIVE else "flat" if ratio <= MAX_RATIO else "GROWS"
        yield f"| {engine} | {asset} | {' | '.join(f'{m:.3f}' for m in median)} | {ratio:.2f} | {verdict} |"


if __name__ == "__main__":
    main()
