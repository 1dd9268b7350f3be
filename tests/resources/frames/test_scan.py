"""Scans read the rows of a range of dates, and divide into parts that together are the table."""

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.frames.filters import RangeFilter, ValuesFilter
from resources.frames.frame import Engine
from resources.frames.scan import Scan
from tests.tables import LEAP, at

ROWS = pa.schema([("day", pa.date32()), ("n", pa.int64())])


def rows(first: int, count: int) -> pa.Table:
    """Return numbered rows, three a day."""
    return pa.table(
        {"day": [LEAP + timedelta(days=n // 3) for n in range(first, first + count)], "n": range(first, first + count)},
        ROWS,
    )


def write(folder: Path, sizes: list[int], group: int = 4) -> list[str]:
    """Write files with these numbers of rows, in row groups of `group`, and return their paths."""
    files, first = [], 0
    for i, size in enumerate(sizes):
        files.append(str(folder / f"{i}.parquet"))
        pq.write_table(rows(first, size), files[-1], row_group_size=group)
        first += size
    return files


def days(first: int, last: int) -> RangeFilter:
    """Return a filter of days by their number."""
    return RangeFilter("day", LEAP + timedelta(days=first), LEAP + timedelta(days=last))


def numbers(table: pa.Table) -> list[int]:
    values: list[int] = table["n"].to_pylist()
    return values


def test_range_filter_includes_both_ends(tmp_path: Path) -> None:
    files = write(tmp_path, [9, 9])
    assert numbers(Scan(files, ROWS).table()) == list(range(18))
    assert numbers(Scan(files, ROWS, days(2, 3)).table()) == [6, 7, 8, 9, 10, 11]
    assert numbers(Scan(files, ROWS, RangeFilter("day", date(2000, 1, 1), date(2000, 1, 2))).table()) == []


def test_filters_by_date_without_reading_the_date_column(tmp_path: Path) -> None:
    few = Scan(write(tmp_path, [9]), ROWS, days(0, 0)).select(["n"])
    assert few.table().column_names == ["n"]
    assert numbers(few.table()) == [0, 1, 2]
    assert [numbers(s.table()) for s in few.split()] == [[0, 1, 2]]


def test_scan_without_files_has_no_rows() -> None:
    scan = Scan([], ROWS, days(0, 0))
    assert scan.table().schema == ROWS
    assert len(scan.table()) == 0
    assert list(scan.split()) == []


def test_columns_added_later_are_null(tmp_path: Path) -> None:
    more = ROWS.append(pa.field("mood", pa.string()))
    scan = Scan(write(tmp_path, [2]), more, days(0, 0))
    assert scan.table()["mood"].to_pylist() == [None, None]
    assert [s.table()["mood"].to_pylist() for s in scan.split()] == [[None, None]]
    assert [s.table(["mood"]).to_pydict() for s in scan.split()] == [{"mood": [None, None]}]


@pytest.mark.parametrize("newest", ["first", "last"])
def test_files_with_old_and_new_columns_are_read_together(engine: Engine, newest: str, tmp_path: Path) -> None:
    more = ROWS.append(pa.field("mood", pa.string()))
    (old,) = write(tmp_path, [2])
    new = str(tmp_path / "new.parquet")
    pq.write_table(
        pa.table({"mood": ["good"], "n": [9], "day": [LEAP]}, pa.schema([more.field(i) for i in (2, 1, 0)])), new
    )
    files = [new, old] if newest == "first" else [old, new]
    for scan in (Scan(files, more), Scan(files, more, days(0, 0))):
        result = engine.read(scan).collect(more).sort_by("n")
        assert result.to_pydict() == {"day": [LEAP] * 3, "n": [0, 1, 9], "mood": [None, None, "good"]}


NAMED = pa.schema([("day", pa.date32()), ("name", pa.string()), ("n", pa.int64()), ("at", pa.timestamp("us", "UTC"))])


@pytest.mark.parametrize(
    ("condition", "matching"),
    [
        (days(0, 1), [0, 1]),
        (RangeFilter("name", "b", "c"), [1, 2]),
        (RangeFilter("n", 2, 4), [2, 3, 4]),
        (RangeFilter("at", at(LEAP, 1), at(LEAP, 2)), [1, 2]),
        (RangeFilter("name", "it's", "it's"), [4]),
        (ValuesFilter.of("day", [LEAP, LEAP + timedelta(days=2)]), [0, 2]),
        (ValuesFilter.of("name", ["a", "c", "z"]), [0, 2]),
        (ValuesFilter.of("n", [1, 4, 9]), [1, 4]),
        (ValuesFilter.of("n", [9]), []),
    ],
    ids=str,
)
def test_engine_reads_only_rows_that_match_the_filter(
    engine: Engine, condition: RangeFilter, matching: list[int], tmp_path: Path
) -> None:
    """It also works if the filter's column is not read; a row without a value never matches."""
    rows = [
        {"day": LEAP + timedelta(days=n), "name": name, "n": n, "at": at(LEAP, n)}
        for n, name in enumerate(["a", "b", "c", "d", "it's"])
    ]
    files = [str(tmp_path / "some.parquet"), str(tmp_path / "rest.parquet")]
    pq.write_table(pa.Table.from_pylist([*rows[:3], dict.fromkeys(NAMED.names)], NAMED), files[0])
    pq.write_table(pa.Table.from_pylist(rows[3:], NAMED), files[1])
    scan = Scan(files, NAMED, condition)
    assert sorted(engine.read(scan).collect(NAMED)["n"].to_pylist()) == matching
    assert engine.read(scan.select(["n"])).columns == ["n"]
    names = engine.read(scan).select("name").collect()
    assert sorted(names["name"].to_pylist()) == [rows[n]["name"] for n in matching]
    other = "n" if condition.column == "name" else "name"
    assert len(engine.read(scan.select([other])).collect()) == scan.dataset().count_rows() == len(matching)


@given(sizes=st.lists(st.integers(1, 30), max_size=4), part_rows=st.integers(1, 40))
def test_parts_contain_each_row_of_the_table_once(
    sizes: list[int], part_rows: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scan = Scan(write(tmp_path_factory.mktemp("scan"), sizes), ROWS)
    parts = [numbers(part.table()) for part in scan.split(part_rows)]
    assert [n for part in parts for n in part] == list(range(sum(sizes)))
    assert all(len(part) < part_rows + 4 for part in parts)  # a part ends with the row group that fills it
    assert len(parts) <= sum(size // part_rows + 1 for size in sizes)


def test_part_reads_only_the_requested_columns(tmp_path: Path) -> None:
    (part,) = Scan(write(tmp_path, [9]), ROWS, days(1, 1)).split()
    assert part.table(["n"]).to_pydict() == {"n": [3, 4, 5]}
    assert part.table([]).num_rows == 3
