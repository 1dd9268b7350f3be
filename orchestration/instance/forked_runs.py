"""Forked runs: the code server starts runs as forks of a process that has imported the platform.

Dagster would start a new interpreter for each run. It takes 4 CPU seconds to import Dagster, the platform and its
engine. That is more than the work of most runs, and one landed listen leads to half a dozen runs.

This uses Python's fork server, as Dagster's step executor does. The fork server only imports modules: Arrow, DuckDB,
gRPC and Delta's runtime start threads at first use, and threads do not survive a fork. It is used only on Linux, since
imports start threads on other systems.
"""

import atexit
import multiprocessing
import os
import select
import sys
from multiprocessing.context import ForkServerProcess
from typing import Any

from resources.environments import PROJECT

PRELOADED = (
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
"""Modules that runs import late, in addition to the modules that the definitions import."""
ORPHANED = 255  # exit code that multiprocessing reports for a fork if the fork server has ended


class ForkedRun(ForkServerProcess):
    """The process of a run. It runs exit handlers and may outlive the fork server."""

    def is_alive(self) -> bool:
        """Return whether the process runs, even if the fork server was killed. Then multiprocessing reports an exit."""
        return super().is_alive() or (self.exitcode == ORPHANED and _runs(self.pid))

    def run(self) -> None:
        """Run the target of the process, then the exit handlers."""
        _quiet()
        try:
            super().run()
        finally:
            atexit._run_exitfuncs()  # they close clusters; forks do not run them by default


def _runs(pid: int | None) -> bool:
    """Return whether a process is running."""
    try:
        process = os.pidfd_open(pid or 0)
    except OSError:
        return False
    try:
        return not select.select([process], [], [], 0)[0]
    finally:
        os.close(process)


def _quiet() -> None:
    """Print only warnings and errors of runs; the UI shows all of their events.

    Dagster's setting for this, `python_log_level`, would also keep messages from the UI.
    """
    from dagster import colored_console_logger
    from dagster._core.execution import context_creation_job

    loggers = [(colored_console_logger, {"name": "dagster", "log_level": "WARNING"})]
    context_creation_job.default_system_loggers = lambda instance: loggers


class _Forks(multiprocessing.context.ForkServerContext):
    Process = ForkedRun


def fork_runs() -> None:
    """If this process is a code server, let it fork its runs."""
    if "dagster._grpc.server" not in sys.modules or sys.platform != "linux":
        return
    from dagster._grpc.server import DagsterApiServer

    forks = _Forks()
    if os.getcwd() == str(PROJECT):  # the fork server imports from the working directory
        forks.set_forkserver_preload(["dagster._grpc.server", "orchestration.definitions", *PRELOADED])
    start_run = DagsterApiServer.StartRun

    def start_forked(server: Any, request: Any, context: Any) -> Any:
        server._mp_ctx = forks  # Dagster creates each run's process with this context
        return start_run(server, request, context)

    DagsterApiServer.StartRun = start_forked  # type: ignore[assignment,method-assign]
