"""Children: what kills a process costs its row alone, and nothing of them stays behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from resources.engines.workers import Child, Died, map_isolated

NUMBERS = pa.table({"n": [1, 2, 3, 4]})
PATIENCE = 60  # seconds, many times what it takes


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


def lost(rows: pa.Table, reason: str) -> pa.Table:
    return pa.table({"n": [reason]})


def values(tables: list[pa.Table]) -> list[object]:
    return [n for t in tables for n in t["n"].to_pylist()]


def test_rows_come_in_their_order_from_several_processes() -> None:
    assert values(map_isolated(doubled, lost, NUMBERS, processes=2)) == [2, 4, 6, 8]
    assert values(map_isolated(added, lost, NUMBERS, [pa.table({"n": [10]})], processes=2)) == [11, 12, 13, 14]
    assert map_isolated(doubled, lost, NUMBERS.slice(0, 0), processes=2) == []


def test_work_is_done_elsewhere_and_processes_are_used_again() -> None:
    first, second = (values(map_isolated(process, lost, NUMBERS))[0] for _ in range(2))
    assert os.getpid() != first == second


def test_a_row_that_kills_its_process_costs_no_other_and_says_why() -> None:
    for processes in (1, 2):
        found = values(map_isolated(deadly, lost, NUMBERS, processes=processes))
        assert found == [2, 4, "the process that read it was ended by SIGSEGV", 8]
    assert values(map_isolated(quitting, lost, NUMBERS.slice(0, 1))) == ["the process that read it ended with 7"]


def test_a_row_whose_process_was_killed_by_others_is_tried_again(tmp_path: Path) -> None:
    rows = pa.table({"path": [str(tmp_path / "marker")]})
    assert map_isolated(deadly_once, lost, rows) == [rows]


def test_what_fails_in_a_child_fails_here() -> None:
    with pytest.raises(ArithmeticError, match="the scales are broken"):
        map_isolated(failing, lost, NUMBERS, processes=2)
    with pytest.raises(RuntimeError, match="Odd: it is odd"):  # which cannot travel as it is
        map_isolated(failing_oddly, lost, NUMBERS)


def test_what_a_library_prints_is_no_answer() -> None:
    assert values(map_isolated(talking, lost, NUMBERS)) == [2, 4, 6, 8]


def test_a_row_that_takes_for_ever_is_given_up() -> None:
    child = Child(patience=0.1)
    with pytest.raises(Died, match="it took longer than"):
        child.ask(waiting, NUMBERS)
    child.close()
    with pytest.raises(Died, match="it was stopped"):
        child.ask(doubled, NUMBERS)


PARENT = """
import os, signal
import pyarrow as pa
from resources.engines.workers import map_isolated
from tests.resources.engines.test_workers import lost, process, waiting
print(map_isolated(process, lost, pa.table({"n": [1]}))[0]["n"][0].as_py(), flush=True)
"""


@pytest.mark.parametrize("work", ["signal.pause()", 'map_isolated(waiting, lost, pa.table({"n": [1]}))'])
def test_children_end_with_a_parent_that_is_killed_idle_or_amid_a_row(work: str) -> None:
    root = Path(__file__).parents[3]
    environ = os.environ | {"PYTHONPATH": str(root)}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT + work], cwd=root, env=environ, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    child = int(parent.stdout.readline())
    os.kill(child, 0)  # it is there
    time.sleep(0.5)
    parent.kill()
    parent.communicate()
    until = time.monotonic() + PATIENCE
    while alive(child):
        assert time.monotonic() < until
        time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
