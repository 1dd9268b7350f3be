"""The span of days that have partitions."""

from datetime import date
from pathlib import Path

from resources.span import EVER, Span, store, stored, widen

FIRST, LAST = date(2025, 2, 24), date(2025, 4, 6)


def test_every_day_has_a_partition_until_something_is_imported(tmp_path: Path) -> None:
    assert stored(tmp_path) == Span(EVER)


def test_partitions_begin_with_the_first_imported_day(tmp_path: Path) -> None:
    widen(tmp_path, [LAST, FIRST])
    assert stored(tmp_path) == Span(FIRST)


def test_import_of_older_listens_moves_the_first_day_back(tmp_path: Path) -> None:
    widen(tmp_path, [FIRST])
    widen(tmp_path, [date(2010, 1, 1), LAST])
    assert stored(tmp_path) == Span(date(2010, 1, 1))


def test_records_without_a_date_do_not_move_the_first_day(tmp_path: Path) -> None:
    widen(tmp_path, [FIRST])
    widen(tmp_path, [EVER])
    assert stored(tmp_path) == Span(FIRST)


def test_newer_import_moves_the_last_day_of_an_ended_history(tmp_path: Path) -> None:
    store(tmp_path, Span(FIRST, LAST))
    widen(tmp_path, [date(2026, 1, 1)])
    assert stored(tmp_path) == Span(FIRST, date(2026, 1, 1))


def test_span_holds_another_only_if_it_has_all_its_days() -> None:
    assert Span(EVER).holds(Span(FIRST, LAST)) and Span(FIRST).holds(Span(FIRST, LAST))
    assert not Span(FIRST).holds(Span(EVER))
    assert not Span(FIRST, LAST).holds(Span(FIRST)) and not Span(FIRST, FIRST).holds(Span(FIRST, LAST))
