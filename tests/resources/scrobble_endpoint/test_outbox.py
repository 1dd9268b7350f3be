"""The outbox: acknowledged listens reach the bucket once, also after the object store was unavailable."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resources import storage
from resources.errors import TuttiError
from resources.scrobble_endpoint import outbox
from resources.scrobble_endpoint.journal import Journal
from resources.scrobble_endpoint.outbox import Outbox
from resources.storage import Storage, Stored
from tests import s3

UNAVAILABLE = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "PAUSE_S", 0.05)


@pytest.fixture
def store(bucket: str) -> Storage:
    return Storage.at(bucket)


def append(journal: Journal, *numbers: int) -> None:
    for number in numbers:
        journal.append(json.dumps({"n": number}).encode() + b"\n")
        journal.publish()


def landed(store: Storage) -> list[int]:
    return sorted(json.loads(line)["n"] for name in store.names() for line in store.read(name).splitlines())


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def waiting(folder: Path) -> int:
    return len(list(folder.glob("[!.]*.jsonl")))


def test_listens_wait_for_an_unavailable_store_and_land_once(
    tmp_path: Path, store: Storage, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(storage, "RETRIES", 0)
    journal, moving = Journal(tmp_path), Outbox(tmp_path, store)
    moving.start()
    append(journal, 1, 2)
    until(lambda: not waiting(tmp_path))
    with monkeypatch.context() as away:
        away.setenv("AWS_ENDPOINT_URL", UNAVAILABLE)
        append(journal, 3, 4)
        until(lambda: "does not answer" in capfd.readouterr().err)
        append(journal, 5)
        assert waiting(tmp_path) == 3
    until(lambda: not waiting(tmp_path))
    append(journal, 6)
    journal.close()
    moving.end()
    assert landed(store) == [1, 2, 3, 4, 5, 6]
    assert capfd.readouterr().err == "tutti: listens land again\n"


def test_remaining_files_land_after_the_next_start(
    tmp_path: Path, store: Storage, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(storage, "RETRIES", 0)
    with monkeypatch.context() as away:
        away.setenv("AWS_ENDPOINT_URL", UNAVAILABLE)
        journal, moving = Journal(tmp_path), Outbox(tmp_path, store)
        moving.start()  # clients do not wait for the store
        append(journal, 1, 2)
        journal.close()
        moving.end()
    assert "2 files stay" in capfd.readouterr().err
    again = Outbox(tmp_path, store)
    again.start()
    again.end()
    assert (landed(store), waiting(tmp_path)) == ([1, 2], 0)


def test_store_that_refuses_late_is_reported_and_tried_again(
    tmp_path: Path, store: Storage, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(outbox, "FIRST_ANSWER_TIMEOUT_S", 0.0)
    journal, moving = Journal(tmp_path), Outbox(tmp_path, store)
    append(journal, 1)
    files, begun = Storage.files, threading.Event()

    def slow(self: Storage) -> Iterator[Stored]:
        begun.wait(10)
        yield from files(self)

    with monkeypatch.context() as refusing:
        refusing.setattr(Storage, "files", slow)
        refusing.setenv("AWS_SECRET_ACCESS_KEY", "another")
        moving.start()
        begun.set()
        until(lambda: "refuses the credentials" in capfd.readouterr().err)
    until(lambda: not waiting(tmp_path))
    journal.close()
    moving.end()
    assert landed(store) == [1]


def test_lost_answers_and_a_kill_duplicate_nothing(
    tmp_path: Path, store: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    append(journal, *range(12))
    first = min(tmp_path.glob("*.jsonl"))
    store.write(first.name, first.read_bytes())  # as a server that was killed afterwards
    with s3.losing(3) as (proxy, lost):
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy)
        moving = Outbox(tmp_path, store)
        moving.start()
        until(lambda: not waiting(tmp_path))
        moving.end()
    monkeypatch.undo()
    assert lost
    assert landed(store) == [*range(12)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "another"}, "refuses the credentials"),
        ({"AWS_ACCESS_KEY_ID": ""}, "needs credentials"),
        ({}, "does not exist"),
    ],
    ids=["wrong secret", "no credentials", "no such bucket"],
)
def test_store_that_refuses_is_an_error_at_the_start(
    change: dict[str, str], expected: str, tmp_path: Path, store: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    place = store if change else Storage.at("s3://no-such-bucket-here/landing")
    with pytest.raises(TuttiError, match=expected) as raised:
        Outbox(tmp_path, place).start()
    assert len(str(raised.value).splitlines()) == 1
