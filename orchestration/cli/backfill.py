"""The command `backfill`: it rebuilds a range of days and everything downstream, in bounded runs.

The same options always give the same list of runs. Each run is tagged with its backfill and its place in the list, so
Dagster's storage knows which runs are done and a killed backfill can resume.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import click
import dagster as dg

from assets.partitions import DAY
from orchestration.cadence import ALL_TIME, Cadence, DatedJob, as_line, read_ahead
from orchestration.cli.date_range import span as days_of
from orchestration.cli.date_range import with_records
from orchestration.cli.hints import RESUME
from orchestration.cli.number import Number
from orchestration.cli.runner import Runner
from orchestration.run_tags import RANGE_END, RANGE_START
from resources.environments import open_lake
from resources.errors import TuttiError
from resources.locks import one_process
from resources.terminal import say

BACKFILL = "tutti/backfill"  # run tag, the backfill's options: first and last day, days per run, selection
PART = "tutti/backfill_part"  # run tag, the place in the list: "3 of 40"
LOCK = "backfill.lock"  # in Dagster's home
EXAMPLE = "`SELECT='key:events/sessions or key:derived/recording_plays'`"
MAX_DAYS = 30  # per run; with more, Dagster's overhead per run no longer matters beside the work
COMMAND = "make backfill FROM=2024-01-01 TO=2024-12-31"
DAYS_PER_RUN = Number("number of days", f"{COMMAND} DAYS_PER_RUN=30", 1, default=MAX_DAYS)


@dataclass(frozen=True)
class Part:
    """A run of a backfill: assets of one job over a range of partitions, with `days` that no earlier run has."""

    job: str
    assets: tuple[dg.AssetKey, ...]
    keys: dg.PartitionKeyRange | None = None
    days: int = 0

    @property
    def work(self) -> int:
        """The estimated work, relative to other runs. A run's overhead counts as much as `MAX_DAYS` days."""
        return (MAX_DAYS + self.days) * len(self.assets)

    @property
    def name(self) -> str:
        """The name that messages use."""
        return f"{self.job} from {self.keys.start} through {self.keys.end}" if self.keys else self.job

    def built_by(self, run: dg.DagsterRun) -> bool:
        """Return whether `run` is a run of this part."""
        start, end = (self.keys.start, self.keys.end) if self.keys else (None, None)
        return (run.job_name, run.tags.get(RANGE_START), run.tags.get(RANGE_END)) == (self.job, start, end)


@click.command()
@click.option("--from", "first", metavar="DATE", default="", help="First day to rebuild, for example 2024-01-01.")
@click.option("--to", "last", metavar="DATE", default="", help="Last day to rebuild, included.")
@click.option(
    "--select", metavar="SELECTION", default="", help="Assets to rebuild, in Dagster's selection syntax. Default: all."
)
@click.option(
    "--days-per-run",
    "size",
    type=DAYS_PER_RUN,
    default="",
    help=f"Maximum number of days per run. Default: {MAX_DAYS}.",
)
def backfill(first: str, last: str, select: str, size: int) -> None:
    """Rebuild days and everything downstream.

    If it is interrupted, run the same command again to resume.

    Example: tutti backfill --from 2024-01-01 --to 2024-12-31 --select events/sessions
    """
    today = datetime.now(UTC).date()
    span = days_of(first, last, today, COMMAND)
    with_records(*span)
    open_lake().require_tables()
    runner = Runner(patience_s=math.inf)
    parts = plan(runner.cadence, *span, size, select, today)
    options = f"{span[0]}...{span[1]} by {size} {select}".strip()
    with one_process(Path(runner.instance.root_directory, LOCK), "another backfill is running on this data"):
        done = _done(runner.instance, parts, options)
        if done:
            say(f"Resuming: {len(done)} of {len(parts)} runs are already done.")
        else:
            for line in beyond(parts, runner.cadence, *span):
                say(line)
        todo, began = [part for part in parts if part not in done], time.monotonic()
        for n, part in enumerate(todo, start=1):
            tags = {BACKFILL: options, PART: f"{parts.index(part) + 1} of {len(parts)}"}
            try:
                _require_sound(runner, part)
                runner.run(part.job, part.keys, assets=part.assets, tags=tags)
            except TuttiError as error:
                say(f"{len(done) + n - 1} of {len(parts)} runs are done, one failed. {runner.progress.total()}")
                raise TuttiError(f"{part.name}: {str(error).rstrip('.')}. {RESUME}") from error
            pace = (time.monotonic() - began) / sum(p.work for p in todo[:n])
            say(_progress(part, parts, pace * sum(p.work for p in todo[n:])))
        days = (span[1] - span[0]).days + 1
        runs = "1 run" if len(parts) == 1 else f"{len(parts):,} runs"
        say(f"Rebuilt {_days(days)} in {runs}. {runner.progress.total()}")


def plan(cadence: Cadence, first: date, last: date, size: int, select: str, today: date) -> list[Part]:
    """Return the runs of a backfill in order: days (oldest first), then longer periods, then tables of all history.

    Raises `TuttiError` for an invalid selection or one without assets that depend on days.
    """
    try:
        selection = dg.AssetSelection.from_string(select) if select else dg.AssetSelection.all()
        selected = selection.resolve(cadence.graph)
    except dg.DagsterError as error:
        raise TuttiError(
            f"no assets match the selection {select!r}. Check the names and Dagster's syntax, for example {EXAMPLE}"
        ) from error
    parts: list[Part] = []
    for job in cadence.dated:
        if assets := tuple(sorted(job.assets & selected)):
            parts += _divided(job, assets, job.reached(first, last, today), size, read_ahead(cadence.graph, assets))
    if assets := tuple(sorted(cadence.assets(ALL_TIME) & selected)):
        parts.append(Part(ALL_TIME, assets))
    if not parts:
        raise TuttiError(
            f"the selection {select!r} has no assets that depend on days. Select some, for example {EXAMPLE}"
        )
    return parts


def beyond(parts: Sequence[Part], cadence: Cadence, first: date, last: date) -> Iterator[str]:
    """Yield a line for each job that rebuilds more than the requested days, with the reason."""
    for job in cadence.dated:
        built = [part.keys for part in parts if part.job == job.name and part.keys]
        if built and (built[0].start, built[-1].end) != (first.isoformat(), last.isoformat()):
            yield f"{job.name} is rebuilt from {built[0].start} through {built[-1].end}: {_why(job)}"


def _why(job: DatedJob) -> str:
    """Return why a job rebuilds more than the requested days."""
    if job.period == DAY:
        days = job.days + job.periods
        return f"a record can change rows up to {_days(days.back)} before and {_days(days.ahead)} after its own day"
    return "a period is rebuilt as a whole, and the next period reads it"


def _days(count: int) -> str:
    return f"{count} day" if count == 1 else f"{count} days"


def _divided(
    job: DatedJob, assets: tuple[dg.AssetKey, ...], keys: dg.PartitionKeyRange, size: int, ahead: int
) -> Iterator[Part]:
    """Divide a range of partitions into runs of at most `size` days, but at least one partition.

    The last `ahead` partitions of a run read partitions of the next one. So the next run rebuilds them.
    """
    period = job.period
    partitions = period.partitions.get_partition_keys_in_range(keys)
    step = max(1, size // period.longest - ahead)
    for n in range(0, len(partitions), step):
        new = [date.fromisoformat(key) for key in partitions[n : n + step]]
        days = (period.following(new[-1]) - new[0]).days
        yield Part(job.name, assets, dg.PartitionKeyRange(partitions[max(0, n - ahead)], new[-1].isoformat()), days)


def _require_sound(runner: Runner, part: Part) -> None:
    """Raise `TuttiError` if a part would read partitions outside it whose check failed."""
    cadence = runner.cadence
    failed = cadence.unsound(runner.instance, part.assets)
    if part.keys:
        failed = cadence.by_name[part.job].unsound(part.keys, failed)
    if failed:
        days = {day for failed_days in failed.values() for day in failed_days}
        advice = f"Rebuild these days first: `make backfill FROM={min(days)} TO={max(days)}`"
        raise TuttiError(f"not rebuilt, {as_line(failed)}. {advice}")


def _done(instance: dg.DagsterInstance, parts: Sequence[Part], options: str) -> list[Part]:
    """Return the parts that are done if an earlier backfill with these options was interrupted."""
    done: list[Part] = []
    for run in instance.get_runs(dg.RunsFilter(tags={BACKFILL: options}, statuses=[dg.DagsterRunStatus.SUCCESS])):
        place, total = run.tags[PART].split(" of ")
        if place == total:  # the last run of a completed backfill
            break
        done += [part for part in parts if part.built_by(run)]
    return done


def _progress(part: Part, parts: Sequence[Part], seconds_left: float) -> str:
    """Return a line with the part that is done, the days of its job that are done, and the time left."""
    of_job = [p for p in parts if p.job == part.job]
    days = sum(p.days for p in of_job[: of_job.index(part) + 1])
    progress = f"{days} of {sum(p.days for p in of_job)} days" if part.keys else "all days"
    time_left = f"{seconds_left:.0f} s" if seconds_left < 100 else f"{seconds_left / 60:.0f} min"
    return f"{part.name:42s} {progress:20s} {time_left:>8s} left"
