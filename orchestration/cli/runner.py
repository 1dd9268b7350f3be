"""Runs of the platform's jobs in this process, one after the other, for the command line."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.execute_in_process import core_execute_in_process

from assets.partitions import DAY
from orchestration import definitions
from orchestration.cadence import BY_HAND, DATED, owed, reached, span, stretches
from orchestration.cli.progress import PATIENCE, Progress, logger
from orchestration.instance import killed_runs
from orchestration.instance.home import dagster_home
from resources.environments import ENVIRONMENTS
from resources.errors import TuttiError


class Runner:
    """The jobs, Dagster's instance and what the terminal is told."""

    def __init__(self, patience: float = PATIENCE) -> None:
        _ = ENVIRONMENTS[definitions.CHOSEN]().engine  # an engine that is not installed says so before anything is done
        self.progress = Progress(patience)
        own = dg.Definitions(loggers={"terminal": logger(self.progress)})
        self.defs = dg.Definitions.merge(definitions.defs, own)
        self.graph = self.defs.resolve_asset_graph()
        dagster_home()
        self.instance = dg.DagsterInstance.get()
        killed_runs.bury(self.instance)
        self.process = killed_runs.begin(self.instance)

    def take(self, what: dict[str, Any]) -> bool:
        """Import files and run what follows from the days they touch; whether there was anything to do.

        Days come first, charts of all time last. A run that fails holds back only what is made of its days: raises
        `TuttiError` with the first cause once everything else is done.
        """
        failed: list[TuttiError] = []
        try:
            self.run("import_listens", config={"imports": {"config": what}})
        except TuttiError as error:  # of one file: others may have gone in
            failed.append(error)
        today, done = datetime.now(UTC).date(), False
        waiting: set[date] = set()
        for period in DATED:
            for first, last in stretches(self.owed(period.name) - waiting):
                done = True
                try:
                    self.run(period.name, reached(period, first, last, today))
                except TuttiError as error:
                    failed.append(error)
                    if period is DAY:
                        waiting |= {first + timedelta(days=n) for n in range((last - first).days + 1)}
        if not waiting and self.owed("all_time"):
            done = True
            try:
                self.run("all_time")
            except TuttiError as error:
                failed.append(error)
        if failed:
            more = f" (and {len(failed) - 1} more runs failed: look at them with `make ui`)" if failed[1:] else ""
            raise TuttiError(f"{failed[0]}{more}")
        return done

    def owed(self, job: str) -> set[date]:
        """The days imported since a job made all its tables of them."""
        return owed(self.instance, self.graph, self.defs.resolve_job_def(job))

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
        result = core_execute_in_process(
            job=InMemoryJob(chosen),
            instance=self.instance,
            asset_selection=frozenset(assets),
            run_tags={BY_HAND: "yes", killed_runs.PROCESS: self.process, **span(keys), **(tags or {})},
            run_config={"ops": config or {}, "loggers": {"terminal": {}}},
            output_capturing_enabled=False,
            raise_on_error=False,
        )
        if not result.success:
            raise TuttiError(
                self.progress.cause or f"the run {result.run_id} of {job} failed: look at it with `make ui`"
            )
        return result
