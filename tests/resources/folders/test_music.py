"""The music folder: what is audio by its name is found once, whatever else lies there."""

import os
from pathlib import Path

import pytest

from resources.folders.music import LATEST, UNREADABLE_NAME, Music


def put(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode(errors="surrogateescape"))


def found(root: Path) -> list[str]:
    look = Music(root=str(root)).look()
    assert look
    return [str(p) for p in look.files["path"].to_pylist()]


def test_audio_is_found_by_its_name_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "b.FLAC", "a/ö.mp3", "a/cover.jpg", "a/list.m3u", ".trash/c.ogg", "a/._b.flac", "flac")
    assert found(tmp_path) == ["a/ö.mp3", "b.FLAC"]


def test_a_file_is_told_as_it_lies_there(tmp_path: Path) -> None:
    put(tmp_path, "a.wav")
    os.utime(tmp_path / "a.wav", ns=(0, 1_500_000_001_234_567_890))
    look = Music(root=str(tmp_path)).look()
    assert look
    (row,) = look.files.to_pylist()
    assert (row["path"], row["bytes"], row["error"]) == ("a.wav", 5, None)
    assert row["modified_at"].timestamp() == 1_500_000_001.234567


def test_a_clock_out_of_its_mind_is_bounded(tmp_path: Path) -> None:
    put(tmp_path, "a.wav")
    os.utime(tmp_path / "a.wav", (10**12, 10**12))
    look = Music(root=str(tmp_path)).look()
    assert look
    if os.stat(tmp_path / "a.wav").st_mtime > LATEST / 1e6:  # not every file system has such years
        assert look.files["modified_at"].to_pylist()[0].year == 9999


def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    music, drive = tmp_path / "music", tmp_path / "drive"
    put(music, "a/b.flac")
    put(drive, "c.flac", "d/e.flac")
    (music / "a" / "up").symlink_to(music)
    (music / "a" / "self").symlink_to(music / "a" / "self")
    (music / "drive").symlink_to(drive)
    (music / "again").symlink_to(drive)
    (music / "deep").symlink_to(drive / "d")
    (drive / "d" / "home").symlink_to(music)
    (music / "f.flac").symlink_to(music / "a" / "b.flac")
    (music / "gone.flac").symlink_to(music / "nowhere.flac")
    names = found(music)
    assert {"a/b.flac", "f.flac"} <= set(names)
    assert sum(n.endswith("c.flac") for n in names) == sum(n.endswith("e.flac") for n in names) == 1
    assert len(names) == 4


def test_pipes_and_folders_with_the_name_of_a_song_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp3")
    put(tmp_path, "album.flac/1.flac")
    assert found(tmp_path) == ["album.flac/1.flac"]


def test_a_name_that_is_no_text_is_told_and_spelt_out(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp3")
    try:
        put(tmp_path, name)
    except OSError:
        pytest.skip("this file system has no such names")
    look = Music(root=str(tmp_path)).look()
    assert look
    (row,) = look.files.to_pylist()
    assert (row["path"], row["error"]) == (r"caf\xe9.mp3", UNREADABLE_NAME)
    put(tmp_path, r"caf\xe9.mp3")  # a name for which the other is shown
    again = Music(root=str(tmp_path)).look()
    assert again
    assert [(r["path"], r["error"]) for r in again.files.to_pylist()] == [(r"caf\xe9.mp3", None)]


def test_a_folder_that_is_not_there_is_told_from_an_empty_one(tmp_path: Path) -> None:
    assert Music(root=str(tmp_path / "nowhere")).look() is None
    look = Music(root=str(tmp_path)).look()
    assert look is not None
    assert look.files.num_rows == 0


def test_what_lies_in_a_folder_that_cannot_be_looked_into_is_hidden_not_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a/1.flac", "a/b/2.flac", "ab/3.flac")
    scandir = os.scandir

    def closed(path: str) -> object:
        if Path(path) == tmp_path / "a":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    look = Music(root=str(tmp_path)).look()
    assert look
    assert look.files["path"].to_pylist() == ["ab/3.flac"]
    assert [look.hidden(p) for p in ("a/1.flac", "a/b/2.flac", "ab/3.flac")] == [True, True, False]
