"""Locks of the data folder: an exclusive lock waits for running work and blocks new work; a killed process frees it."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.errors import TuttiError
from resources.locks import Busy, acquire_shared, exclusive_lock, release_shared, shared_lock
from resources.scrobble_endpoint.journal import Journal
from tests.orchestration.support import PROJECT

HOLD = """
import pathlib, sys, time
from resources.locks import exclusive_lock, shared_lock
hold = {"exclusive": lambda data: exclusive_lock(data, print), "shared": shared_lock}[sys.argv[1]]
with hold(pathlib.Path(sys.argv[2])):
    print("held", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def other(tmp_path: Path, request: pytest.FixtureRequest) -> "Iterator[subprocess.Popen[str]]":
    """Another process that holds the lock, exclusive or shared as the parameter asks."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, request.param, str(tmp_path)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("other", ["exclusive"], indirect=True)
def test_exclusive_lock_blocks_others_until_its_process_dies(other: "subprocess.Popen[str]", tmp_path: Path) -> None:
    with pytest.raises(Busy, match="being erased"), shared_lock(tmp_path, wait=False):
        pass
    with pytest.raises(TuttiError, match="being erased"):
        Journal(tmp_path / "scrobbles", shared=tmp_path)
    other.send_signal(signal.SIGKILL)
    with shared_lock(tmp_path):
        pass


@pytest.mark.parametrize("other", ["shared"], indirect=True)
def test_exclusive_lock_waits_for_running_work_and_blocks_new_work(
    other: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    waits, done = threading.Event(), threading.Event()

    def erase() -> None:
        with exclusive_lock(tmp_path, lambda _: waits.set()):
            done.set()

    waiting = threading.Thread(target=erase)
    waiting.start()
    assert waits.wait(60)
    with pytest.raises(Busy), shared_lock(tmp_path, wait=False):
        pass
    assert not done.is_set()
    other.kill()
    waiting.join(60)
    assert done.is_set()


def test_one_process_can_hold_the_shared_lock_twice(tmp_path: Path) -> None:
    with shared_lock(tmp_path), shared_lock(tmp_path, wait=False):
        acquire_shared(tmp_path)
        release_shared(tmp_path)
    with exclusive_lock(tmp_path, print):
        pass


def test_scrobble_endpoint_holds_the_lock_only_with_unpublished_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "scrobbles", shared=tmp_path)
    with exclusive_lock(tmp_path, print), pytest.raises(Busy):
        journal.append(b"{}\n")
    journal.append(b"{}\n")
    with pytest.raises(AssertionError), exclusive_lock(tmp_path, print):  # would wait for this process itself
        pass
    journal.publish()
    with exclusive_lock(tmp_path, print):
        pass
    journal.close()
    assert [path.read_bytes() for path in (tmp_path / "scrobbles").glob("*.jsonl")] == [b"{}\n"]
