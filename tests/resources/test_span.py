"""The span of days that have partitions."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from resources.engines.pandas import PandasEngine
from resources.lake.lake import Lake
from resources.schema import column
from resources.span import EVER, FIRST_DAY, UNDATED, Span, load, store, stored, widen

FIRST, LAST = date(2025, 2, 24), date(2025, 4, 6)


def raw(lake: Lake, table: str, *days: date) -> None:
    rows = pa.table({"day": pa.array(days, pa.date32())})
    schema = pa.schema([column("day", pa.date32(), "day")])
    lake.replace(table, PandasEngine().from_arrow(rows), schema)


def test_every_day_has_a_partition_until_something_is_imported(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    assert load(tmp_path, lake) == Span(EVER)
    raw(lake, "events/raw_tag_assignments", UNDATED)
    assert load(tmp_path, lake) == Span(EVER)
    assert stored(tmp_path) is None


def test_first_day_of_a_lake_is_found_if_none_is_stored(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    raw(lake, "events/raw_listens", LAST, FIRST)
    raw(lake, "events/raw_tag_assignments", UNDATED, LAST)
    raw(lake, "events/daily_listening", date(2010, 1, 1))  # not imported
    assert load(tmp_path, lake) == Span(FIRST, LAST)
    widen(tmp_path, [LAST])
    assert stored(tmp_path) == Span(FIRST, LAST)


@pytest.mark.parametrize(
    "damaged",
    [
        *("", '["2010-06', '{"version": 2}', "[]", '["2010-06-10"]', "[1, 2]", "null", '["x", null]'),
        *('["0001-01-01", null]', '["2099-01-01", null]', '["2024-05-01", "2024-04-01"]'),
    ],
    ids=lambda text: text or "empty",
)
def test_damaged_span_is_replaced_by_that_of_the_lake(tmp_path: Path, damaged: str) -> None:
    lake = Lake(tmp_path / "lake")
    raw(lake, "events/raw_listens", FIRST)
    (tmp_path / "span.json").write_text(damaged)
    assert load(tmp_path, lake) == Span(FIRST, FIRST)
    assert stored(tmp_path)


def test_folder_in_place_of_the_file_leaves_all_days(tmp_path: Path) -> None:
    (tmp_path / "span.json").mkdir()
    assert stored(tmp_path) is None


def test_partitions_are_the_days_of_an_ended_history(tmp_path: Path) -> None:
    widen(tmp_path, [LAST, FIRST])
    assert stored(tmp_path) == Span(FIRST, LAST)


def test_partitions_go_on_until_today_if_the_history_does(tmp_path: Path) -> None:
    widen(tmp_path, [FIRST, datetime.now(UTC).date() - timedelta(days=30)])
    assert stored(tmp_path) == Span(FIRST)
    widen(tmp_path, [LAST])
    assert stored(tmp_path) == Span(FIRST)


def test_import_of_older_listens_moves_the_first_day_back(tmp_path: Path) -> None:
    widen(tmp_path, [FIRST])
    widen(tmp_path, [date(2010, 1, 1), LAST])
    assert stored(tmp_path) == Span(date(2010, 1, 1), LAST)


def test_records_without_a_date_do_not_move_the_first_day(tmp_path: Path) -> None:
    widen(tmp_path, [FIRST])
    widen(tmp_path, [UNDATED])
    assert stored(tmp_path) == Span(FIRST, FIRST)


def test_listens_of_the_earliest_day_count(tmp_path: Path) -> None:
    widen(tmp_path, [FIRST])
    widen(tmp_path, [FIRST_DAY])
    assert stored(tmp_path) == Span(FIRST_DAY, FIRST)


def test_newer_import_moves_the_last_day_of_an_ended_history(tmp_path: Path) -> None:
    store(tmp_path, Span(FIRST, LAST))
    widen(tmp_path, [date(2025, 10, 1)])
    assert stored(tmp_path) == Span(FIRST, date(2025, 10, 1))


def test_span_holds_another_only_if_it_has_all_its_days() -> None:
    assert Span(EVER).holds(Span(FIRST, LAST)) and Span(FIRST).holds(Span(FIRST, LAST))
    assert not Span(FIRST).holds(Span(EVER))
    assert not Span(FIRST, LAST).holds(Span(FIRST)) and not Span(FIRST, FIRST).holds(Span(FIRST, LAST))
