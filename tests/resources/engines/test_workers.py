"""Worker processes: a crash costs only its row, and no worker outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from resources.engines.workers import Worker, WorkerDied, map_isolated

NUMBERS = pa.table({"n": [1, 2, 3, 4]})
TIMEOUT_S = 60  # many times what it takes


def doubled(rows: pa.Table) -> pa.Table:
    return pa.table({"n": [2 * n for n in rows["n"].to_pylist()]})


def added(rows: pa.Table, small: pa.Table) -> pa.Table:
    return pa.table({"n": [n + small["n"][0].as_py() for n in rows["n"].to_pylist()]})


def deadly(rows: pa.Table) -> pa.Table:
    if rows["n"].to_pylist() == [3]:
        os.kill(os.getpid(), signal.SIGSEGV)
    return doubled(rows)


def quitting(rows: pa.Table) -> pa.Table:
    os._exit(7)


def deadly_once(rows: pa.Table) -> pa.Table:
    marker = Path(rows["path"][0].as_py())
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return rows


def failing(rows: pa.Table) -> pa.Table:
    raise ArithmeticError("the scales are broken")


class Odd(Exception):
    def __init__(self, one: int, other: int) -> None:
        super().__init__("it is odd")


def failing_oddly(rows: pa.Table) -> pa.Table:
    raise Odd(1, 2)


def talking(rows: pa.Table) -> pa.Table:
    print("decoding ...")
    os.write(1, b"from below\n")
    return doubled(rows)


def waiting(rows: pa.Table) -> pa.Table:
    signal.pause()
    return rows


def process(rows: pa.Table) -> pa.Table:
    return pa.table({"n": [os.getpid()]})


def failed_row(rows: pa.Table, reason: str) -> pa.Table:
    return pa.table({"n": [reason]})


def values(tables: list[pa.Table]) -> list[object]:
    return [n for t in tables for n in t["n"].to_pylist()]


def test_results_keep_the_order_of_the_rows() -> None:
    assert values(map_isolated(doubled, failed_row, NUMBERS, processes=2)) == [2, 4, 6, 8]
    assert values(map_isolated(added, failed_row, NUMBERS, [pa.table({"n": [10]})], processes=2)) == [11, 12, 13, 14]
    assert map_isolated(doubled, failed_row, NUMBERS.slice(0, 0), processes=2) == []


def test_worker_processes_are_reused() -> None:
    first, second = (values(map_isolated(process, failed_row, NUMBERS))[0] for _ in range(2))
    assert os.getpid() != first == second


def test_crash_costs_only_its_row_and_gives_the_reason() -> None:
    for processes in (1, 2):
        results = values(map_isolated(deadly, failed_row, NUMBERS, processes=processes))
        reason = str(results.pop(2))
        assert "SIGSEGV" in reason
        assert results == [2, 4, 8]
    (reason,) = map(str, values(map_isolated(quitting, failed_row, NUMBERS.slice(0, 1))))
    assert reason.endswith(" 7")


def test_row_whose_process_was_killed_once_is_tried_again(tmp_path: Path) -> None:
    rows = pa.table({"path": [str(tmp_path / "marker")]})
    assert map_isolated(deadly_once, failed_row, rows) == [rows]


def test_error_in_a_worker_is_raised_in_the_parent() -> None:
    with pytest.raises(ArithmeticError, match="the scales are broken"):
        map_isolated(failing, failed_row, NUMBERS, processes=2)
    with pytest.raises(RuntimeError, match="Odd: it is odd"):  # which cannot be unpickled
        map_isolated(failing_oddly, failed_row, NUMBERS)


def test_text_printed_by_a_library_is_ignored() -> None:
    assert values(map_isolated(talking, failed_row, NUMBERS)) == [2, 4, 6, 8]


def test_row_that_takes_too_long_is_given_up() -> None:
    worker = Worker(timeout_s=0.1)
    with pytest.raises(WorkerDied, match="took longer than"):
        worker.call(waiting, NUMBERS)
    worker.close()
    with pytest.raises(WorkerDied, match="stopped"):
        worker.call(doubled, NUMBERS)


PARENT = """
import os, signal
import pyarrow as pa
from resources.engines.workers import map_isolated
from tests.resources.engines.test_workers import failed_row, process, waiting
print(map_isolated(process, failed_row, pa.table({"n": [1]}))[0]["n"][0].as_py(), flush=True)
"""


@pytest.mark.parametrize("work", ["signal.pause()", 'map_isolated(waiting, failed_row, pa.table({"n": [1]}))'])
def test_worker_ends_with_a_killed_parent_idle_or_in_a_row(work: str) -> None:
    root = Path(__file__).parents[3]
    environ = os.environ | {"PYTHONPATH": str(root)}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT + work], cwd=root, env=environ, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    worker = int(parent.stdout.readline())
    os.kill(worker, 0)  # it is there
    time.sleep(0.5)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + TIMEOUT_S
    while alive(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
