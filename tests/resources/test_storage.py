"""The storage handle behaves the same for a folder on disk and for a folder in a bucket."""

import os
import pickle
import time
from pathlib import Path

import pytest

from resources.storage import Storage, Stored


@pytest.fixture(params=["disk", pytest.param("bucket", marks=pytest.mark.process)])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return Storage.at(tmp_path if request.param == "disk" else request.getfixturevalue("bucket")) / "a"


def test_files_are_written_listed_read_replaced_and_removed(folder: Storage) -> None:
    assert (list(folder.files()), folder.folders(), folder.names()) == ([], [], [])
    for name, content in {"one": b"1", "b/two": b"22", "b/c/three é #%?": b"333", "bb": b""}.items():
        folder.write(name, content)
    with folder.lock("b"):
        assert folder.names() == ["b/c/three é #%?", "b/two", "bb", "one"]
        assert folder.names("b") == ["b/c/three é #%?", "b/two"]
    assert folder.folders() == ["b"]
    assert (folder / "b").folders() == ["c"]
    one, two = sorted(folder.files(), key=lambda file: file.name, reverse=True)
    assert (one, two) == (Stored("one", 1, one.modified), Stored("bb", 0, two.modified))
    assert abs(time.time() - one.modified) < 60
    folder.write("one", b"another")
    assert (folder.read("one"), folder.read("b/c/three é #%?")) == (b"another", b"333")
    with (folder / "one").open() as file:
        file.seek(2)
        assert (file.read(3), file.size()) == (b"oth", 7)
    folder.remove(["b/c/three é #%?", "b/two", "never there", "one"])
    assert folder.names() == ["bb"]
    for read in (lambda: folder.read("one"), (folder / "one").open):
        with pytest.raises(FileNotFoundError):
            read()


def test_handle_is_picklable_and_a_path_only_on_disk(folder: Storage) -> None:
    assert pickle.loads(pickle.dumps(folder)) == Storage.at(folder) == Storage.at(f"{folder}/")
    if folder.remote:
        with pytest.raises(TypeError, match="in a bucket"):
            os.fspath(folder)
    else:
        assert Path(folder) == Path(str(folder))


def test_large_file_is_written_and_read_back(folder: Storage) -> None:
    content = os.urandom(12_000_000)
    folder.write("large", content)
    assert folder.read("large") == content
