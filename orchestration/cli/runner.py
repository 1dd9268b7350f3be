"""Runs of the platform's jobs in this process, one after the other, for the command line."""

import multiprocessing
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from assets.partitions import SPAN
from orchestration import definitions
from orchestration.cadence import ALL_TIME, IMPORT_LISTENS, Cadence, DatedJob, one_day
from orchestration.cli.progress import PATIENCE, Progress, logger
from orchestration.instance import killed_runs
from orchestration.instance.home import terminal_instance
from orchestration.instance.internals import InMemoryJob, core_execute_in_process, list_under_job
from orchestration.run_tags import BY_HAND, over
from orchestration.stretches import portions
from resources.environments import ENVIRONMENTS, home_folder
from resources.errors import TuttiError
from resources.span import stored


class Runner:
    """The jobs, Dagster's instance and what the terminal is told."""

    def __init__(self, patience: float = PATIENCE) -> None:
        _ = ENVIRONMENTS[definitions.CHOSEN]().engine  # an engine that is not installed says so before anything is done
        self.progress = Progress(patience)
        own = dg.Definitions(loggers={"terminal": logger(self.progress)})
        self.defs = dg.Definitions.merge(definitions.defs, own)
        self.cadence = Cadence(self.defs.resolve_asset_graph())
        self.instance = terminal_instance()
        killed_runs.bury(self.instance)
        self.process = killed_runs.begin(self.instance)

    def take(self, what: dict[str, Any]) -> bool:
        """Import files and build what follows from the days they touch. Return whether there was anything to do.

        Raises `TuttiError` with the first cause of a failure once everything else is done.
        """
        failed: list[TuttiError] = []
        try:
            self.run(IMPORT_LISTENS, config={"imports": {"config": what}})
        except TuttiError as error:  # of one file: others may have gone in
            failed.append(error)
        if not SPAN.holds(stored(home_folder())):
            # The new days have no partitions in this process: definitions are fixed when a process imports them.
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
                done, others, rows, seconds = fresh.submit(_build, self.progress.patience).result()
            self.progress.rows |= rows
            self.progress.seconds |= seconds
        else:
            done, others = self.build()
        failed += others
        if failed:
            more = f" (and {len(failed) - 1} more runs failed: look at them with `make ui`)" if failed[1:] else ""
            raise TuttiError(f"{failed[0]}{more}")
        return done

    def build(self) -> tuple[bool, list[TuttiError]]:
        """Build what is stale. Return whether there was anything, and the failures.

        Only tables made of what was imported are built, and those whose checks failed: days come first, what is
        counted over all history last. A run that fails holds back only what is made of its days.
        """
        failed: list[TuttiError] = []
        today, done = datetime.now(UTC).date(), False
        self.progress.expect(self._number_of_runs(today))
        missing: dict[str, set[date]] = {}  # days that runs of a job failed to build
        for job in self.cadence.dated:
            held = {day for name in self.cadence.upstream(job.name) for day in missing.get(name, ())}
            unsound = self.cadence.unsound(self.instance, job.assets)
            owed = self.cadence.owed(self.instance, job.name)
            changed = set().union(*owed.values()) - held
            again = self.cadence.failed(self.instance, job.assets)
            failing = set().union(*again.values()) - held
            if unsound:
                changed = {day for day in changed if not job.unsound(job.reached(day, day, today), unsound)}
                failing = {day for day in failing if not job.unsound(one_day(day), unsound)}
            done |= bool(changed or failing)
            for failure, days in self._build(job, sorted(owed.keys() | again.keys()), changed, failing, today):
                failed.append(failure)
                missing[job.name] = missing.get(job.name, set()) | days
        assets = self.cadence.assets(ALL_TIME)
        counted = sorted(self.cadence.owed(self.instance, ALL_TIME) | self.cadence.failed(self.instance, assets))
        waits = self.cadence.upstream(ALL_TIME) & missing.keys() or self.cadence.unsound(self.instance, assets)
        if counted and not waits:
            done = True
            try:
                self.run(ALL_TIME, assets=counted)
            except TuttiError as error:
                failed.append(error)
        return done, failed

    def _number_of_runs(self, today: date) -> int:
        """Return how many runs build what is stale, if none fails."""
        stale = ((job, self.cadence.owed(self.instance, job.name).values()) for job in self.cadence.dated)
        dated = sum(len(portions(job, set[date]().union(*days), today)) for job, days in stale)
        return dated + bool(self.cadence.owed(self.instance, ALL_TIME))

    def _build(
        self,
        job: DatedJob,
        tables: Sequence[dg.AssetKey],
        changed: Collection[date],
        failed: Collection[date],
        today: date,
    ) -> Iterator[tuple[TuttiError, set[date]]]:
        """Build what days that changed can change in some tables of a job, and partitions that failed.

        Yield each failure with its days.

        If a run of several stretches fails, each half of its days is built by itself.
        """
        for portion, keys in portions(job, changed, today, failed):
            try:
                self.run(job.name, keys, assets=tables, tags=portion.tags)
            except TuttiError as error:
                if len(portion.ranges) == 1:
                    yield error, portion.changed
                    continue
                for half in portion.halves(changed, failed):
                    yield from self._build(job, tables, *half, today)

    def run(
        self,
        job: str,
        keys: dg.PartitionKeyRange | None = None,
        config: dict[str, Any] | None = None,
        assets: Sequence[dg.AssetKey] = (),
        tags: Mapping[str, str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Run a job, or some of its assets, for a range of its partitions. Raises `TuttiError` with the cause."""
        self.progress.begin(f"{job}{f' from {keys.start} through {keys.end}' if keys else ''}")
        chosen = self.defs.resolve_job_def(job).as_ephemeral_job({}, {}, asset_selection=assets)
        # As `execute_in_process`, which would hold every table of a run in memory until the run has ended.
        list_under_job(self.instance, job, definitions.LOCATION)
        result = core_execute_in_process(
            job=InMemoryJob(chosen),
            instance=self.instance,
            asset_selection=frozenset(assets),
            run_tags={BY_HAND: "yes", killed_runs.PROCESS: self.process, **over(keys), **(tags or {})},
            run_config={"ops": config or {}, "loggers": {"terminal": {}}},
            output_capturing_enabled=False,
            raise_on_error=False,
        )
        if not result.success:
            raise TuttiError(
                self.progress.cause or f"the run {result.run_id} of {job} failed: look at it with `make ui`"
            )
        return result


def _build(patience: float) -> tuple[bool, list[TuttiError], dict[str, int | None], dict[str, float]]:
    """Build what is stale in this process. Return what `Runner.build` does, and the rows and seconds of each table."""
    runner = Runner(patience)
    done, failed = runner.build()
    return done, [TuttiError(str(error)) for error in failed], runner.progress.rows, runner.progress.seconds
