"""Scans read the rows of a range of dates, and divide into shares that together are the table."""

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.frames.frame import Engine
from resources.frames.scan import Scan
from tests.tables import LEAP

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


def numbers(table: pa.Table) -> list[int]:
    found: list[int] = table["n"].to_pylist()
    return found


def test_only_the_dates_wanted_are_read_both_ends_included(tmp_path: Path) -> None:
    files = write(tmp_path, [9, 9])
    assert numbers(Scan(files, ROWS).table()) == list(range(18))
    days = Scan(files, ROWS, "day", LEAP + timedelta(days=2), LEAP + timedelta(days=3))
    assert numbers(days.table()) == [6, 7, 8, 9, 10, 11]
    assert numbers(Scan(files, ROWS, "day", date(2000, 1, 1), date(2000, 1, 2)).table()) == []


def test_rows_are_found_by_date_also_where_the_date_is_not_wanted(tmp_path: Path) -> None:
    few = Scan(write(tmp_path, [9]), ROWS, "day", LEAP, LEAP).select(["n"])
    assert few.table().column_names == ["n"]
    assert numbers(few.table()) == [0, 1, 2]
    assert [numbers(s.table()) for s in few.split()] == [[0, 1, 2]]


def test_no_files_are_no_rows() -> None:
    scan = Scan([], ROWS, "day", LEAP, LEAP)
    assert scan.table().schema == ROWS
    assert len(scan.table()) == 0
    assert list(scan.split()) == []


def test_columns_added_since_are_null(tmp_path: Path) -> None:
    more = ROWS.append(pa.field("mood", pa.string()))
    scan = Scan(write(tmp_path, [2]), more, "day", LEAP, LEAP)
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
    for scan in (Scan(files, more), Scan(files, more, "day", LEAP, LEAP)):
        found = engine.read(scan).collect(more).sort_by("n")
        assert found.to_pydict() == {"day": [LEAP] * 3, "n": [0, 1, 9], "mood": [None, None, "good"]}


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
    (share,) = Scan(write(tmp_path, [9]), ROWS, "day", LEAP + timedelta(days=1), LEAP + timedelta(days=1)).split()
    assert share.table(["n"]).to_pydict() == {"n": [3, 4, 5]}
    assert share.table([]).num_rows == 3
