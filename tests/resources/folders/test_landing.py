"""The landing folder in a bucket: names are never paths, versions are distinguished, and problems are one line."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resources import storage
from resources.environments import landing_of
from resources.errors import TuttiError
from resources.folders.landing import Landed, Landing
from resources.pulls.landing_files import one_pull
from resources.sources.readers.archive import Unreadable
from tests import s3


@pytest.fixture
def landing(bucket: str) -> Landing:
    return Landing(root=f"{bucket}/landing")


def put(landing: Landing, *names: str) -> None:
    """Write objects with any names, also those that obstore would refuse."""
    for name in names:
        with landing.store.fs.open_output_stream(f"{landing.store.path}/{name}") as file:
            file.write(b"a")


VALID = ["listens/a.jsonl", "listens/b/é %41 ~.jsonl", "listens/x/%2e%2e%2fy"]
HOSTILE = ["listens/new\nline.jsonl", "listens/c\x01trl.jsonl", "listens/.hidden/a.jsonl", "listens/.a.jsonl"]


def test_objects_with_hostile_names_are_skipped(landing: Landing) -> None:
    put(landing, *VALID)
    landing.store.fs.create_dir(f"{landing.store.path}/listens/folder")  # an empty object, as consoles make them
    names = [file.path for file in landing.list_files("listens", "social")]
    put(landing, *HOSTILE)
    listed = landing.list_files("listens", "social")
    assert sorted(file.path for file in listed) == sorted(names) == VALID
    assert [name for name, _ in landing.files("listens")] == VALID
    with landing.copies(listed, pytest.fail) as copies:
        assert {path.read_bytes() for _, path in copies} == {b"a"}
        assert all(path.resolve().is_relative_to(tempfile.gettempdir()) for _, path in copies)
    assert not any(path.exists() for _, path in copies)
    assert {file.path: landing.state_of(file.path) for file in listed} == {file.path: file for file in listed}


@pytest.mark.parametrize("name", ["../up.jsonl", "listens/../../up", "/etc/passwd", "listens//a", "a\nb", "", ".", "x"])
def test_impossible_object_name_is_not_a_file(landing: Landing, name: str) -> None:
    assert landing.state_of(name) is None
    with pytest.raises((FileNotFoundError, Unreadable)), landing.opened(Landed(name, 1, 1)):
        pass


def test_only_places_inside_the_folder_have_names(landing: Landing, tmp_path: Path) -> None:
    assert landing.name(landing.place("listens/a b.jsonl")) == "listens/a b.jsonl"
    assert landing.name(f"{landing.store}-other/a") is None
    assert landing.name("/etc/passwd") is None
    local = Landing(root=str(tmp_path))
    assert local.name(local.place("listens/a")) == "listens/a"
    assert local.name("s3://bucket/a") is None


def test_content_replaced_within_a_second_is_another_state(landing: Landing) -> None:
    states = []
    for content in (b"first", b"other", b"first"):
        landing.store.write("listens/a", content)
        states += landing.list_files("listens")
    first, other, again = states
    assert first != other
    assert again.modified % 1_000_000 == first.modified % 1_000_000
    with pytest.raises(Unreadable, match="changed"), landing.opened(other):
        pass
    with landing.opened(again) as path:
        assert path.read_bytes() == b"first"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"TUTTI_LANDING_URL": "s3://no-such-bucket-here/landing"}, "s3://no-such-bucket-here.* does not exist"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "AWS_ENDPOINT_URL"),
        ({"AWS_SECRET_ACCESS_KEY": "another"}, "refuses.* AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ACCESS_KEY_ID": ""}, "needs.* AWS_ACCESS_KEY_ID"),
    ],
    ids=["no such bucket", "no answer", "wrong secret", "no credentials"],
)
def test_store_that_refuses_or_does_not_answer_is_one_line(
    change: dict[str, str], expected: str, landing: Landing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.store.write("listens/a", b"a")
    (file,) = landing.list_files("listens")
    for name, value in ({"TUTTI_LANDING_URL": landing.root} | change).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(storage, "RETRIES", 0)
    there = landing_of(tmp_path)

    def copy() -> None:
        with there.opened(file):
            pass

    def hold() -> None:
        with one_pull(there.store / "listens", len):
            pass

    uses: list[Callable[[], Any]] = [
        lambda: there.list_files("listens"),
        lambda: list(there.files("listens")),
        lambda: there.store.write("listens/b", b"b"),
        copy,
        hold,
    ]
    for use in uses:
        with pytest.raises(TuttiError, match=expected) as raised:
            use()
        assert len(str(raised.value).splitlines()) == 1
        assert s3.KEY not in str(raised.value)


def test_landing_url_outside_a_bucket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong, shown in {"/a/folder": "/a/folder", "s3://key:secret@b/c": "s3://...@b/c"}.items():
        monkeypatch.setenv("TUTTI_LANDING_URL", wrong)
        with pytest.raises(TuttiError, match=f"TUTTI_LANDING_URL: {re.escape(shown)}"):
            landing_of(tmp_path)
