"""The music folder: each file with an audio suffix is listed once, and other files are skipped."""

import os
from pathlib import Path

import pytest

from resources.folders.music import LATEST, UNREADABLE_NAME, Music


def put(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode(errors="surrogateescape"))


def paths(root: Path) -> list[str]:
    scan = Music(root=str(root)).scan()
    assert scan
    return [str(p) for p in scan.files["path"].to_pylist()]


def test_finds_audio_by_suffix_and_skips_hidden_files(tmp_path: Path) -> None:
    put(tmp_path, "b.FLAC", "a/ö.mp3", "a/cover.jpg", "a/list.m3u", ".trash/c.ogg", "a/._b.flac", "flac")
    assert paths(tmp_path) == ["a/ö.mp3", "b.FLAC"]


def test_reports_size_and_time_of_a_file(tmp_path: Path) -> None:
    put(tmp_path, "a.wav")
    os.utime(tmp_path / "a.wav", ns=(0, 1_500_000_001_234_567_890))
    scan = Music(root=str(tmp_path)).scan()
    assert scan
    (row,) = scan.files.to_pylist()
    assert (row["path"], row["bytes"], row["error"]) == ("a.wav", 5, None)
    assert row["modified_at"].timestamp() == 1_500_000_001.234567


def test_absurd_file_time_is_limited_to_the_year_9999(tmp_path: Path) -> None:
    put(tmp_path, "a.wav")
    os.utime(tmp_path / "a.wav", (10**12, 10**12))
    scan = Music(root=str(tmp_path)).scan()
    assert scan
    if os.stat(tmp_path / "a.wav").st_mtime > LATEST / 1e6:  # not every file system has such years
        assert scan.files["modified_at"].to_pylist()[0].year == 9999


def test_follows_links_but_not_loops(tmp_path: Path) -> None:
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
    names = paths(music)
    assert {"a/b.flac", "f.flac"} <= set(names)
    assert sum(n.endswith("c.flac") for n in names) == sum(n.endswith("e.flac") for n in names) == 1
    assert len(names) == 4


def test_skips_pipes_and_folders_with_an_audio_suffix(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp3")
    put(tmp_path, "album.flac/1.flac")
    assert paths(tmp_path) == ["album.flac/1.flac"]


def test_name_that_is_not_utf_8_is_escaped_and_reported(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp3")
    try:
        put(tmp_path, name)
    except OSError:
        pytest.skip("this file system has no such names")
    scan = Music(root=str(tmp_path)).scan()
    assert scan
    (row,) = scan.files.to_pylist()
    assert (row["path"], row["error"]) == (r"caf\xe9.mp3", UNREADABLE_NAME)
    put(tmp_path, r"caf\xe9.mp3")  # the same as the escaped name
    again = Music(root=str(tmp_path)).scan()
    assert again
    assert [(r["path"], r["error"]) for r in again.files.to_pylist()] == [(r"caf\xe9.mp3", None)]


def test_missing_folder_differs_from_an_empty_one(tmp_path: Path) -> None:
    assert Music(root=str(tmp_path / "nowhere")).scan() is None
    scan = Music(root=str(tmp_path)).scan()
    assert scan is not None
    assert scan.files.num_rows == 0


def test_files_in_an_unreadable_folder_are_hidden_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a/1.flac", "a/b/2.flac", "ab/3.flac")
    scandir = os.scandir

    def closed(path: str) -> object:
        if Path(path) == tmp_path / "a":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    scan = Music(root=str(tmp_path)).scan()
    assert scan
    assert scan.files["path"].to_pylist() == ["ab/3.flac"]
    assert [scan.hidden(p) for p in ("a/1.flac", "a/b/2.flac", "ab/3.flac")] == [True, True, False]
