"""Alone: who must be, waits for those at work and keeps new ones waiting; whoever is killed keeps nobody."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.errors import TuttiError
from resources.locks import Busy, alone, begin, end, sharing
from resources.scrobble_endpoint.journal import Journal
from tests.orchestration.support import PROJECT

HOLD = """
import pathlib, sys, time
from resources.locks import alone, sharing
hold = {"alone": lambda data: alone(data, print), "sharing": sharing}[sys.argv[1]]
with hold(pathlib.Path(sys.argv[2])):
    print("held", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def other(tmp_path: Path, request: pytest.FixtureRequest) -> "Iterator[subprocess.Popen[str]]":
    """Another process that holds the lock in the way asked for."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, request.param, str(tmp_path)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("other", ["alone"], indirect=True)
def test_others_wait_while_somebody_is_alone_and_no_longer(other: "subprocess.Popen[str]", tmp_path: Path) -> None:
    with pytest.raises(Busy, match="being erased"), sharing(tmp_path, wait=False):
        pass
    with pytest.raises(TuttiError, match="start the intake again"):
        Journal(tmp_path / "intake", shared=tmp_path)
    other.send_signal(signal.SIGKILL)
    with sharing(tmp_path):
        pass


@pytest.mark.parametrize("other", ["sharing"], indirect=True)
def test_whoever_must_be_alone_waits_for_those_at_work_and_goes_before_new_ones(
    other: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    told, done = threading.Event(), threading.Event()

    def erase() -> None:
        with alone(tmp_path, lambda _: told.set()):
            done.set()

    waiting = threading.Thread(target=erase)
    waiting.start()
    assert told.wait(60)
    with pytest.raises(Busy), sharing(tmp_path, wait=False):
        pass
    assert not done.is_set()
    other.kill()
    waiting.join(60)
    assert done.is_set()


def test_many_share_and_one_process_may_do_so_twice(tmp_path: Path) -> None:
    with sharing(tmp_path), sharing(tmp_path, wait=False):
        begin(tmp_path)
        end(tmp_path)
    with alone(tmp_path, print):
        pass


def test_the_scrobble_endpoint_keeps_the_lock_only_while_lines_are_hidden(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "intake", shared=tmp_path)
    with alone(tmp_path, print), pytest.raises(Busy):
        journal.append(b"{}\n")
    journal.append(b"{}\n")
    with pytest.raises(AssertionError), alone(tmp_path, print):  # it waits for this very process
        pass
    journal.publish()
    with alone(tmp_path, print):
        pass
    journal.close()
    assert [path.read_bytes() for path in (tmp_path / "intake").glob("*.jsonl")] == [b"{}\n"]
