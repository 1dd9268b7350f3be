"""Runs of the code server: forks of a process that has imported the platform."""

import atexit
import os
import signal
import sys
import time
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dagster._grpc.server import DagsterApiServer

from orchestration.instance.forked_runs import _Forks, fork_runs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="runs are forks on Linux only")
LATE = ("orchestration.definitions", "dagster._core.executor.in_process", "alembic.command", "deltalake", "pandas")


def report(reports: Any) -> None:
    """Report missing modules and threads at the start of a run, and its end."""
    threads = Path(f"/proc/{os.getppid()}/task").glob("*/comm")
    others = [name for thread in threads if not (name := thread.read_text()).startswith("jemalloc")]
    reports.put([name for name in LATE if name not in sys.modules])
    reports.put(len(others))
    atexit.register(partial(reports.put, "closed"))


@pytest.mark.process
def test_a_run_has_all_imports_one_thread_and_exit_handlers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # its threads would survive in the fork server
    monkeypatch.setattr(DagsterApiServer, "StartRun", lambda server, _request, _context: server._mp_ctx)
    fork_runs()
    forks: Any = DagsterApiServer.StartRun(SimpleNamespace(), None, None)  # type: ignore[arg-type]
    reports = forks.Queue()
    run = forks.Process(target=report, args=[reports])
    run.start()
    assert [reports.get(timeout=120) for _ in range(3)] == [[], 1, "closed"]
    run.join()
    assert run.exitcode == 0


@pytest.mark.process
def test_a_run_without_a_fork_server_counts_as_running(tmp_path: Path) -> None:
    forks, stop, done = _Forks(), tmp_path / "stop", tmp_path / "done"
    run = forks.Process(target=wait_for, args=[stop, done])
    run.start()
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)  # type: ignore[attr-defined]
    time.sleep(0.5)
    assert run.is_alive()
    stop.touch()
    until = time.monotonic() + 60
    while run.is_alive() and time.monotonic() < until:
        time.sleep(0.1)
    assert done.exists()
    assert not run.is_alive()


def wait_for(stop: Path, done: Path) -> None:
    """Run until `stop` exists, then create `done`."""
    while not stop.exists():
        time.sleep(0.05)
    done.touch()
