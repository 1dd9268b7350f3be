"""The journal: every acknowledged line is on disk once, whatever happens to the server or the disk."""

import errno
import json
import os
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.errors import TuttiError
from resources.scrobble_endpoint.journal import Journal
from tests.resources.scrobble_endpoint.support import lines
from tests.resources.test_files import fill, on_small_disk

FULL = OSError(errno.ENOSPC, "No space left on device")


def line(number: int) -> bytes:
    return json.dumps({"n": number}).encode() + b"\n"


def numbers(folder: Path, *, hidden: bool = False) -> list[int]:
    return [record["n"] for record in lines(folder, hidden=hidden)]


def kill(journal: Journal) -> None:
    """End a journal as a kill does: nothing is published, and open files are closed."""
    if journal._file:
        os.close(journal._file.descriptor)
    journal._lock.release()


def test_lines_are_hidden_until_due_and_then_in_a_file_that_never_changes(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a" / "b", seconds=0.2)
    assert journal.due() is None
    journal.append(line(1))
    journal.append(line(2))
    assert (numbers(journal.folder), numbers(journal.folder, hidden=True)) == ([], [1, 2])
    assert 0 < (journal.due() or 0) <= 0.2
    time.sleep(0.2)
    assert journal.due() == 0.0
    journal.publish()
    journal.append(line(3))
    assert (numbers(journal.folder), journal.due()) != ([], None)
    assert numbers(journal.folder) == [1, 2]
    journal.close()
    assert sorted(numbers(journal.folder)) == [1, 2, 3]
    assert [p.name for p in journal.folder.iterdir() if p.name.startswith(".")] == [".lock"]


def test_large_file_is_due_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path, size=100)
    journal.append(line(1))
    assert journal.due() != 0.0
    journal.append(line(2) * 20)
    assert journal.due() == 0.0


def test_lines_and_their_files_name_are_synced_before_append_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    synced: list[str] = []

    def sync(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)

    with patch.object(os, "fsync", sync):
        journal.append(line(1))
        hidden = next(p.name for p in tmp_path.glob(".*.jsonl"))
        assert synced == [tmp_path.name, hidden]
        journal.publish()
    assert synced[2:] == [tmp_path.name]


def test_two_servers_never_share_a_folder(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    with pytest.raises(TuttiError, match="another scrobble endpoint"):
        Journal(tmp_path)
    first.close()
    Journal(tmp_path).close()


@given(complete=st.integers(0, 5), cut=st.integers(0, 8), published=st.booleans())
def test_after_a_kill_complete_lines_appear_once_and_a_torn_one_never(
    tmp_path_factory: pytest.TempPathFactory, complete: int, cut: int, published: bool
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    killed = Journal(folder)
    for number in range(complete):
        killed.append(line(number))
        if published and number == 1:
            killed.publish()
    if cut:
        killed.append(b"")
        assert killed._file
        os.write(killed._file.descriptor, line(99)[: min(cut, len(line(99)) - 1)])
    kill(killed)
    for _ in range(2):  # a second start finds nothing left to do
        journal = Journal(folder)
        assert sorted(numbers(folder)) == list(range(complete))
        assert not list(folder.glob(".*.jsonl"))
        kill(journal)


def test_invalid_json_after_a_power_cut_ends_the_file(tmp_path: Path) -> None:
    (tmp_path / ".x.jsonl").write_bytes(line(1) + b"\0" * 8 + b"\n" + line(2))
    journal = Journal(tmp_path)
    assert (journal.recovered, journal.torn, numbers(tmp_path)) == (1, 1, [1])


@pytest.mark.parametrize("failing", ["write", "fsync"])
@pytest.mark.parametrize("cannot_cut", [False, True])
def test_refused_lines_leave_no_trace_and_the_journal_continues(tmp_path: Path, failing: str, cannot_cut: bool) -> None:
    journal = Journal(tmp_path)
    journal.append(line(1))
    with patch.object(os, failing, side_effect=FULL), pytest.raises(OSError, match="No space"):
        journal.append(line(2))
    real = os.write

    def half(descriptor: int, data: Any) -> int:
        """Write only a part, as a full disk does."""
        if len(data) > 4:
            return real(descriptor, bytes(data)[:4])
        raise FULL

    cut = OSError(errno.EIO, "broken") if cannot_cut else os.ftruncate
    no_space = pytest.raises(OSError, match="No space")
    with patch.object(os, "write", half), patch.object(os, "ftruncate", side_effect=cut), no_space:
        journal.append(line(3))
    journal.append(line(4))
    journal.close()
    assert sorted(numbers(tmp_path)) == [1, 4]
    assert not list(tmp_path.glob(".*.jsonl"))


def test_failed_rename_is_repeated_later(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(line(1))
    with patch.object(Path, "rename", side_effect=FULL), pytest.raises(OSError, match="No space"):
        journal.publish()
    journal.append(line(2))
    journal.publish()
    assert numbers(tmp_path) == [1, 2]


def full(root: str) -> None:
    """Append until the disk is full, free some space, and continue."""
    journal, number, refused = Journal(Path(root, "landing")), 0, None
    filling = fill(Path(root), leave=40_000)
    while not refused:
        try:
            journal.append(line(number) * 100)
            number += 1
        except OSError as error:
            refused = error.errno
    filling.unlink()
    journal.append(line(number) * 100)
    journal.close()
    print(json.dumps({"refused": refused, "appended": number + 1, "landed": numbers(journal.folder)}))


@pytest.mark.slow
def test_journal_continues_after_a_full_disk_has_space_again(tmp_path: Path) -> None:
    code = f"import sys; from {__name__} import full; full(sys.argv[1])"
    done = on_small_disk(tmp_path / "disk", sys.executable, "-c", code, str(tmp_path / "disk"))
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert (outcome["refused"], outcome["appended"] > 2) == (errno.ENOSPC, True)
    assert outcome["landed"] == [number for number in range(outcome["appended"]) for _ in range(100)]
