"""A commit a day leaves dozens of files, never changes a row, and does not get slower as history grows."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import resources.lake.compaction
from resources.frames.filters import RangeFilter
from resources.lake import write_transaction
from resources.lake.compaction import FAN, files_to_merge
from resources.lake.lake import Lake
from tests.examples import examples
from tests.tables import LEAP

THINGS = pa.schema([("day", pa.date32()), ("name", pa.string())])
TABLE = "events/things"
ORDER = ["day", "name"]
DAYS = [LEAP + timedelta(days=n) for n in range(8)]
MAX_ROWS = 1_000


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


@pytest.fixture
def small_files() -> Iterator[None]:
    """Merge three files of a size class, into files of up to nine rows."""
    with (
        patch.object(resources.lake.compaction, "FAN", 3),
        patch.object(write_transaction, "GROUP_ROWS", 9),
        patch.object(write_transaction, "FILE_ROWS", 20),
    ):
        yield


def put(lake: Lake, name: str, days: dict[date, int], where: RangeFilter | None = None) -> None:
    """Replace days, or the whole table, with this number of rows per day."""
    rows = [{"day": day, "name": f"{name}-{n}"} for day, count in days.items() for n in range(count)]
    lake.replace(TABLE, iter([pa.Table.from_pylist(rows, THINGS)]), THINGS, where, ORDER)


def stored(lake: Lake, **which: Any) -> list[tuple[date, str]]:
    return sorted((r["day"], r["name"]) for r in lake.scan(TABLE, THINGS, **which).table().to_pylist())


def sizes(lake: Lake) -> list[int]:
    return [pq.read_metadata(f).num_rows for f in lake.scan(TABLE, THINGS).files]


# Which files are merged


def test_few_files_are_not_merged() -> None:
    assert files_to_merge([5] * (FAN - 1), MAX_ROWS) == []
    assert files_to_merge([5] * (FAN - 1) + [50] * (FAN - 1) + [450] * (FAN - 1), MAX_ROWS) == []


def test_ten_files_of_a_class_are_merged_with_all_smaller_ones() -> None:
    rows = [50, 5, *[50] * (FAN - 1), 500, 5]
    assert files_to_merge(rows, MAX_ROWS) == [n for n, size in enumerate(rows) if size < 100]


def test_file_with_more_than_half_of_the_rows_is_never_copied() -> None:
    assert files_to_merge([501, 999, 1_000, 5_000] * FAN, MAX_ROWS) == []


@given(st.lists(st.integers(1, 2 * MAX_ROWS), max_size=60))
def test_merged_files_fit_into_one_file(rows: list[int]) -> None:
    chosen = files_to_merge(rows, MAX_ROWS)
    assert len(chosen) != 1
    assert len(set(chosen)) == len(chosen)
    assert sum(rows[n] for n in chosen) <= MAX_ROWS


@given(st.lists(st.integers(1, 400), min_size=200, max_size=200))
def test_file_a_day_leaves_dozens_and_copies_rows_a_few_times(days: list[int]) -> None:
    """For any days there are at most nine small files per number of digits, beside the full ones."""
    files: list[int] = []
    copied = 0
    for rows in days:
        files.append(rows)
        chosen = files_to_merge(files, MAX_ROWS)
        merged = sum(files[n] for n in chosen)
        copied += merged
        files = [size for n, size in enumerate(files) if n not in chosen] + [merged] * bool(merged)
        assert sum(size <= MAX_ROWS // 2 for size in files) <= 3 * (FAN - 1)
    assert copied <= 3 * sum(days)


# In the lake


@pytest.mark.slow
@pytest.mark.usefixtures("small_files")
def test_commit_a_day_leaves_few_files_in_the_order_of_days(lake: Lake) -> None:
    days = [LEAP + timedelta(days=n) for n in range(60)]
    for n, day in enumerate(days):
        put(lake, "a", {day: 1}, RangeFilter("day", day, day))
        assert stored(lake) == [(d, "a-0") for d in days[: n + 1]]
    assert sorted(sizes(lake))[-6:] == [9] * 6
    assert len(sizes(lake)) <= 6 + 2 * 2
    assert lake.version(TABLE) == len(days)  # merging is part of the commit
    assert all(len(lake.scan(TABLE, THINGS, RangeFilter("day", day, day)).files) == 1 for day in days)


@pytest.mark.usefixtures("small_files")
def test_table_without_an_order_is_merged_too(lake: Lake) -> None:
    for n, day in enumerate(DAYS):
        lake.replace(
            TABLE,
            iter([pa.Table.from_pylist([{"day": day, "name": str(n)}], THINGS)]),
            THINGS,
            RangeFilter("day", day, day),
        )
    assert stored(lake) == [(day, str(n)) for n, day in enumerate(DAYS)]
    assert len(sizes(lake)) < len(DAYS)


@pytest.mark.slow
@pytest.mark.usefixtures("small_files")
def test_existing_small_files_are_merged_commit_by_commit(lake: Lake) -> None:
    with patch.object(write_transaction, "files_to_merge", return_value=[]):
        for n in range(40):
            put(lake, "old", {LEAP + timedelta(days=n): 1}, RangeFilter("day", LEAP + timedelta(days=n), date.max))
    assert len(sizes(lake)) == 40
    before = stored(lake)
    for _ in range(6):
        put(lake, "new", {DAYS[0]: 1}, RangeFilter("day", DAYS[0], DAYS[0]))
    assert len(sizes(lake)) < 12
    assert stored(lake) == [(DAYS[0], "new-0"), *before[1:]]


def test_file_that_only_spans_the_replaced_day_is_not_copied(lake: Lake) -> None:
    """Tables of imports have such files: sorted by day, but replaced by import."""
    put(lake, "a", {DAYS[0]: 1, DAYS[7]: 1}, None)
    before = lake.scan(TABLE, THINGS).files
    put(lake, "b", {DAYS[3]: 1}, RangeFilter("day", DAYS[3], DAYS[3]))
    assert set(before) < set(lake.scan(TABLE, THINGS).files)


def test_rows_without_a_day_stay_when_a_day_is_replaced(lake: Lake) -> None:
    """Regression: rows without a day were neither inside nor outside the replaced days, and were lost."""
    rows = [{"day": None, "name": "undated"}, {"day": DAYS[0], "name": "old"}, {"day": DAYS[1], "name": "old"}]
    lake.replace(TABLE, iter([pa.Table.from_pylist(rows, THINGS)]), THINGS)
    put(lake, "new", {DAYS[0]: 1}, RangeFilter("day", DAYS[0], DAYS[0]))
    put(lake, "new", {DAYS[1]: 1}, RangeFilter("day", DAYS[1], DAYS[1]))
    rows_left = {(r["day"], r["name"]) for r in lake.scan(TABLE, THINGS).table().to_pylist()}
    assert rows_left == {(None, "undated"), (DAYS[0], "new-0"), (DAYS[1], "new-0")}
    put(lake, "newer", {DAYS[0]: 1}, RangeFilter("day", DAYS[0], DAYS[0]))
    assert len(lake.scan(TABLE, THINGS).table()) == 3


spans = st.tuples(st.integers(0, 7), st.integers(0, 2)).map(lambda s: (s[0], min(7, s[0] + s[1])))
replacements = st.tuples(spans, st.dictionaries(st.integers(0, 7), st.integers(1, 4), max_size=4))


@examples(25)
@given(work=st.lists(st.one_of(replacements, st.sampled_from([30, 0])), min_size=1, max_size=16))
@pytest.mark.usefixtures("small_files")
def test_any_replacements_and_vacuums_equal_a_dictionary_of_days(
    work: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    model: dict[date, list[str]] = {}
    versions = {0: set[tuple[date, str]]()}
    for n, step in enumerate(work):
        if isinstance(step, int):
            if lake.exists(TABLE):
                removed = lake.vacuum(TABLE, keep_days=step)
                assert step == 0 or removed.files == 0
            if step == 0:  # only the newest version stays
                versions = {v: names for v, names in versions.items() if v == max(versions)}
            continue
        (first, last), counts = step
        span = RangeFilter("day", DAYS[first], DAYS[last])
        days = {DAYS[day]: count for day, count in counts.items() if first <= day <= last}
        put(lake, str(n), days, span)
        model |= {DAYS[day]: [] for day in range(first, last + 1)}
        model |= {day: [f"{n}-{i}" for i in range(count)] for day, count in days.items()}
        versions[max(versions) + 1] = {(day, name) for day, names in model.items() for name in names}
        assert stored(lake) == sorted(versions[max(versions)])
    for version, expected in versions.items():
        assert stored(lake, version=version) == sorted(expected)
    for day in DAYS:
        span = RangeFilter("day", day, day)
        assert [name for _, name in stored(lake, where=span)] == sorted(model.get(day, []))
    small = [rows for rows in sizes(lake) if rows <= 4] if lake.exists(TABLE) else []
    assert len(small) <= 2 * 2 + 4  # two per size class, and those of the last commit
