"""Ranges of days that users type."""

from datetime import date
from unittest.mock import patch

import pytest

from orchestration.cli import date_range
from resources.errors import TuttiError
from resources.span import Span

TODAY = date(2025, 6, 1)
ENDED = Span(date(2024, 3, 1), date(2024, 4, 30))


def test_days_before_the_first_record_can_be_pulled() -> None:
    with patch.object(date_range, "SPAN", ENDED):
        days = date_range.span("2010-01-01", "2010-01-31", TODAY, "make pull")
    assert days == (date(2010, 1, 1), date(2010, 1, 31))


def test_days_around_all_records_can_be_rebuilt() -> None:
    with patch.object(date_range, "SPAN", ENDED):
        date_range.with_records(date(2024, 2, 1), date(2024, 5, 31))


@pytest.mark.parametrize(("first", "last"), [("2024-01-01", "2024-02-29"), ("2024-05-01", "2024-05-02")])
def test_days_without_records_cannot_be_rebuilt(first: str, last: str) -> None:
    with patch.object(date_range, "SPAN", ENDED), pytest.raises(TuttiError, match="2024-03-01 to 2024-04-30"):
        date_range.with_records(date.fromisoformat(first), date.fromisoformat(last))
