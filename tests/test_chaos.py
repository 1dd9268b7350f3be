"""Whoever is killed at whatever: tables are whole at once, and the same work done again gives what it should.

A few kills; `make storm` does hundreds, of imports on the command line too, which `test_commands` kills where it hurts.
"""

from pathlib import Path

import pytest

from tests.chaos.front import FRONTS
from tests.chaos.race import race
from tests.conftest import ON_DASK, ON_SPARK


def test_a_killed_import_leaves_whole_tables_and_files_that_vacuum_removes(tmp_path: Path) -> None:
    blows = list(FRONTS["import"].blows(2, tmp_path / "import"))
    assert [fault for blow in blows for fault in blow.faults] == []
    assert any(blow.orphans for blow in blows), "no kill came between a write and its commit"


@pytest.mark.parametrize(("front", "kills"), [("pandas", 2), ("duckdb", 1)])
def test_each_day_is_as_before_the_kill_or_as_after_the_commit(front: str, kills: int, tmp_path: Path) -> None:
    blows = FRONTS[front].blows(kills, tmp_path / front)
    assert [fault for blow in blows for fault in blow.faults] == []


@pytest.mark.parametrize("front", [ON_DASK, ON_SPARK])
def test_a_cluster_or_a_part_of_it_may_be_killed_as_well(front: str, tmp_path: Path) -> None:
    seed = {"dask": 5, "spark": 7}[front]  # at a new file, a worker alone and all at once
    (blow,) = FRONTS[front].blows(1, tmp_path / front, seed)
    assert blow.faults == []


@pytest.mark.parametrize("front", [pytest.param("stream", marks=[pytest.mark.cluster, pytest.mark.spark])])
def test_a_killed_stream_goes_on_from_its_checkpoint_and_gives_what_an_import_gives(front: str, tmp_path: Path) -> None:
    (blow,) = FRONTS[front].blows(1, tmp_path / front, seed=1)
    assert blow.faults == []


def test_no_commit_is_lost_where_many_write_and_no_reader_sees_half_a_day(tmp_path: Path) -> None:
    won = race(tmp_path, commits=24)
    assert won.faults == []
    assert won.commits == 24
    assert won.reads > 10
    assert won.vacuums > 10
