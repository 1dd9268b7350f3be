"""The runner of commands: it runs jobs in this process, one after the other."""

import multiprocessing
import os
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

import dagster as dg

from assets.partitions import SPAN
from orchestration import definitions
from orchestration.cadence import ALL_TIME, IMPORT_LISTENS, Cadence, DatedJob, one_day
from orchestration.cli import stopping
from orchestration.cli.progress import PATIENCE_S, Progress, logger
from orchestration.instance import killed_runs
from orchestration.instance.home import terminal_instance
from orchestration.instance.internals import InMemoryJob, core_execute_in_process, list_under_job
from orchestration.run_tags import BY_HAND, over
from orchestration.stretches import portions
from resources.environments import ENVIRONMENTS, home_folder
from resources.errors import TuttiError
from resources.span import stored
from resources.terminal import escaped_output

Built: TypeAlias = tuple[bool, list[TuttiError], dict[str, int | None], dict[str, float]]
"""The result of `Runner.build`, and the rows and seconds by table."""


class Runner:
    """Runs jobs on the Dagster instance and shows their progress in the terminal."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        _ = ENVIRONMENTS[definitions.CHOSEN]().engine  # fails before any work if the engine is not installed
        self.progress = Progress(patience_s)
        terminal = dg.Definitions(loggers={"terminal": logger(self.progress)})
        self.defs = dg.Definitions.merge(definitions.defs, terminal)
        self.cadence = Cadence(self.defs.resolve_asset_graph())
        self.instance = terminal_instance()
        killed_runs.bury(self.instance)
        self.process = killed_runs.begin(self.instance)

    def import_and_build(self, config: dict[str, Any]) -> bool:
        """Import files, and build the stale tables downstream. Return whether any table was stale.

        If a run fails, the others still run. Then `TuttiError` is raised with the first cause.
        """
        failed: list[TuttiError] = []
        try:
            self.run(IMPORT_LISTENS, config={"imports": {"config": config}})
        except TuttiError as error:  # of one file; others may be imported
            failed.append(error)
        if not SPAN.holds(stored(home_folder()) or SPAN):
            # The new days have no partitions in this process, since the import of the definitions fixes the partitions.
            done, others, rows, seconds = _build_in_new_process(self.progress.patience_s)
            self.progress.rows |= rows
            self.progress.seconds |= seconds
        else:
            done, others = self.build()
        failed += others
        if failed:
            more = f" ({len(failed) - 1} more runs failed. See them with `make ui`)" if failed[1:] else ""
            raise TuttiError(f"{failed[0]}{more}")
        return done

    def build(self) -> tuple[bool, list[TuttiError]]:
        """Build the stale tables, and those whose checks failed. Return whether there were any, and the failures.

        Daily tables come first, tables that cover all history last. A failed run blocks only what reads its days.
        """
        failed: list[TuttiError] = []
        today, done = datetime.now(UTC).date(), False
        missing: dict[str, set[date]] = {}  # days that runs of a job failed to build
        self.progress.expect(self._number_of_runs(today))
        for job in self.cadence.dated:
            blocked = {day for name in self.cadence.upstream(job.name) for day in missing.get(name, ())}
            unsound = self.cadence.unsound(self.instance, job.assets)
            stale = self.cadence.stale(self.instance, job.name)
            changed = set().union(*stale.values()) - blocked
            unchecked = self.cadence.failed(self.instance, job.assets)
            failing = set().union(*unchecked.values()) - blocked
            if unsound:
                changed = {day for day in changed if not job.unsound(job.reached(day, day, today), unsound)}
                failing = {day for day in failing if not job.unsound(one_day(day), unsound)}
            done |= bool(changed or failing)
            for failure, days in self._build(job, sorted(stale.keys() | unchecked.keys()), changed, failing, today):
                failed.append(failure)
                missing[job.name] = missing.get(job.name, set()) | days
        assets = self.cadence.assets(ALL_TIME)
        cumulative = sorted(self.cadence.stale(self.instance, ALL_TIME) | self.cadence.failed(self.instance, assets))
        blocking = self.cadence.upstream(ALL_TIME) & missing.keys() or self.cadence.unsound(self.instance, assets)
        if cumulative and not blocking:
            done = True
            try:
                self.run(ALL_TIME, assets=cumulative)
            except TuttiError as error:
                failed.append(error)
        return done, failed

    def _number_of_runs(self, today: date) -> int:
        """Return the number of runs that build everything stale, if none fails."""
        runs = int(bool(self.cadence.stale(self.instance, ALL_TIME)))
        for job in self.cadence.dated:
            changed = set[date]().union(*self.cadence.stale(self.instance, job.name).values())
            failed = set[date]().union(*self.cadence.failed(self.instance, job.assets).values())
            runs += len(portions(job, changed, today, failed))
        return runs

    def _build(
        self,
        job: DatedJob,
        tables: Sequence[dg.AssetKey],
        changed: Collection[date],
        failed: Collection[date],
        today: date,
    ) -> Iterator[tuple[TuttiError, set[date]]]:
        """Build the partitions of a job's tables that changed days reach, and the failed partitions.

        Yield each failure with its days. If a run of several ranges fails, each half of its days is built by itself.
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
        """Run a job, or some of its assets, for a range of its partitions.

        Raises `TuttiError` with the cause if the run fails, and `KeyboardInterrupt` if it is interrupted.
        """
        stopping.check()
        title = f"{job} from {keys.start} through {keys.end}" if keys else job
        self.progress.begin(title, tables=len(assets or self.cadence.assets(job)))
        chosen = self.defs.resolve_job_def(job).as_ephemeral_job({}, {}, asset_selection=assets)
        # Not `execute_in_process`, which would hold every table of a run in memory until the run has ended.
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
        if self.progress.interrupted:
            raise KeyboardInterrupt
        stopping.check()
        if not result.success:
            raise TuttiError(self.progress.cause or f"run {result.run_id} of {job} failed. See its log with `make ui`")
        return result


def _build_in_new_process(patience_s: float) -> Built:
    """Build the stale tables in a new process, which ends with this one."""
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_build, args=(patience_s, sender))
    with stopping.spawning():
        process.start()
    sender.close()  # so that the pipe closes when the process ends
    try:
        built: Built = receiver.recv()
    except EOFError:
        stopping.check()
        raise TuttiError("the process that builds the tables ended early. Run the same command again.") from None
    finally:
        if stopping.requested():
            process.terminate()
        process.join()
    return built


def _build(patience_s: float, sender: "Connection[Any, Any]") -> None:
    """Build the stale tables in this process, and send the result."""
    with stopping.listening(quiet=True), escaped_output():
        threading.Thread(target=_end_with_parent, daemon=True).start()
        stopping.start()
        runner = Runner(patience_s)
        done, failed = runner.build()
        progress = runner.progress
        sender.send((done, [TuttiError(str(error)) for error in failed], progress.rows, progress.seconds))


def _end_with_parent() -> None:
    """End this process when its parent ends, even if the parent was killed."""
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)
