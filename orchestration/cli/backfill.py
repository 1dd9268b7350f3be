"""The command that rebuilds days, and what follows from them, in bounded runs; a killed backfill resumes.

A backfill is a list of runs, the same whenever the same is asked for. Dagster's own storage knows which of them are
done: each run is tagged with the backfill that it is part of, and with its place there.
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
from orchestration.cli.number import Number
from orchestration.cli.runner import Runner
from orchestration.run_tags import RANGE_END, RANGE_START
from resources.environments import open_lake
from resources.errors import TuttiError
from resources.locks import one_process

BACKFILL = "tutti/backfill"  # tags a run with what it is part of: first and last day, days in a run, selection
PART = "tutti/backfill_part"  # tags it with its place: "3 of 40"
LOCK = "backfill.lock"  # in Dagster's home
EXAMPLE = "'key:events/sessions or key:derived/recording_plays' for instance"
DAYS = 30  # in a run: beyond, Dagster's seconds for a run are few beside those for its days
SIZE = Number("number of days", "make backfill FROM=2024-01-01 TO=2024-12-31 DAYS_PER_RUN=30", 1, default=DAYS)


@dataclass(frozen=True)
class Part:
    """A run of a backfill: assets of one job over a range of partitions, `days` of which no earlier run makes."""

    job: str
    assets: tuple[dg.AssetKey, ...]
    keys: dg.PartitionKeyRange | None = None
    days: int = 0

    @property
    def work(self) -> int:
        """How much it is beside other runs: of each asset its days, and as much again for a run of the usual size."""
        return (DAYS + self.days) * len(self.assets)

    @property
    def name(self) -> str:
        """What people read."""
        return f"{self.job} from {self.keys.start} through {self.keys.end}" if self.keys else self.job

    def made_by(self, run: dg.DagsterRun) -> bool:
        """Whether a run was of this part."""
        start, end = (self.keys.start, self.keys.end) if self.keys else (None, None)
        return (run.job_name, run.tags.get(RANGE_START), run.tags.get(RANGE_END)) == (self.job, start, end)


@click.command()
@click.option("--from", "first", default="", help="First day, as 2024-01-01.")
@click.option("--to", "last", default="", help="Last day, included.")
@click.option("--select", default="", help="Dagster's asset selection; by default everything that follows from days.")
@click.option("--days-per-run", "size", type=SIZE, default="", help=f"Days in a run, at most. Default: {DAYS}.")
def backfill(first: str, last: str, select: str, size: int) -> None:
    """Rebuild days and what follows from them.

    If it is killed, run the same command again to resume.
    """
    today = datetime.now(UTC).date()
    span = days_of(first, last, today, "make backfill FROM=2024-01-01 TO=2024-12-31")
    open_lake().filled()
    runner = Runner(patience=math.inf)
    parts = plan(runner.cadence, *span, size, select, today)
    asked = f"{span[0]}...{span[1]} by {size} {select}".strip()
    with one_process(Path(runner.instance.root_directory, LOCK), "another backfill is at work on this data"):
        done = _done(runner.instance, parts, asked)
        if done:
            print(f"Going on where it stopped: {len(done)} of {len(parts)} runs were done before.", flush=True)
        else:
            for line in beyond(parts, runner.cadence, *span):
                print(line, flush=True)
        todo, began = [part for part in parts if part not in done], time.monotonic()
        for n, part in enumerate(todo, start=1):
            tags = {BACKFILL: asked, PART: f"{parts.index(part) + 1} of {len(parts)}"}
            try:
                _sound(runner, part)
                runner.run(part.job, part.keys, assets=part.assets, tags=tags)
            except TuttiError as error:
                print(f"{len(done) + n - 1} of {len(parts)} runs are done, one failed; {runner.progress.total()}")
                raise TuttiError(f"{part.name}: {error}; the same command goes on from here") from error
            pace = (time.monotonic() - began) / sum(p.work for p in todo[:n])
            print(_progress(part, parts, pace * sum(p.work for p in todo[n:])), flush=True)
        many = (span[1] - span[0]).days + 1
        print(f"all {len(parts)} runs are done; days asked for: {many:,}; {runner.progress.total()}")


def plan(cadence: Cadence, first: date, last: date, size: int, select: str, today: date) -> list[Part]:
    """Return the runs of a backfill in order: days, oldest first, then longer periods, then all of time.

    Raises `TuttiError` for a selection that has none of their assets.
    """
    try:
        selection = dg.AssetSelection.from_string(select) if select else dg.AssetSelection.all()
        selected = selection.resolve(cadence.graph)
    except dg.DagsterError as error:
        raise TuttiError(f"{select!r} selects no assets: write it as Dagster does, {EXAMPLE}") from error
    parts: list[Part] = []
    for job in cadence.dated:
        if assets := tuple(sorted(job.assets & selected)):
            parts += _divided(job, assets, job.reached(first, last, today), size, read_ahead(cadence.graph, assets))
    if assets := tuple(sorted(cadence.assets(ALL_TIME) & selected)):
        parts.append(Part(ALL_TIME, assets))
    if not parts:
        raise TuttiError(f"{select!r} selects nothing that is made by day: try {EXAMPLE}")
    return parts


def beyond(parts: Sequence[Part], cadence: Cadence, first: date, last: date) -> Iterator[str]:
    """Yield a line for each job that builds more than the days asked for, with the reason."""
    for job in cadence.dated:
        built = [part.keys for part in parts if part.job == job.name and part.keys]
        if built and (built[0].start, built[-1].end) != (first.isoformat(), last.isoformat()):
            yield f"{job.name} is built from {built[0].start} through {built[-1].end}: {_why(job)}"


def _why(job: DatedJob) -> str:
    """Return why a job builds more than the days asked for."""
    if job.period == DAY:
        days = job.days + job.periods
        return f"a record can change tables {_days(days.back)} before its own and {_days(days.ahead)} after it"
    return "a period is built whole, and later ones compare themselves with it"


def _days(count: int) -> str:
    return f"{count} day" if count == 1 else f"{count} days"


def _divided(
    job: DatedJob, assets: tuple[dg.AssetKey, ...], keys: dg.PartitionKeyRange, size: int, ahead: int
) -> Iterator[Part]:
    """Divide a range of partitions into runs of at most `size` days, but of one partition at least.

    A run's last `ahead` partitions were built before those they read: the next run builds them once more.
    """
    period = job.period
    found = period.partitions.get_partition_keys_in_range(keys)
    step = max(1, size // period.longest - ahead)
    for n in range(0, len(found), step):
        new = [date.fromisoformat(key) for key in found[n : n + step]]
        days = (period.following(new[-1]) - new[0]).days
        yield Part(job.name, assets, dg.PartitionKeyRange(found[max(0, n - ahead)], new[-1].isoformat()), days)


def _sound(runner: Runner, part: Part) -> None:
    """Raise `TuttiError` if a part would read tables outside it of which a check failed."""
    cadence = runner.cadence
    failed = cadence.unsound(runner.instance, part.assets)
    if part.keys:
        failed = cadence.by_name[part.job].unsound(part.keys, failed)
    if failed:
        days = {day for each in failed.values() for day in each}
        also = f"backfill these days too: FROM={min(days)} TO={max(days)}, without SELECT"
        raise TuttiError(f"not built, {as_line(failed)}; {also}")


def _done(instance: dg.DagsterInstance, parts: Sequence[Part], asked: str) -> list[Part]:
    """The parts that are done, if this backfill was begun and not ended."""
    done: list[Part] = []
    for run in instance.get_runs(dg.RunsFilter(tags={BACKFILL: asked}, statuses=[dg.DagsterRunStatus.SUCCESS])):
        place, whole = run.tags[PART].split(" of ")
        if place == whole:  # the last of an earlier one that came to its end
            break
        done += [part for part in parts if part.made_by(run)]
    return done


def _progress(part: Part, parts: Sequence[Part], left: float) -> str:
    """A line: what was done, how far that is, and how long the rest may take, in seconds."""
    peers = [p for p in parts if p.job == part.job]
    days = sum(p.days for p in peers[: peers.index(part) + 1])
    far = f"{days} of {sum(p.days for p in peers)} days" if part.keys else "all days"
    rest = f"{left:.0f} s" if left < 100 else f"{left / 60:.0f} min"
    return f"{part.name:42s} {far:20s} {rest:>8s} left"
