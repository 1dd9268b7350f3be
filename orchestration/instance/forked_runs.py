"""Runs that the code server starts, as forks of a process that has imported the platform.

Dagster starts a new interpreter for each run. It takes 4 CPU seconds to import Dagster, the platform and its engine,
more than most runs take for their work, and one listen that lands is followed by half a dozen runs.

Python's own fork server serves here, as in Dagster's executor for steps. It only imports: Arrow, DuckDB, gRPC and
Delta's runtime start threads at first use, and threads do not survive a fork. So it is not used outside of Linux,
where importing starts some.
"""

import atexit
import multiprocessing
import os
import select
import sys
from multiprocessing.context import ForkServerProcess
from typing import Any

from resources.environments import PROJECT

IMPORTED = (
    "alembic.command",
    "dagster._core.execution.execute_in_process",
    "dagster._core.executor.in_process",
    "dagster._core.instance.factory",
    "dagster._core.storage.legacy_storage",
    "dagster._core.storage.local_compute_log_manager",
    "deltalake",
    "narwhals._pandas_like.dataframe",
    "orchestration.instance.event_log",
    "pyarrow.dataset",
    "pyarrow.pandas_compat",
    "resources.engines.duckdb",
    "resources.engines.pandas",
    "resources.report.plots",
    "resources.text.language",
)
"""What runs import late, beside what the definitions import."""
ORPHANED = 255  # the exit code that multiprocessing gives a fork whose server is gone


class ForkedRun(ForkServerProcess):
    """The process of a run, which ends as an interpreter does and may outlive the fork server."""

    def is_alive(self) -> bool:
        """Return whether the process runs. If the fork server was killed, multiprocessing takes its forks for dead."""
        return super().is_alive() or (self.exitcode == ORPHANED and _runs(self.pid))

    def run(self) -> None:
        """Run what the process was started for."""
        try:
            super().run()
        finally:
            atexit._run_exitfuncs()  # clusters are closed by these, which forks leave out


def _runs(pid: int | None) -> bool:
    """Return whether a process has not ended."""
    try:
        process = os.pidfd_open(pid or 0)
    except OSError:
        return False
    try:
        return not select.select([process], [], [], 0)[0]
    finally:
        os.close(process)


class _Forks(multiprocessing.context.ForkServerContext):
    Process = ForkedRun


def fork_runs() -> None:
    """Let the code server fork its runs, if this process is one."""
    if "dagster._grpc.server" not in sys.modules or sys.platform != "linux":
        return
    from dagster._grpc.server import DagsterApiServer

    forks = _Forks()
    if os.getcwd() == str(PROJECT):  # where the fork server looks for modules
        forks.set_forkserver_preload(["dagster._grpc.server", "orchestration.definitions", *IMPORTED])
    start_run = DagsterApiServer.StartRun

    def start_forked(server: Any, request: Any, context: Any) -> Any:
        server._mp_ctx = forks  # Dagster asks it for each run's process
        return start_run(server, request, context)

    DagsterApiServer.StartRun = start_forked  # type: ignore[assignment,method-assign]
