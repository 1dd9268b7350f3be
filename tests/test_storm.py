"""Whoever is killed at whatever: tables are whole at once, and the same work done again gives what it should.

A few kills of each kind; `make storm` does hundreds.
"""

from pathlib import Path

import pytest

from tests.conftest import ON_DASK, ON_SPARK
from tests.storm.front import FRONTS
from tests.storm.race import race


@pytest.mark.parametrize(("front", "kills"), [("import", 3), ("pandas", 2), ("duckdb", 2)])
def test_a_kill_leaves_whole_tables_and_nothing_that_vacuum_does_not_find(
    front: str, kills: int, tmp_path: Path
) -> None:
    blows = list(FRONTS[front].blows(kills, tmp_path / front))
    assert [fault for blow in blows for fault in blow.faults] == []
    assert any(blow.orphans for blow in blows), "no kill came between a write and its commit"


@pytest.mark.parametrize("front", [ON_DASK, ON_SPARK])
def test_a_cluster_or_part_of_it_may_be_killed_as_well(front: str, tmp_path: Path) -> None:
    blows = FRONTS[front].blows(2, tmp_path / front)
    assert [fault for blow in blows for fault in blow.faults] == []


def test_a_killed_import_on_the_command_line_is_made_good_by_the_same_command(tmp_path: Path) -> None:
    blows = FRONTS["command"].blows(1, tmp_path / "command")
    assert [fault for blow in blows for fault in blow.faults] == []


def test_no_commit_is_lost_where_many_write_and_no_reader_sees_half_a_day(tmp_path: Path) -> None:
    won = race(tmp_path, commits=48)
    assert won.faults == []
    assert won.commits == 48
    assert won.reads > 10
    assert won.vacuums > 10
