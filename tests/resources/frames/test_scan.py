"""Scans read the rows of a range of dates, and divide into shares that together are the table."""

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
    """Numbered rows, three a day."""
    return pa.table(
        {"day": [LEAP + timedelta(days=n // 3) for n in range(first, first + count)], "n": range(first, first + count)},
        ROWS,
    )


def write(folder: Path, sizes: list[int], group: int = 4) -> list[str]:
    """Files of so many rows, in row groups of `group`."""
    files, first = [], 0
    for i, size in enumerate(sizes):
        files.append(str(folder / f"{i}.parquet"))
        pq.write_table(rows(first, size), files[-1], row_group_size=group)
        first += size
    return files


def days(first: int, last: int) -> RangeFilter:
    """Days by their number."""
    return RangeFilter("day", LEAP + timedelta(days=first), LEAP + timedelta(days=last))


def numbers(table: pa.Table) -> list[int]:
    found: list[int] = table["n"].to_pylist()
    return found


def test_only_the_dates_wanted_are_read_both_ends_included(tmp_path: Path) -> None:
    files = write(tmp_path, [9, 9])
    assert numbers(Scan(files, ROWS).table()) == list(range(18))
    assert numbers(Scan(files, ROWS, days(2, 3)).table()) == [6, 7, 8, 9, 10, 11]
    assert numbers(Scan(files, ROWS, RangeFilter("day", date(2000, 1, 1), date(2000, 1, 2))).table()) == []


def test_rows_are_found_by_date_also_where_the_date_is_not_wanted(tmp_path: Path) -> None:
    few = Scan(write(tmp_path, [9]), ROWS, days(0, 0)).select(["n"])
    assert few.table().column_names == ["n"]
    assert numbers(few.table()) == [0, 1, 2]
    assert [numbers(s.table()) for s in few.split()] == [[0, 1, 2]]


def test_no_files_are_no_rows() -> None:
    scan = Scan([], ROWS, days(0, 0))
    assert scan.table().schema == ROWS
    assert len(scan.table()) == 0
    assert list(scan.split()) == []


def test_columns_added_since_are_null(tmp_path: Path) -> None:
    more = ROWS.append(pa.field("mood", pa.string()))
    scan = Scan(write(tmp_path, [2]), more, days(0, 0))
    assert scan.table()["mood"].to_pylist() == [None, None]
    assert [s.table()["mood"].to_pylist() for s in scan.split()] == [[None, None]]
    assert [s.table(["mood"]).to_pydict() for s in scan.split()] == [{"mood": [None, None]}]


@pytest.mark.parametrize("newest", ["first", "last"])
def test_old_and_new_files_are_read_together_on_every_engine(engine: Engine, newest: str, tmp_path: Path) -> None:
    more = ROWS.append(pa.field("mood", pa.string()))
    (old,) = write(tmp_path, [2])
    new = str(tmp_path / "new.parquet")
    pq.write_table(
        pa.table({"mood": ["good"], "n": [9], "day": [LEAP]}, pa.schema([more.field(i) for i in (2, 1, 0)])), new
    )
    files = [new, old] if newest == "first" else [old, new]
    for scan in (Scan(files, more), Scan(files, more, days(0, 0))):
        found = engine.read(scan).collect(more).sort_by("n")
        assert found.to_pydict() == {"day": [LEAP] * 3, "n": [0, 1, 9], "mood": [None, None, "good"]}


NAMED = pa.schema([("day", pa.date32()), ("name", pa.string()), ("n", pa.int64()), ("at", pa.timestamp("us", "UTC"))])


@pytest.mark.parametrize(
    ("filter", "wanted"),
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
def test_every_engine_reads_only_the_rows_that_match_the_filter(
    engine: Engine, filter: RangeFilter, wanted: list[int], tmp_path: Path
) -> None:
    """Also if the column filtered by is not wanted; a row without a value never matches."""
    rows = [
        {"day": LEAP + timedelta(days=n), "name": name, "n": n, "at": at(LEAP, n)}
        for n, name in enumerate(["a", "b", "c", "d", "it's"])
    ]
    files = [str(tmp_path / "some.parquet"), str(tmp_path / "rest.parquet")]
    pq.write_table(pa.Table.from_pylist([*rows[:3], dict.fromkeys(NAMED.names)], NAMED), files[0])
    pq.write_table(pa.Table.from_pylist(rows[3:], NAMED), files[1])
    scan = Scan(files, NAMED, filter)
    assert sorted(engine.read(scan).collect(NAMED)["n"].to_pylist()) == wanted
    assert engine.read(scan.select(["n"])).columns == ["n"]
    names = engine.read(scan).select("name").collect()
    assert sorted(names["name"].to_pylist()) == [rows[n]["name"] for n in wanted]
    other = "n" if filter.column == "name" else "name"
    assert len(engine.read(scan.select([other])).collect()) == scan.dataset().count_rows() == len(wanted)


@given(sizes=st.lists(st.integers(1, 30), max_size=4), share=st.integers(1, 40))
def test_shares_are_the_table_each_row_once(
    sizes: list[int], share: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scan = Scan(write(tmp_path_factory.mktemp("scan"), sizes), ROWS)
    shares = [numbers(s.table()) for s in scan.split(share)]
    assert [n for s in shares for n in s] == list(range(sum(sizes)))
    assert all(len(s) < share + 4 for s in shares)  # a share ends with the row group that fills it
    assert len(shares) <= sum(size // share + 1 for size in sizes)


def test_a_share_reads_only_the_columns_asked_for(tmp_path: Path) -> None:
    (share,) = Scan(write(tmp_path, [9]), ROWS, days(1, 1)).split()
    assert share.table(["n"]).to_pydict() == {"n": [3, 4, 5]}
    assert share.table([]).num_rows == 3
