"""Damaged files against all that reads files from outside: a few hundred; `python -m tests.fuzz` does more."""

from itertools import islice
from pathlib import Path

import pytest

from tests.fuzz.damage import bombs
from tests.fuzz.fuzz import cases, wrong
from tests.fuzz.parsers import PARSERS

CASES = 300  # of a parser
SLOW = {"bz2 of newlines", "zip of 20,000 files"}  # which `python -m tests.fuzz` has


@pytest.mark.slow
@pytest.mark.parametrize("parser", PARSERS)
def test_damaged_files_are_reported_and_lose_no_valid_record(parser: str, tmp_path: Path) -> None:
    damaged = islice(cases(seed=7, only=frozenset([parser])), len(bombs()), len(bombs()) + CASES)
    faults = {case.says: fault for case in damaged if (fault := wrong(case, tmp_path / "file"))}
    assert faults == {}


@pytest.mark.slow
def test_bombs_end_soon_and_within_memory(tmp_path: Path) -> None:
    told = [case for case in islice(cases(seed=7), len(bombs()) * len(PARSERS)) if case.says not in SLOW]
    faults = {(case.parser, case.says): fault for case in told if (fault := wrong(case, tmp_path / "file"))}
    assert faults == {}
