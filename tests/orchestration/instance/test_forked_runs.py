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


def look(answers: Any) -> None:
    """Report what a run finds as it starts, and that it ended."""
    threads = Path(f"/proc/{os.getppid()}/task").glob("*/comm")
    others = [name for thread in threads if not (name := thread.read_text()).startswith("jemalloc")]
    answers.put([name for name in LATE if name not in sys.modules])
    answers.put(len(others))
    atexit.register(partial(answers.put, "closed"))


@pytest.mark.process
def test_a_run_finds_everything_imported_by_one_thread_and_closes_what_it_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # its threads are made for forks
    monkeypatch.setattr(DagsterApiServer, "StartRun", lambda server, _request, _context: server._mp_ctx)
    fork_runs()
    forks: Any = DagsterApiServer.StartRun(SimpleNamespace(), None, None)  # type: ignore[arg-type]
    answers = forks.Queue()
    run = forks.Process(target=look, args=[answers])
    run.start()
    assert [answers.get(timeout=120) for _ in range(3)] == [[], 1, "closed"]
    run.join()
    assert run.exitcode == 0


@pytest.mark.process
def test_a_run_whose_fork_server_is_killed_counts_as_running_until_it_ends(tmp_path: Path) -> None:
    forks, asked, done = _Forks(), tmp_path / "asked", tmp_path / "done"
    run = forks.Process(target=wait_for, args=[asked, done])
    run.start()
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)  # type: ignore[attr-defined]
    time.sleep(0.5)
    assert run.is_alive()
    asked.touch()
    until = time.monotonic() + 60
    while run.is_alive() and time.monotonic() < until:
        time.sleep(0.1)
    assert done.exists()
    assert not run.is_alive()


def wait_for(asked: Path, done: Path) -> None:
    """Work until asked to stop, and leave a trace."""
    while not asked.exists():
        time.sleep(0.05)
    done.touch()
