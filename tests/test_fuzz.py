"""Run all parsers of outside files on a few hundred damaged files. `python -m tests.fuzz` runs more."""

from itertools import islice
from pathlib import Path

import pytest

from tests.fuzz.damage import bombs
from tests.fuzz.fuzz import cases, fault_of
from tests.fuzz.parsers import PARSERS

CASES = 300  # for each parser
SLOW = {"bz2 of newlines", "zip of 20,000 files"}  # only run by `python -m tests.fuzz`


@pytest.mark.slow
@pytest.mark.parametrize("parser", PARSERS)
def test_damaged_files_are_reported_and_lose_no_valid_record(parser: str, tmp_path: Path) -> None:
    damaged = islice(cases(seed=7, only=frozenset([parser])), len(bombs()), len(bombs()) + CASES)
    faults = {case.name: fault for case in damaged if (fault := fault_of(case, tmp_path / "file"))}
    assert faults == {}


@pytest.mark.slow
def test_bombs_end_soon_and_within_memory(tmp_path: Path) -> None:
    small = [case for case in islice(cases(seed=7), len(bombs()) * len(PARSERS)) if case.name not in SLOW]
    faults = {(case.parser, case.name): fault for case in small if (fault := fault_of(case, tmp_path / "file"))}
    assert faults == {}
