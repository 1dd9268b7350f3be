"""The lake replaces slices of tables atomically, with concurrent writers and readers."""

import multiprocessing
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError
from hypothesis import given
from hypothesis import strategies as st

import resources.lake.delta_table
from resources.errors import TuttiError
from resources.frames.filters import RangeFilter, ValuesFilter
from resources.frames.frame import Engine
from resources.lake import write_transaction
from resources.lake.delta_table import open_table
from resources.lake.lake import Lake
from resources.schema import column
from tests.examples import examples
from tests.oracle import Row, assert_same
from tests.resources.lake.things import EVENTS, TABLE, as_tables, event, events, only, replace_days
from tests.tables import BEYOND, LEAP, at

DAYS = [LEAP + timedelta(days=n) for n in range(8)]


def stored(lake: Lake, **which: Any) -> list[Row]:
    rows = lake.scan(TABLE, EVENTS, **which).table().to_pylist()
    return sorted(rows, key=lambda r: (r["day"], r["name"] or ""))


def names(lake: Lake, **which: Any) -> list[str]:
    return [r["name"] for r in stored(lake, **which)]


ON_DISK = pytest.mark.parametrize("lake", ["disk"], indirect=True)  # a bucket would cost much and prove little


@pytest.fixture(params=["disk", pytest.param("bucket", marks=pytest.mark.process)])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    return Lake(tmp_path if request.param == "disk" else request.getfixturevalue("bucket"))


@pytest.fixture
def small_files() -> Iterator[None]:
    """Make files of five rows in groups of two, so that few rows fill many files."""
    with (
        patch.object(write_transaction, "FILE_ROWS", 5),
        patch.object(write_transaction, "GROUP_ROWS", 2),
    ):
        yield


# Commits


def test_write_is_one_commit_on_every_engine(engine: Engine, lake: Lake) -> None:
    rows = [event(day, name) for day in DAYS for name in "abc"]
    first = lake.replace(TABLE, engine.from_arrow(events(*rows)), EVENTS, only(DAYS[0], DAYS[-1]), ["day", "name"])
    again = lake.replace(
        TABLE, engine.from_arrow(events(event(DAYS[2], "new"))), EVENTS, only(DAYS[2]), ["day", "name"]
    )
    assert (first.version, first.rows) == (1, 24)  # version 0 is the table without rows
    assert (again.version, again.rows, len(again.files)) == (2, 1, 1)
    assert stored(lake) == sorted([*(r for r in rows if r["day"] != DAYS[2]), event(DAYS[2], "new")], key=str)


def test_every_engine_reads_exactly_the_written_rows(engine: Engine, lake: Lake) -> None:
    rows = [
        event(day, name, at=at(day, 0, 1), n=BEYOND, x=0.1, ok=True, tags=["é", ""]) for day in DAYS for name in "ab"
    ]
    with patch.object(write_transaction, "FILE_ROWS", 5):
        lake.replace(TABLE, as_tables(*rows, event(DAYS[0], None)), EVENTS, order=["day"])
    inside = [r for r in rows if DAYS[1] <= r["day"] <= DAYS[3]]
    scan = lake.scan(TABLE, EVENTS, only(DAYS[1], DAYS[3]))
    assert_same(engine.read(scan).collect(EVENTS), inside, EVENTS)
    assert_same(engine.read(lake.scan(TABLE, EVENTS)).collect(EVENTS), [*rows, event(DAYS[0], None)], EVENTS)
    undated = pa.schema([EVENTS.field("n"), EVENTS.field("name")])  # without the column of the filter
    assert_same(engine.read(scan.select(["n", "name"])).collect(undated), inside, undated)
    assert engine.read(scan).select("name").columns == ["name"]


def test_table_that_was_never_written_has_no_rows(engine: Engine, lake: Lake) -> None:
    assert not lake.exists(TABLE)
    rows = engine.read(lake.scan(TABLE, EVENTS, only(LEAP)))
    assert rows.columns == EVENTS.names
    assert rows.collect(EVENTS).num_rows == 0
    assert not lake.exists(TABLE)


def test_writing_no_rows_empties_the_slice(engine: Engine, lake: Lake) -> None:
    lake.replace(TABLE, as_tables(event(DAYS[0]), event(DAYS[1])), EVENTS)
    written = lake.replace(TABLE, engine.from_arrow(events()), EVENTS, only(DAYS[0]))
    assert (written.rows, written.files) == (0, ())
    assert stored(lake) == [event(DAYS[1])]
    lake.replace(TABLE, engine.from_arrow(events()), EVENTS)
    assert stored(lake) == []


def test_readers_see_the_old_version_until_the_commit(lake: Lake) -> None:
    lake.replace(TABLE, as_tables(event(LEAP, "old")), EVENTS)
    seen: list[list[str]] = []

    def rows() -> Iterator[pa.Table]:
        for name in ("new", "newer"):
            yield events(event(LEAP, name))
            seen.append(names(lake))

    with lake.writing(TABLE, EVENTS) as draft:
        draft.write(rows())
        seen.append(names(lake))
        draft.publish(only(LEAP))
    assert seen == [["old"]] * 3
    assert names(lake) == ["new", "newer"]


def test_scan_opened_before_a_commit_keeps_its_rows(lake: Lake) -> None:
    lake.replace(TABLE, as_tables(event(LEAP, "old")), EVENTS)
    scan = lake.scan(TABLE, EVENTS)
    lake.replace(TABLE, as_tables(event(LEAP, "new")), EVENTS)
    assert scan.table()["name"].to_pylist() == ["old"]


def test_any_version_can_be_read(lake: Lake) -> None:
    for n, day in enumerate([*DAYS[:3], *DAYS[:3]]):
        lake.replace(TABLE, as_tables(event(day, str(n))), EVENTS, only(day))
    assert [names(lake, version=v) for v in range(7)] == [
        [],
        ["0"],
        ["0", "1"],
        ["0", "1", "2"],
        ["3", "1", "2"],
        ["3", "4", "2"],
        ["3", "4", "5"],
    ]


# Slices


def test_replacing_a_day_keeps_the_other_days_of_its_file(lake: Lake) -> None:
    rows = [event(day, name) for day in DAYS for name in "abc"]
    lake.replace(TABLE, as_tables(*rows), EVENTS, order=["day", "name"])
    assert len(lake.scan(TABLE, EVENTS).files) == 1
    lake.replace(TABLE, as_tables(event(DAYS[3], "new")), EVENTS, only(DAYS[3]), ["day", "name"])
    assert stored(lake) == sorted([*(r for r in rows if r["day"] != DAYS[3]), event(DAYS[3], "new")], key=str)


spans = st.tuples(st.integers(0, 7), st.integers(0, 2)).map(lambda s: (s[0], min(7, s[0] + s[1])))


@examples(15)
@given(writes=st.lists(st.tuples(spans, st.lists(st.integers(0, 7), max_size=12)), min_size=1, max_size=6))
@pytest.mark.usefixtures("small_files")
def test_any_replacements_equal_a_dictionary_of_days(
    writes: list[tuple[tuple[int, int], list[int]]], pandas: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    model: dict[date, list[str]] = {}
    versions = []
    for n, ((first, last), days) in enumerate(writes):
        rows = [event(DAYS[d], f"{n}-{i}") for i, d in enumerate(days) if first <= d <= last]
        lake.replace(TABLE, pandas.from_arrow(events(*rows)), EVENTS, only(DAYS[first], DAYS[last]), ["day", "name"])
        for day in range(first, last + 1):
            model[DAYS[day]] = [r["name"] for r in rows if r["day"] == DAYS[day]]
        versions.append({(day, name) for day, pairs in model.items() for name in pairs})
    for version, expected in enumerate(versions, start=1):
        pairs = [(r["day"], r["name"]) for r in stored(lake, version=version)]
        assert len(pairs) == len(expected)
        assert set(pairs) == expected
    for day in DAYS:
        assert sorted(r["name"] for r in stored(lake, where=only(day))) == sorted(model.get(day, []))


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize(
    ("days", "order", "sizes"),
    [(8, ["day", "name"], [3] * 7 + [2]), (1, ["day", "name"], [5] * 4 + [3]), (8, ["name"], [5] * 4 + [3])],
    ids=["short days", "one long day", "not by day"],
)
def test_files_are_sorted_and_have_bounded_numbers_of_rows(
    days: int, order: list[str], sizes: list[int], lake: Lake
) -> None:
    """A file has at most five rows, and ends with a day if it has at least two."""
    rows = [event(DAYS[n % days], str(n)) for n in range(23)]
    random.Random(1).shuffle(rows)
    written = lake.replace(TABLE, iter([events(*rows[:4]), events(), events(*rows[4:])]), EVENTS, order=order)
    files = [pq.read_table((lake.root / TABLE / f).open()) for f in written.files]
    assert [len(f) for f in files] == sizes
    assert all(f.equals(f.sort_by([(c, "ascending") for c in order])) for f in files)
    assert written.rows == 23
    assert written.bytes == sum((lake.root / TABLE / f).open().size() for f in written.files)


def test_other_columns_than_days_can_slice_a_table(lake: Lake) -> None:
    lake.replace(TABLE, as_tables(event(LEAP, "a"), event(LEAP, "b"), event(LEAP, "c")), EVENTS)
    lake.replace(TABLE, as_tables(event(LEAP, "b", n=2)), EVENTS, RangeFilter("name", "b", "b"))
    assert [(r["name"], r["n"]) for r in stored(lake)] == [("a", 1), ("b", 2), ("c", 1)]


# Refusals


@examples(15)
@given(
    writes=st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3), min_size=1), min_size=1, max_size=5)
)
@pytest.mark.usefixtures("small_files")
def test_rows_of_several_values_are_replaced_in_one_commit(
    tmp_path_factory: pytest.TempPathFactory, writes: list[dict[str, int]]
) -> None:
    lake, expected = Lake(tmp_path_factory.mktemp("lake")), dict[str, int]()
    for commit, write in enumerate(writes, start=1):
        new = [event(DAYS[k], name) for name, n in write.items() for k in range(n)]
        written = lake.replace(TABLE, as_tables(*new), EVENTS, ValuesFilter.of("name", write), ("name",))
        expected |= write
        assert written.version == commit
        assert sorted(names(lake)) == sorted(name for name, n in expected.items() for _ in range(n))


def assert_refused(lake: Lake, write: Callable[[], Any], match: str = "cannot write these rows") -> None:
    """Assert that the write is refused and the table stays at its version."""
    before = lake.version(TABLE), stored(lake)
    with pytest.raises(TuttiError, match=match) as refused:
        write()
    assert (lake.version(TABLE), stored(lake)) == before
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("stray", [DAYS[0], DAYS[2], None], ids=["earlier", "later", "without a day"])
def test_rows_outside_the_slice_are_refused(engine: Engine, lake: Lake, stray: date | None) -> None:
    lake.replace(TABLE, as_tables(event(DAYS[0], "old"), event(DAYS[1], "old")), EVENTS)
    rows = pa.Table.from_pylist(
        [event(DAYS[1]), event(stray)], EVENTS.remove(0).insert(0, pa.field("day", pa.date32()))
    )
    assert_refused(
        lake,
        lambda: lake.replace(TABLE, engine.from_arrow(rows), EVENTS, only(DAYS[1])),
        "replaces only 2024-02-29 to 2024-02-29",
    )


@pytest.mark.parametrize(
    "wrong",
    [pa.array([1.5]), pa.array([1e300]), pa.array([float("nan")]), pa.array(["one"])],
    ids=["a fraction", "out of range", "no number", "text"],
)
def test_values_that_do_not_fit_their_column_are_refused(engine: Engine, lake: Lake, wrong: pa.Array) -> None:
    lake.replace(TABLE, as_tables(event(LEAP, "old")), EVENTS)
    rows = events(event(LEAP)).set_column(3, "n", wrong)
    assert_refused(lake, lambda: lake.replace(TABLE, engine.from_arrow(rows), EVENTS))


def test_rows_without_declared_columns_are_refused(engine: Engine, lake: Lake) -> None:
    lake.replace(TABLE, as_tables(event(LEAP, "old")), EVENTS)
    rows = engine.from_arrow(events(event(LEAP)).drop_columns(["name", "n"]))
    assert_refused(lake, lambda: lake.replace(TABLE, rows, EVENTS), r"\['name', 'n'\]")


def test_columns_are_cast_without_loss_and_reordered(engine: Engine, lake: Lake) -> None:
    rows = events(event(LEAP)).set_column(3, "n", pa.array([2.0])).select(EVENTS.names[::-1])
    lake.replace(TABLE, engine.from_arrow(rows), EVENTS)
    assert stored(lake) == [event(LEAP, n=2)]


def test_column_can_be_added(engine: Engine, lake: Lake) -> None:
    lake.replace(TABLE, as_tables(event(DAYS[0]), event(DAYS[1])), EVENTS)
    more = EVENTS.append(column("mood", pa.string(), "how it felt", null=True))
    assert engine.read(lake.scan(TABLE, more)).collect(more)["mood"].to_pylist() == [None, None]
    new = pa.Table.from_pylist([event(DAYS[1]) | {"mood": "good"}], more)
    lake.replace(TABLE, iter([new]), more, only(DAYS[1]))
    rows = engine.read(lake.scan(TABLE, more)).collect(more)
    assert dict(zip(rows["day"].to_pylist(), rows["mood"].to_pylist(), strict=True)) == {DAYS[0]: None, DAYS[1]: "good"}
    assert engine.read(lake.scan(TABLE, more, only(DAYS[0]))).collect(more)["mood"].to_pylist() == [None]
    assert len(stored(lake, version=1)) == 2
    assert open_table(lake.root / TABLE).to_pyarrow_table()["mood"].null_count == 1


def test_column_that_two_writers_add_at_once_is_added_once(lake: Lake) -> None:
    lake.replace(TABLE, as_tables(event(DAYS[0])), EVENTS)
    more = EVENTS.append(column("mood", pa.string(), "how it felt", null=True))
    open_table, late = resources.lake.delta_table.open_table, True

    def put(day: date) -> None:
        lake.replace(TABLE, iter([pa.Table.from_pylist([event(day) | {"mood": "good"}], more)]), more, only(day))

    def overtaken(folder: Path) -> DeltaTable:
        nonlocal late
        table = open_table(folder)
        if late:
            late = False
            put(DAYS[1])
        return table

    with patch.object(resources.lake.delta_table, "open_table", overtaken):
        put(DAYS[2])
    assert [r["mood"] for r in lake.scan(TABLE, more).table().sort_by("day").to_pylist()] == [None, "good", "good"]


def test_column_that_changes_its_type_is_refused(lake: Lake) -> None:
    lake.replace(TABLE, as_tables(event(LEAP)), EVENTS)
    other = EVENTS.set(3, column("n", pa.string(), "how often"))
    rows = pa.table([["x"] if f.name == "n" else c for f, c in zip(other, events(event(LEAP)), strict=True)], other)
    assert_refused(lake, lambda: lake.replace(TABLE, iter([rows]), other), r"\bn\b.* int64,.* string\.")


def test_table_with_columns_of_a_newer_version_is_not_cut(lake: Lake) -> None:
    lake.replace(TABLE, as_tables(event(LEAP)), EVENTS)
    older = EVENTS.remove(6)
    rows = events(event(LEAP)).select(older.names)
    assert_refused(lake, lambda: lake.replace(TABLE, iter([rows]), older), r"\['tags'\]")


# Other programs


def test_other_programs_read_rows_and_column_descriptions(lake: Lake) -> None:
    rows = [event(LEAP, name, at=at(LEAP, 1, 7), tags=["x"]) for name in "ab"]
    lake.replace(TABLE, as_tables(*rows), EVENTS)
    delta = open_table(lake.root / TABLE)
    assert delta.to_pyarrow_table().to_pylist() == rows
    assert {f.name: f.metadata["comment"] for f in delta.schema().fields} == {
        f.name: f.metadata[b"comment"].decode() for f in EVENTS
    }
    assert (delta.protocol().min_reader_version, delta.protocol().min_writer_version) == (1, 2)
    assert [h["operation"] for h in delta.history()] == ["WRITE", "CREATE TABLE"]


@pytest.mark.cluster
@pytest.mark.spark
def test_duckdb_and_spark_read_the_files_without_tutti(tmp_path: Path, spark: Engine, duckdb: Engine) -> None:
    lake = Lake(tmp_path)
    rows = [event(LEAP, name, at=at(LEAP, 1, 7), n=BEYOND) for name in "ab"]
    lake.replace(TABLE, as_tables(*rows), EVENTS)
    uris = open_table(lake.root / TABLE).file_uris()
    assert duckdb.db.read_parquet(uris).aggregate('count(*), max(n), max("at")').fetchall() == [
        (2, BEYOND, at(LEAP, 1, 7))
    ]
    assert_same(spark.session.read.parquet(*uris).toArrow(), rows, EVENTS)


def test_log_contains_the_bounds_of_a_file(lake: Lake) -> None:
    instants = (at(LEAP, 0, 1), at(LEAP, 0, 1_001), datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC))
    rows = [
        event(DAYS[1], "é", at=instants[0], n=BEYOND, x=-0.5, ok=True),
        event(DAYS[0], "a", at=instants[1], n=-BEYOND, x=1e300, ok=False),
        event(DAYS[2], None, at=instants[2], n=None, x=None),
    ]
    lake.replace(TABLE, as_tables(*rows), EVENTS)
    (stats,) = pa.table(open_table(lake.root / TABLE).get_add_actions(flatten=True)).to_pylist()
    bounds = {c: (stats.get(f"min.{c}"), stats.get(f"max.{c}")) for c in EVENTS.names}
    assert bounds["day"] == (DAYS[0], DAYS[2])
    assert bounds["name"] == ("a", "é")
    assert bounds["n"] == (-BEYOND, BEYOND)
    assert bounds["x"] == (-0.5, 1e300)
    assert bounds["tags"] == (None, None)
    earliest, latest = bounds["at"]
    assert earliest == datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC)  # outwards, to the millisecond
    assert latest == at(LEAP, 0, 2_000)
    assert stats["num_records"] == 3
    assert [stats[f"null_count.{c}"] for c in ("day", "name", "n", "x", "ok")] == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("x", [float("inf"), float("-inf"), -0.0, 5e-324])
def test_other_programs_find_odd_fractions(lake: Lake, x: float) -> None:
    """Regression: an infinite bound made the log unreadable."""
    lake.replace(TABLE, as_tables(event(LEAP, x=x), event(LEAP, x=1.0)), EVENTS)
    lake.replace(TABLE, as_tables(event(DAYS[1])), EVENTS, only(DAYS[1]))
    rows = open_table(lake.root / TABLE).to_pyarrow_dataset()
    assert rows.count_rows() == 3
    assert rows.count_rows(filter=pc.field("x") == x) == 1
    assert rows.count_rows(filter=pc.field("x") >= 1.0) == (2 if x > 1 else 1)
    assert rows.count_rows(filter=pc.field("x").is_null()) == 1


LONG_CHARS = 5_000  # Parquet stores no bounds of such texts
TEXTS = ["", "\x00", '"\\\n', "Infinity", "\ud7ff\ue000", "👩‍🎤" * 100, "z" * 32, "z" * 33, "z" * LONG_CHARS]
TEXTS += ["a" * 31 + "\ud7ff" + "b", "a" * 32 + "\U0010ffff" + "b", "\U0010ffff" * 33, "𠮷"]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[-4:]))
def test_long_and_odd_texts_are_found(lake: Lake, text: str) -> None:
    for where in (ValuesFilter.of("name", [text]), RangeFilter("name", text, text), ValuesFilter.of("name", ["m"])):
        lake.replace(TABLE, as_tables(event(LEAP, text), event(LEAP, "m"), event(LEAP, None)), EVENTS)
        assert len(lake.scan(TABLE, EVENTS, where).table()) == 1
        lake.replace(TABLE, as_tables(), EVENTS, where)
        assert len(lake.scan(TABLE, EVENTS).table()) == 2


def test_file_without_bounds_in_the_log_is_read(lake: Lake) -> None:
    """Logs of other programs have no bounds of long texts."""
    with patch("resources.lake.file_stats._least_and_greatest", return_value=(None, None)):
        lake.replace(TABLE, as_tables(event(LEAP, "z" * LONG_CHARS), event(LEAP, "m")), EVENTS)
    lake.replace(TABLE, as_tables(event(DAYS[1], None)), EVENTS, only(DAYS[1]))
    where = ValuesFilter.of("name", ["m"])
    assert len(lake.scan(TABLE, EVENTS, where).files) == 1
    assert [r["name"] for r in lake.scan(TABLE, EVENTS, where).table().to_pylist()] == ["m"]
    lake.replace(TABLE, as_tables(event(LEAP, "m", n=2)), EVENTS, where)
    assert [r["n"] for r in lake.scan(TABLE, EVENTS, where).table().to_pylist()] == [2]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[-4:]))
def test_other_programs_find_long_and_odd_texts(lake: Lake, text: str) -> None:
    """Regression: texts that were too long had no bounds in the log, so delta-rs did not find them."""
    lake.replace(TABLE, as_tables(event(LEAP, text), event(LEAP, "m")), EVENTS)
    delta = open_table(lake.root / TABLE)
    rows = delta.to_pyarrow_dataset()
    assert rows.count_rows(filter=pc.field("name") == text) == 1
    assert rows.count_rows(filter=pc.field("name") == "m") == 1
    assert len(delta.file_uris(file_pruning_predicate=f"name = '{text}'")) == 1
    assert sum(map(len, delta.get_add_actions(flatten=True).column("max.name").to_pylist())) <= 33


def test_last_microsecond_of_the_year_9999_is_found(lake: Lake) -> None:
    """Regression: its bound was rounded up to the year 10000."""
    last = datetime.max.replace(tzinfo=UTC)
    lake.replace(TABLE, as_tables(event(LEAP, at=last), event(LEAP, at=at(LEAP))), EVENTS)
    assert len(lake.scan(TABLE, EVENTS, RangeFilter("at", last, last)).table()) == 1
    assert open_table(lake.root / TABLE).to_pyarrow_dataset().count_rows(filter=pc.field("at") == last) == 1


@pytest.mark.usefixtures("small_files")
def test_readers_open_only_the_files_they_need(lake: Lake) -> None:
    rows = [event(day, name, at=at(day, n)) for day in DAYS for n, name in enumerate("abcde")]
    lake.replace(TABLE, as_tables(*rows), EVENTS, order=["day", "name"])
    delta = open_table(lake.root / TABLE)
    assert len(delta.file_uris()) == len(DAYS)
    assert len(lake.scan(TABLE, EVENTS, only(DAYS[2], DAYS[3])).files) == 2
    assert names(lake, where=only(DAYS[2], DAYS[3])) == [*"abcde"] * 2
    assert len(delta.file_uris(file_pruning_predicate="day = DATE '2024-03-01'")) == 1
    assert len(delta.file_uris(file_pruning_predicate=[("at", ">=", at(DAYS[7], 4))])) == 1
    assert len(delta.file_uris(file_pruning_predicate="name > 'e'")) == 0


# Several writers


def together(*work: tuple[Any, ...]) -> None:
    """Run `replace_days` in one process each; spawned, because delta-rs does not survive a fork."""
    with ProcessPoolExecutor(len(work), multiprocessing.get_context("spawn")) as processes:
        for done in [processes.submit(replace_days, *w) for w in work]:
            done.result(timeout=120)


@pytest.mark.process
def test_writers_of_different_days_lose_nothing(lake: Lake) -> None:
    """All days start in one file, so every commit of a writer removes the file that the other writers are reading."""
    days = [LEAP + timedelta(days=n) for n in range(17)]
    lake.replace(TABLE, as_tables(*(event(day, "old") for day in days)), EVENTS, order=["day"])
    together(*((str(lake.root), days[n:16:4], str(n)) for n in range(4)))
    expected = [(day, str(n % 4)) for n, day in enumerate(days[:16]) for _ in range(2)]
    assert sorted((r["day"], r["name"]) for r in stored(lake)) == [*expected, (days[16], "old")]
    assert lake.version(TABLE) == 1 + 16


@ON_DISK
def test_table_that_two_writers_create_at_once_is_created_once(lake: Lake) -> None:
    both = Barrier(2)

    def make(table: str) -> None:
        both.wait(timeout=60)
        lake.replace(table, as_tables(event(LEAP)), EVENTS, only(LEAP), ["day"])

    with ThreadPoolExecutor(2) as threads:
        for table in (f"events/things_{n}" for n in range(20)):
            for write in [threads.submit(make, table) for _ in range(2)]:
                write.result(timeout=60)
            assert lake.version(table) == 2, "the creation and two replacements"


@pytest.mark.process
@ON_DISK
def test_new_day_of_two_writers_is_stored_once(lake: Lake) -> None:
    days = [LEAP + timedelta(days=n) for n in range(6)]
    together((str(lake.root), days, "a"), (str(lake.root), days, "b"))
    for day in days:
        assert names(lake, where=only(day)) in (["a", "a"], ["b", "b"])
    assert lake.version(TABLE) == 12


@pytest.mark.parametrize("before", [[], [event(LEAP, "old")], [event(LEAP, "old"), event(DAYS[1], "old")]], ids=len)
@pytest.mark.parametrize("theirs", [LEAP, DAYS[1]], ids=["the same day", "another day"])
def test_commit_that_another_overtakes_is_repeated(lake: Lake, before: list[Row], theirs: date) -> None:
    lake.replace(TABLE, as_tables(*before), EVENTS)
    files, late = write_transaction.files, True

    def overtaken(delta: DeltaTable) -> list[dict[str, Any]]:
        nonlocal late
        if late:
            late = False
            lake.replace(TABLE, as_tables(event(theirs, "theirs")), EVENTS, only(theirs))
        return files(delta)

    with patch.object(write_transaction, "files", overtaken):
        written = lake.replace(TABLE, as_tables(event(LEAP, "ours")), EVENTS, only(LEAP))
    assert written.version == lake.version(TABLE) == 3
    other = ["theirs"] if theirs != LEAP else [r["name"] for r in before[1:]]
    assert names(lake) == ["ours", *other]


@pytest.mark.process
def test_reader_beside_a_writer_sees_only_complete_versions(lake: Lake) -> None:
    lake.replace(TABLE, as_tables(event(LEAP, "0"), event(LEAP, "0")), EVENTS)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        writer = processes.submit(replace_days, str(lake.root), [LEAP] * 20, "1")
        seen = set()
        while not writer.done():
            seen.add(tuple(names(lake)))
        writer.result()
    assert seen <= {("0", "0"), ("1", "1")}


# Lost answers


@pytest.mark.slow
@ON_DISK  # tests/resources/lake/test_bucket.py loses real answers
@pytest.mark.parametrize("reported", [CommitFailedError, DeltaError, OSError])
def test_commit_whose_answer_is_lost_counts_once(
    lake: Lake, reported: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry finds the version that the lost request wrote; undoing that commit would delete files it refers to."""
    commit, commits, chance = DeltaTable.create_write_transaction, 0, random.Random(reported.__name__)

    def committed(*args: Any, **more: Any) -> None:
        nonlocal commits
        commit(*args, **more)
        commits += 1
        if commits % 7 == 3:
            raise reported("the answer was lost")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", committed)
    expected: dict[date, str] = {}
    for turn in range(20):
        first, last = sorted(chance.choices(DAYS, k=2))
        inside = [day for day in DAYS if first <= day <= last]
        written = lake.replace(
            TABLE, as_tables(*(event(d, str(turn)) for d in inside)), EVENTS, only(first, last), ["day"]
        )
        expected |= dict.fromkeys(inside, str(turn))
        assert written.version == lake.version(TABLE) == turn + 1
        assert {r["day"]: r["name"] for r in stored(lake)} == expected
    for version in range(1, 21):
        stored(lake, version=version)
    assert lake.vacuum(TABLE).files == 0
