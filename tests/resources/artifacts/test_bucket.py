"""Artifacts in a bucket: candidates, concurrent writers, a killed holder of the lock, and lost files."""

import threading
import time
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from resources import bucket_lock
from resources.artifacts.artifacts import Artifact, Artifacts, Damaged, Missing
from resources.errors import TuttiError
from resources.storage import Storage
from tests import s3

NAME = "derived/recommender"


def model(n: int) -> Artifact:
    return Artifact({"factors.bin": b"%d" % n * 1000, "names/index.json": b"%d" % n}, {"t": n})


@pytest.fixture
def artifacts(bucket: str) -> Artifacts:
    return Artifacts(Storage(f"{bucket}/artifacts"))


@pytest.fixture
def short_lock_times() -> Iterator[None]:
    with patch.multiple(bucket_lock, EXPIRY_S=1.5, RENEWAL_S=0.3, WAIT_S=0.05):
        yield


def test_versions_are_judged_served_pruned_and_erased(artifacts: Artifacts) -> None:
    with pytest.raises(Missing):
        artifacts.read(NAME)
    ids = [artifacts.publish(NAME, model(n), personal=True).id for n in range(6)]
    candidate = artifacts.write(NAME, model(6), personal=True)
    assert (artifacts.candidate(NAME), artifacts.read(NAME).files) == (candidate, model(5).files)
    artifacts.promote(NAME, candidate.id)
    assert artifacts.read(NAME).files == model(6).files
    assert artifacts.roll_back(NAME) == ids[5]
    assert {version.id for version in artifacts.versions(NAME)} == {*ids[2:], candidate.id}
    artifacts.store.remove([f"{NAME}/versions/{ids[5]}/factors.bin"])
    assert list(artifacts.problems()) == [NAME]
    with pytest.raises(Damaged, match=r"factors\.bin|damaged"):
        artifacts.read(NAME)
    artifacts.publish("content/sounds", model(7), personal=False)
    assert artifacts.erase(True, lambda file: False) == [NAME]
    assert artifacts.all() == ["content/sounds"]


@pytest.mark.usefixtures("short_lock_times")
def test_concurrent_writers_take_turns(artifacts: Artifacts) -> None:
    errors: list[Exception] = []

    def publish(first: int) -> None:
        try:
            for n in range(first, first + 4):
                artifacts.publish(NAME, model(n), personal=True)
        except Exception as error:
            errors.append(error)

    writers = [threading.Thread(target=publish, args=(first,)) for first in (0, 10, 20)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not errors
    assert artifacts.problems() == {}
    assert artifacts.read(NAME).files in [model(n).files for n in (3, 13, 23)]
    assert len(artifacts.versions(NAME)) == 5  # the served one, the new one and three more


@pytest.mark.usefixtures("short_lock_times")
def test_lock_expires_for_a_killed_process_and_not_for_a_live_one(artifacts: Artifacts) -> None:
    artifacts.store.write(f"{NAME}/.lock", b"a holder that does not renew it")
    artifacts.publish(NAME, model(1), personal=True)
    order: list[str] = []

    def wait() -> None:
        with artifacts.store.lock(NAME):
            order.append("waited")

    with artifacts.store.lock(NAME):
        waiter = threading.Thread(target=wait)
        waiter.start()
        waiter.join(2 * bucket_lock.EXPIRY_S)  # it is renewed in the meantime
        order.append("held")
    waiter.join()
    assert order == ["held", "waited"]


@pytest.mark.usefixtures("short_lock_times")
def test_process_that_lost_its_lock_fails(artifacts: Artifacts) -> None:
    """A process may fail to renew its lock in time, for example after a laptop's sleep."""

    def overtaken() -> None:
        with artifacts.store.lock(NAME):
            artifacts.store.write(f"{NAME}/.lock", b"another holder")
            time.sleep(1)

    with pytest.raises(TuttiError, match="took the lock"):
        overtaken()
    assert artifacts.store.read(f"{NAME}/.lock") == b"another holder"


def test_lost_answers_leave_the_lock_free(artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3.losing(4) as (proxy, lost):
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy)
        for n in range(3):
            artifacts.publish(NAME, model(n), personal=True)
            assert artifacts.read(NAME).files == model(n).files
    assert lost
