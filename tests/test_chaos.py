"""Killed processes leave consistent tables, and a rerun gives the result of an undisturbed run.

These tests kill a few times. `make chaos` kills hundreds of times, including imports on the command line.
"""

from pathlib import Path

import pytest

from tests.chaos.race import race
from tests.chaos.targets import TARGETS
from tests.conftest import ON_DASK, ON_SPARK


def test_a_killed_import_leaves_only_orphans_that_vacuum_removes(tmp_path: Path) -> None:
    outcomes = list(TARGETS["import"].attack(2, tmp_path / "import"))
    assert [fault for outcome in outcomes for fault in outcome.faults] == []
    assert any(outcome.orphans for outcome in outcomes), "no kill came between a write and its commit"


@pytest.mark.parametrize(("target", "kills"), [("pandas", 2), ("duckdb", 1)])
def test_each_day_has_its_old_or_its_new_rows_after_a_kill(target: str, kills: int, tmp_path: Path) -> None:
    outcomes = TARGETS[target].attack(kills, tmp_path / target)
    assert [fault for outcome in outcomes for fault in outcome.faults] == []


@pytest.mark.parametrize("target", [ON_DASK, ON_SPARK])
def test_tables_survive_the_kill_of_a_cluster_or_part_of_it(target: str, tmp_path: Path) -> None:
    seed = {"dask": 5, "spark": 7}[target]  # kill one worker, and everything, at a new file
    (outcome,) = TARGETS[target].attack(1, tmp_path / target, seed)
    assert outcome.faults == []


@pytest.mark.parametrize("target", [pytest.param("stream", marks=[pytest.mark.cluster, pytest.mark.spark])])
def test_a_killed_stream_resumes_and_equals_an_import(target: str, tmp_path: Path) -> None:
    (outcome,) = TARGETS[target].attack(1, tmp_path / target, seed=1)
    assert outcome.faults == []


def test_concurrent_writers_lose_no_commit_and_readers_see_whole_days(tmp_path: Path) -> None:
    result = race(tmp_path, commits=24)
    assert result.faults == []
    assert result.commits == 24
    assert result.reads > 10
    assert result.vacuums > 10
