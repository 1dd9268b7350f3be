"""Answers kept on disk: for a while, so many, and whole, whoever else writes them or is killed."""

import os
import subprocess
import sys
import time
from pathlib import Path

from resources.services.answer_cache import DRAFT, LEFT, LONGEST, AnswerCache

PROJECT = Path(__file__).resolve().parents[3]
WRITER = """
import sys
from pathlib import Path
from resources.services.answer_cache import AnswerCache
cache = AnswerCache(Path(sys.argv[1]), most=50)
n = 0
while n < int(sys.argv[2]):
    cache.keep(f"question {n % 40}", {"answer": str(n % 40) * 1000})
    n += 1
    if n == 20:
        print("begun", flush=True)
"""


def writer(folder: Path, times: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(folder), str(times)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def answers(cache: AnswerCache) -> int:
    """How many there are, each of which is whole."""
    found = [(n, cache.get(f"question {n}")) for n in range(40)]
    assert [answer for n, answer in found if answer not in (None, {"answer": str(n) * 1000})] == []
    return sum(answer is not None for _, answer in found)


def test_two_processes_at_once_leave_whole_answers(tmp_path: Path) -> None:
    both = [writer(tmp_path, 400), writer(tmp_path, 400)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert answers(AnswerCache(tmp_path)) == 40
    assert list(tmp_path.glob(f"*{DRAFT}")) == []


def test_one_that_is_killed_leaves_whole_answers_and_its_draft_goes_later(tmp_path: Path) -> None:
    process = writer(tmp_path, 10**9)
    assert process.stdout and process.stdout.readline() == "begun\n"
    process.kill()
    process.wait()
    process.stdout.close()
    left = tmp_path / f"killed{DRAFT}"
    left.write_bytes(b"half")
    young = tmp_path / f"young{DRAFT}"
    young.write_bytes(b"half")
    long_ago = time.time() - 2 * LEFT
    os.utime(left, (long_ago, long_ago))
    assert answers(AnswerCache(tmp_path)) >= 15
    assert not left.exists() and young.exists()


def test_there_are_never_more_than_it_is_told_to_keep(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path, most=10)
    for n in range(60):
        cache.keep(f"question {n}", {"answer": n})
    assert len(list(tmp_path.iterdir())) <= 12  # one on the way, and the count of them
    assert cache.get("question 59") == {"answer": 59}


def test_a_very_long_answer_is_not_kept(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    cache.keep("long", {"answer": "x" * LONGEST})
    cache.keep("short", {"answer": "\ud800"})
    assert (cache.get("long"), cache.get("short")) == (None, {"answer": "\ud800"})


def test_an_answer_expires(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path, seconds=-5)
    cache.keep("question", {"answer": 1})
    assert cache.get("question") is None


def test_files_that_are_none_hold_no_answer(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    cache.keep("question", {"answer": 1})
    for spoilt in (b"", b"\xff", b"\xff\xff\xff\xff", b"\xff\xff\xff\xff{broken", b"\xff\xff\xff\xff\x80"):
        for path in tmp_path.iterdir():
            path.write_bytes(spoilt)
        assert cache.get("question") is None
    cache = AnswerCache(tmp_path)
    cache.keep("question", {"answer": 2})
    assert cache.get("question") == {"answer": 2}
