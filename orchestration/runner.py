"""Runs of the platform's jobs in this process, one after the other, for the command line."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from orchestration import definitions
from orchestration.jobs import BY_HAND, following, owed, span, stretches
from orchestration.terminal import Progress, logger
from resources.environments import ENVIRONMENTS
from resources.errors import TuttiError


class Runner:
    """The jobs, Dagster's instance and what the terminal is told."""

    def __init__(self) -> None:
        _ = ENVIRONMENTS[definitions.CHOSEN]().engine  # an engine that is not installed says so before anything is done
        self.progress = Progress()
        own = dg.Definitions(loggers={"terminal": logger(self.progress)})
        self.defs = dg.Definitions.merge(definitions.defs, own)
        self.instance = dg.DagsterInstance.get()

    def take(self, what: dict[str, Any]) -> bool:
        """Import listens and run what follows from the days they touch; whether there was anything to do."""
        self.run("import_listens", config={"imports": {"config": what}})
        today, days = datetime.now(UTC).date(), owed(self.instance)
        if not days:
            return False
        for first, last in stretches(days):
            self.run(*following(first, last, today)[0])
        for job, keys in following(min(days), max(days), today)[1:]:
            self.run(job, keys)
        self.run("all_time")
        return True

    def run(self, job: str, keys: dg.PartitionKeyRange | None = None, config: dict[str, Any] | None = None) -> None:
        """Run a job, for a range of its partitions. Raises `TuttiError` with the cause if it fails."""
        print(f"{job}{f' from {keys.start} through {keys.end}' if keys else ''}", flush=True)
        result = self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            tags={BY_HAND: "yes"} | span(keys),
            run_config={"ops": config or {}, "loggers": {"terminal": {}}},
            raise_on_error=False,
        )
        if not result.success:
            raise TuttiError(
                self.progress.cause or f"the run {result.run_id} of {job} failed: look at it with `make ui`"
            )
