"""Artifacts: readers get complete versions only, despite concurrent writers, killed processes and damaged files."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.artifacts.artifacts import MANIFEST, SERVING, Artifact, Artifacts, Damaged, Missing
from resources.storage import Storage

PROJECT = Path(__file__).resolve().parents[3]
NAME = "derived/recommender"


def model(n: int, **inputs: int) -> Artifact:
    """Return a model in two files that belong together."""
    return Artifact({"factors.bin": b"%d" % n * 1000, "names/index.json": json.dumps(n).encode()}, inputs or {"t": n})


def number(artifact: Artifact) -> int:
    """Return the model's number, after a check that both files contain it."""
    n = int(artifact.files["names/index.json"])
    assert artifact.files["factors.bin"] == model(n).files["factors.bin"]
    return n


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(Storage.at(tmp_path))


def serve(artifacts: Artifacts, n: int, personal: bool = True, name: str = NAME) -> str:
    return artifacts.publish(name, model(n), personal).id


def test_candidate_can_be_judged_before_it_is_served(artifacts: Artifacts) -> None:
    with pytest.raises(Missing, match=f"Materialize {NAME}"):
        artifacts.read(NAME)
    first = serve(artifacts, 1)
    assert artifacts.candidate(NAME) is None
    second = artifacts.write(NAME, model(2), personal=True)
    assert artifacts.candidate(NAME) == second
    assert number(artifacts.read(NAME)) == 1
    assert number(artifacts.read(NAME, second.id)) == 2
    artifacts.promote(NAME, second.id)
    assert (number(artifacts.read(NAME)), artifacts.candidate(NAME)) == (2, None)
    assert artifacts.roll_back(NAME) == first == artifacts.serving(NAME)
    assert number(artifacts.read(NAME)) == 1


def test_rolls_back_only_to_a_version_that_was_served(artifacts: Artifacts) -> None:
    serve(artifacts, 1)
    artifacts.write(NAME, model(2), personal=True)
    with pytest.raises(Missing, match="no earlier version"):
        artifacts.roll_back(NAME)


def test_version_is_a_function_of_inputs_and_content(artifacts: Artifacts) -> None:
    same = {artifacts.write(NAME, model(1, listens=7), personal=True).id for _ in range(2)}
    other = {
        artifacts.write(NAME, model(1, listens=8), personal=True).id,
        artifacts.write(NAME, model(2, listens=7), personal=True).id,
        artifacts.write(NAME, model(1, listens=7), personal=False).id,
    }
    assert (len(same), len(other - same)) == (1, 3)
    assert artifacts.read(NAME, same.pop()).inputs == {"listens": 7}


def test_old_version_written_again_is_the_newest_candidate(artifacts: Artifacts) -> None:
    first, second = serve(artifacts, 1), serve(artifacts, 2)
    assert artifacts.write(NAME, model(1), personal=True).id == first
    candidate = artifacts.candidate(NAME)
    assert candidate and candidate.id == first and artifacts.serving(NAME) == second


def test_old_versions_are_pruned_except_the_served_one(artifacts: Artifacts) -> None:
    ids = [serve(artifacts, 0), *(artifacts.write(NAME, model(n), personal=True).id for n in range(1, 9))]
    assert [version.id for version in artifacts.versions(NAME)] == [ids[0], *ids[-4:]]
    assert number(artifacts.read(NAME)) == 0
    for n in range(10, 20):
        serve(artifacts, n)
    assert number(artifacts.read(NAME)) == 19
    assert len(artifacts.versions(NAME)) == 5  # the new one, the one that served when it was written, three others
    assert artifacts.roll_back(NAME) and number(artifacts.read(NAME)) == 18


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("file", ["factors.bin", "names/index.json", MANIFEST])
@pytest.mark.parametrize("damage", [cut, flip, Path.unlink], ids=["cut", "flipped", "missing"])
def test_damage_is_reported_and_repaired_by_a_rebuild(
    artifacts: Artifacts, tmp_path: Path, file: str, damage: Callable[[Path], None]
) -> None:
    first, second = serve(artifacts, 1), serve(artifacts, 2)
    assert artifacts.problems() == {}
    damage(tmp_path / NAME / "versions" / second / file)
    with pytest.raises(Damaged, match=f"Materialize {NAME} again"):
        artifacts.read(NAME)
    assert list(artifacts.problems()) == [NAME]
    with pytest.raises(Damaged, match=second):
        artifacts.promote(NAME, second)
    assert artifacts.write(NAME, model(2), personal=True).id == second
    assert (number(artifacts.read(NAME)), artifacts.problems()) == (2, {})
    damage(tmp_path / NAME / "versions" / second / file)
    assert artifacts.roll_back(NAME) == first


@pytest.mark.parametrize("text", ["", "{}", "[1]", "["])
def test_damaged_pointer_is_reported_and_the_next_version_served(
    artifacts: Artifacts, tmp_path: Path, text: str
) -> None:
    serve(artifacts, 1)
    (tmp_path / NAME / SERVING).write_text(text)
    assert artifacts.problems() == {NAME: "serving.json is damaged"}
    with pytest.raises(Damaged, match="Materialize"):
        artifacts.read(NAME)
    serve(artifacts, 1)
    assert number(artifacts.read(NAME)) == 1


def test_readers_see_complete_versions_while_two_processes_write(artifacts: Artifacts) -> None:
    serve(artifacts, 0)
    done, failed = threading.Event(), list[BaseException]()

    def read() -> None:
        try:
            while not done.is_set():
                number(artifacts.read(NAME))
        except BaseException as error:
            failed.append(error)

    def write(numbers: range) -> None:
        try:
            for n in numbers:
                serve(artifacts, n)
        except BaseException as error:
            failed.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=write, args=(range(k, k + 12),)) for k in (100, 200)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert failed == []
    assert number(artifacts.read(NAME)) in (111, 211)
    assert len(artifacts.versions(NAME)) <= 5 and artifacts.problems() == {}


class Overtaken(Storage):
    """A folder in which a version is replaced and pruned just after a reader has read which one is served."""

    def read(self, name: str) -> bytes:
        if name.endswith(MANIFEST):
            for n in range(20, 28):
                serve(Artifacts(Storage(self.url)), n)
        return super().read(name)


def test_overtaken_reader_reads_the_version_that_is_served_now(artifacts: Artifacts, tmp_path: Path) -> None:
    first = serve(artifacts, 1)
    assert number(Artifacts(Overtaken(str(tmp_path))).read(NAME)) == 27
    with pytest.raises(Damaged, match="missing"):
        artifacts.read(NAME, first)


KILLED = """
import os, signal, sys
from pathlib import Path
from resources.artifacts import artifacts
from resources.storage import Storage
from tests.resources.artifacts.test_artifacts import NAME, model
write, left = Storage.write, [int(sys.argv[2])]
def cut(self, name, content):
    if left[0] == 0:
        path = Path(self.url, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f".{path.name}.draft").write_bytes(content[:5])
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    write(self, name, content)
Storage.write = cut
found = artifacts.Artifacts(Storage(sys.argv[1]))
found.publish(NAME, model(2), personal=True)
"""


@pytest.mark.parametrize("writes", range(4))
def test_after_a_kill_the_old_version_is_served_and_the_next_run_repairs(
    artifacts: Artifacts, tmp_path: Path, writes: int
) -> None:
    """The process is killed before it writes each of the two files, the manifest and the pointer."""
    serve(artifacts, 1)
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(writes)]
    killed = subprocess.run(command, cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(PROJECT)}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert number(artifacts.read(NAME)) == 1
    assert bool(artifacts.candidate(NAME)) == (writes == 3)
    serve(artifacts, 2 if writes % 2 else 3)
    assert number(artifacts.read(NAME)) == (2 if writes % 2 else 3)
    versions = {version.id for version in artifacts.versions(NAME)}
    assert {path.name for path in (tmp_path / NAME / "versions").iterdir()} == versions  # no partial version is left
    assert not list((tmp_path / NAME / "versions").rglob(".*"))


def test_erasure_removes_personal_artifacts_and_mentions_of_a_listener(artifacts: Artifacts, tmp_path: Path) -> None:
    serve(artifacts, 1, personal=True, name="derived/taste")
    serve(artifacts, 2, personal=False, name="content/embeddings")
    page = serve(artifacts, 3, personal=False, name="content/page")
    assert artifacts.erase(False, lambda file: False) == []
    assert artifacts.erase(False, lambda file: file == f"content/page/versions/{page}/factors.bin") == ["content/page"]
    assert artifacts.erase(True, lambda file: False) == ["derived/taste"]
    assert artifacts.all() == ["content/embeddings"]
    assert [path.name for path in (tmp_path / "derived").rglob("*") if path.is_file()] == [".lock"]
    with pytest.raises(Missing):
        artifacts.read("derived/taste")


def test_erasure_removes_artifacts_with_a_damaged_manifest(artifacts: Artifacts, tmp_path: Path) -> None:
    version = serve(artifacts, 1, personal=False)
    flip(tmp_path / NAME / "versions" / version / MANIFEST)
    assert artifacts.erase(True, lambda file: False) == [NAME]


@pytest.mark.parametrize("name", ["../a", "/a", "a/../b", ".hidden", "a/.b", MANIFEST, "a//b", "."])
def test_files_stay_inside_their_version(artifacts: Artifacts, name: str) -> None:
    with pytest.raises(ValueError, match="invalid name"):
        artifacts.write(NAME, Artifact({name: b""}), personal=True)


@pytest.mark.parametrize("name", ["../evil", "derived/../../evil", "/evil", ".."])
def test_artifacts_stay_inside_their_folder(name: str, tmp_path: Path) -> None:
    artifacts = Artifacts(Storage.at(tmp_path / "artifacts"))
    outside = tmp_path / "evil"
    outside.mkdir()
    (outside / "serving.json").write_text('["a"]')
    for use in (
        lambda: artifacts.publish(name, Artifact({"a": b""}), personal=True),
        lambda: artifacts.promote(name, "a"),
        lambda: artifacts.roll_back(name),
        lambda: artifacts.serving(name),
        lambda: artifacts.versions(name),
        lambda: artifacts.read(name),
        lambda: artifacts.read("derived/recommender", name),
    ):
        with pytest.raises((ValueError, Damaged)):
            use()
    assert [path.name for path in outside.rglob("*")] == ["serving.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["evil"]


def test_a_pointer_to_another_folder_is_damage(artifacts: Artifacts, tmp_path: Path) -> None:
    serve(artifacts, 1)
    (tmp_path / NAME / "serving.json").write_text('["../../../elsewhere"]')
    with pytest.raises(Damaged, match="leads out of its folder"):
        artifacts.read(NAME)


@given(files=st.dictionaries(st.sampled_from(["a", "b/c", "b/d", "e.f"]), st.binary(max_size=50), max_size=4))
def test_any_files_are_read_back_unchanged(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    artifacts = Artifacts(Storage.at(tmp_path_factory.mktemp("artifacts")))
    artifacts.promote("a/b", artifacts.write("a/b", Artifact(files), personal=True).id)
    assert artifacts.read("a/b").files == files
