"""Backfills: days made again, and what follows from them, in bounded runs; a killed one goes on where it stopped.

A backfill is a list of runs, the same whenever the same is asked for. Which of them are done, Dagster's own storage
knows: each run is tagged with what it is part of, and with its place in that.
"""

import math
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg

from assets.partitions import Period
from orchestration.cadence import DATED, RANGE_END, RANGE_START, all_time, reach, reached
from orchestration.cli.date_range import span as days_of
from orchestration.cli.runner import Runner
from orchestration.instance.killed_runs import alone
from resources.environments import data_folder
from resources.errors import TuttiError
from resources.lake.lake import Lake

BACKFILL = "tutti/backfill"  # tags a run with what it is part of: first and last day, days in a run, selection
PART = "tutti/backfill_part"  # tags it with its place: "3 of 40"
EXAMPLE = "'key:events/sessions or key:derived/plays' for instance"
WHY = {  # more is made than the days asked for
    "daily": "what is told of a day can replace what is told of its neighbours",
    "actives": "of a day those count who were there in the thirty days to it",
}
WHOLE = "a chart is made whole, and the one after it tells what moved"
DAYS = 30  # in a run: beyond, Dagster's seconds for a run are few beside those for its days


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


def backfill(first: str, last: str, select: str = "", days: str = "") -> None:
    """Make the days from `first` to `last` again, both included, and what follows from them."""
    today = datetime.now(UTC).date()
    span, size = days_of(first, last, today, "make backfill FROM=2024-01-01 TO=2024-12-31"), _size(days)
    Lake(data_folder() / "lake").filled()
    runner = Runner(patience=math.inf)
    parts = plan(runner.defs, *span, size, select, today)
    asked = f"{span[0]}...{span[1]} by {size} {select}".strip()
    with alone(Path(runner.instance.root_directory), "another backfill is at work on this data"):
        done = _done(runner.instance, parts, asked)
        if done:
            print(f"Going on where it stopped: {len(done)} of {len(parts)} runs were done before.", flush=True)
        else:
            for line in beyond(parts, *span):
                print(line, flush=True)
        todo, began = [part for part in parts if part not in done], time.monotonic()
        for n, part in enumerate(todo, start=1):
            tags = {BACKFILL: asked, PART: f"{parts.index(part) + 1} of {len(parts)}"}
            try:
                runner.run(part.job, part.keys, assets=part.assets, tags=tags)
            except TuttiError as error:
                print(f"{len(done) + n - 1} of {len(parts)} runs are done, one failed; {runner.progress.total()}")
                raise TuttiError(f"{part.name}: {error}; the same command goes on from here") from error
            pace = (time.monotonic() - began) / sum(p.work for p in todo[:n])
            print(_progress(part, parts, pace * sum(p.work for p in todo[n:])), flush=True)
        many = (span[1] - span[0]).days + 1
        print(f"all {len(parts)} runs are done; days asked for: {many:,}; {runner.progress.total()}")


def plan(defs: dg.Definitions, first: date, last: date, size: int, select: str, today: date) -> list[Part]:
    """The runs of a backfill, in order: days, oldest first, then all that looks back further, then all of time.

    Raises `TuttiError` for a selection that has none of their assets.
    """
    try:
        selection = dg.AssetSelection.from_string(select) if select else dg.AssetSelection.all()
        selected = selection.resolve(defs.resolve_asset_graph())
    except dg.DagsterError as error:
        raise TuttiError(f"{select!r} selects no assets: write it as Dagster does, {EXAMPLE}") from error
    parts: list[Part] = []
    for period in DATED:
        assets = _assets(defs, period.name, selected)
        if assets:
            keys = reached(period, first, last, today)
            parts += _divided(period, assets, keys, size, reach(defs.resolve_asset_graph(), assets))
    if assets := _assets(defs, all_time.name, selected):
        parts.append(Part(all_time.name, assets))
    if not parts:
        raise TuttiError(f"{select!r} selects nothing that is made by day: try {EXAMPLE}")
    return parts


def beyond(parts: Sequence[Part], first: date, last: date) -> Iterator[str]:
    """What is made beyond the days asked for, and why: a line for each job."""
    for job in dict.fromkeys(part.job for part in parts):
        made = [part.keys for part in parts if part.job == job and part.keys]
        if made and (made[0].start, made[-1].end) != (first.isoformat(), last.isoformat()):
            yield f"{job} is made from {made[0].start} through {made[-1].end}, for {WHY.get(job, WHOLE)}"


def _assets(defs: dg.Definitions, job: str, selected: Collection[dg.AssetKey]) -> tuple[dg.AssetKey, ...]:
    """The assets of a job that were selected."""
    return tuple(sorted(set(defs.resolve_job_def(job).asset_layer.executable_asset_keys) & set(selected)))


def _divided(
    period: Period, assets: tuple[dg.AssetKey, ...], keys: dg.PartitionKeyRange, size: int, reach: int
) -> Iterator[Part]:
    """A range of partitions as runs of at most `size` days, but of one partition at least.

    The last partition of a run was made before those it may read ahead of: the next run makes it once more.
    """
    assert period.partitions
    found = period.partitions.get_partition_keys_in_range(keys)
    step = max(1, size // period.longest - reach)
    for n in range(0, len(found), step):
        new = [date.fromisoformat(key) for key in found[n : n + step]]
        days = (period.following(new[-1]) - new[0]).days
        yield Part(period.name, assets, dg.PartitionKeyRange(found[max(0, n - reach)], new[-1].isoformat()), days)


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


def _size(days: str) -> int:
    """How many days a run may make. Raises `TuttiError` for what is no number of days."""
    if not days:
        return DAYS
    if not days.isdecimal() or int(days) < 1:
        raise TuttiError(f"{days!r} is no number of days that a run may make: {DAYS} is usual")
    return int(days)
