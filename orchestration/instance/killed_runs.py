"""Processes that runs live in: runs of those that were killed are told from runs of those at work.

A killed process cannot say that its run has ended. Dagster would take the run to go on for ever, and count it among
those that may go on at the same time, until no other is let in. Such a run counts as canceled, not as failed: what
failed is left alone until the daily close, while what a kill interrupted is asked for again at once.
"""

import atexit
import json
from contextlib import ExitStack, suppress
from pathlib import Path
from socket import AF_INET, AF_UNIX
from socket import socket as Socket

import dagster as dg

from orchestration.instance.internals import ACTIVE_RUN_STATUSES, GRPC_INFO_TAG, NOT_FINISHED_STATUSES
from resources.lake.lease import held, lease

KILLED = "The process of this run was killed."
PROCESS = "tutti/process"  # tags a run with the lease that its process holds until it ends, however it ends


def begin(instance: dg.DagsterInstance) -> str:
    """Hold a lease in Dagster's home for as long as this process lives; its id."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(lease(Path(instance.root_directory)))


def bury(instance: dg.DagsterInstance) -> None:
    """Mark the runs of killed processes of the command line as canceled."""
    unfinished = dg.RunsFilter(statuses=NOT_FINISHED_STATUSES)
    runs = [run for run in instance.get_runs(unfinished) if PROCESS in run.tags]
    # In this order: a process holds its lease before its first run begins, and after its last has ended.
    alive = held(Path(instance.root_directory))
    dead = {run.run_id for run in runs if run.tags[PROCESS] not in alive}
    for run in instance.get_runs(unfinished):
        if run.run_id in dead:
            instance.report_run_canceled(run, KILLED)


def bury_launched(instance: dg.DagsterInstance) -> None:
    """Mark the runs as canceled whose server is gone: a daemon started them, and was killed or lost its power."""
    for run in instance.get_runs(dg.RunsFilter(statuses=ACTIVE_RUN_STATUSES)):
        server = run.tags.get(GRPC_INFO_TAG)  # of runs on this machine only
        if server and not _answers(**json.loads(server)):
            instance.report_run_canceled(run, KILLED)


def _answers(host: str, port: int | None = None, socket: str | None = None, **_: object) -> bool:
    """Whether anybody listens there."""
    kind, address = (AF_UNIX, socket) if socket else (AF_INET, (host, port))
    with Socket(kind) as found, suppress(OSError):
        found.settimeout(5)
        found.connect(address)
        return True
    return False
