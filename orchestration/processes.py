"""Processes of the command line: runs of those that were killed are told from runs of those at work.

A killed process cannot say that its run has ended. Dagster would take the run to go on for ever, and count it among
those that may go on at the same time, until no other is let in.
"""

import atexit
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from resources.lease import held, lease

PROCESS = "tutti/process"  # tags a run with the lease that its process holds until it ends, however it ends


def begin(instance: dg.DagsterInstance) -> str:
    """Hold a lease in Dagster's home for as long as this process lives; its id."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(lease(Path(instance.root_directory)))


def bury(instance: dg.DagsterInstance) -> None:
    """Mark the runs of killed processes as failed."""
    unfinished = dg.RunsFilter(statuses=NOT_FINISHED_STATUSES)
    runs = [run for run in instance.get_runs(unfinished) if PROCESS in run.tags]
    # In this order: a process holds its lease before its first run begins, and after its last has ended.
    alive = held(Path(instance.root_directory))
    dead = {run.run_id for run in runs if run.tags[PROCESS] not in alive}
    for run in instance.get_runs(unfinished):
        if run.run_id in dead:
            instance.report_run_failed(run, "The process of this run was killed.")
