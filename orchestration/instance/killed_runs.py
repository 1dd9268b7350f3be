"""Killed runs: runs whose process was killed are marked as canceled.

A killed process cannot report the end of its run. So Dagster would consider the run active indefinitely, and it would
count towards the limit of concurrent runs until no run can start. These runs are canceled, not failed: automation
retries a failed run only at the daily close, but a canceled one at once.
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
# Run tag: the id of the lease that the process holds until it ends. The UI does not show tags with this prefix.
PROCESS = ".dagster/tutti_process"


def begin(instance: dg.DagsterInstance) -> str:
    """Hold a lease in Dagster's home until this process ends. Return its id."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(lease(Path(instance.root_directory)))


def bury(instance: dg.DagsterInstance) -> None:
    """Mark the runs of killed processes of the command line as canceled."""
    unfinished = dg.RunsFilter(statuses=NOT_FINISHED_STATUSES)
    runs = [run for run in instance.get_runs(unfinished) if PROCESS in run.tags]
    # The order matters: a process holds its lease before its first run starts and after its last run has ended.
    alive = held(Path(instance.root_directory))
    dead = {run.run_id for run in runs if run.tags[PROCESS] not in alive}
    for run in instance.get_runs(unfinished):
        if run.run_id in dead:
            instance.report_run_canceled(run, KILLED)


def bury_launched(instance: dg.DagsterInstance) -> None:
    """Mark the runs of a daemon as canceled if their server does not answer."""
    for run in instance.get_runs(dg.RunsFilter(statuses=ACTIVE_RUN_STATUSES)):
        server = run.tags.get(GRPC_INFO_TAG)  # only runs on this machine have it
        if server and not _answers(**json.loads(server)):
            instance.report_run_canceled(run, KILLED)


def _answers(host: str, port: int | None = None, socket: str | None = None, **_: object) -> bool:
    """Return whether a server listens at an address."""
    kind, address = (AF_UNIX, socket) if socket else (AF_INET, (host, port))
    with Socket(kind) as client, suppress(OSError):
        client.settimeout(5)
        client.connect(address)
        return True
    return False
