"""The lake replaces slices of tables at once, whoever writes and whoever reads meanwhile."""

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
from resources.lake.delta_table import opened
from resources.lake.lake import Lake
from resources.schema import column
from tests.examples import examples
from tests.oracle import Row, assert_same
from tests.resources.lake.things import EVENTS, T, event, events, given_rows, only, replace_days
from tests.tables import BEYOND, LEAP, at

DAYS = [LEAP + timedelta(days=n) for n in range(8)]


def stored(lake: Lake, **which: Any) -> list[Row]:
    rows = lake.scan(T, EVENTS, **which).table().to_pylist()
    return sorted(rows, key=lambda r: (r["day"], r["name"] or ""))


def names(lake: Lake, **which: Any) -> list[str]:
    return [r["name"] for r in stored(lake, **which)]


ON_DISK = pytest.mark.parametrize("lake", ["disk"], indirect=True)  # where a bucket would cost much and prove little


@pytest.fixture(params=["disk", pytest.param("bucket", marks=pytest.mark.process)])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    return Lake(tmp_path if request.param == "disk" else request.getfixturevalue("bucket"))


@pytest.fixture
def small_files() -> Iterator[None]:
    """Files of five rows in groups of two, so that few rows make many of them."""
    with (
        patch.object(write_transaction, "FILE_ROWS", 5),
        patch.object(write_transaction, "GROUP_ROWS", 2),
    ):
        yield


# Commits


def test_a_write_is_one_commit_on_every_engine(engine: Engine, lake: Lake) -> None:
    rows = [event(day, name) for day in DAYS for name in "abc"]
    first = lake.replace(T, engine.from_arrow(events(*rows)), EVENTS, only(DAYS[0], DAYS[-1]), ["day", "name"])
    again = lake.replace(T, engine.from_arrow(events(event(DAYS[2], "new"))), EVENTS, only(DAYS[2]), ["day", "name"])
    assert (first.version, first.rows) == (1, 24)  # version 0 is the table without rows
    assert (again.version, again.rows, len(again.files)) == (2, 1, 1)
    assert stored(lake) == sorted([*(r for r in rows if r["day"] != DAYS[2]), event(DAYS[2], "new")], key=str)


def test_every_engine_reads_what_was_written_and_no_more(engine: Engine, lake: Lake) -> None:
    rows = [
        event(day, name, at=at(day, 0, 1), n=BEYOND, x=0.1, ok=True, tags=["é", ""]) for day in DAYS for name in "ab"
    ]
    with patch.object(write_transaction, "FILE_ROWS", 5):
        lake.replace(T, given_rows(*rows, event(DAYS[0], None)), EVENTS, order=["day"])
    inside = [r for r in rows if DAYS[1] <= r["day"] <= DAYS[3]]
    scan = lake.scan(T, EVENTS, only(DAYS[1], DAYS[3]))
    assert_same(engine.read(scan).collect(EVENTS), inside, EVENTS)
    assert_same(engine.read(lake.scan(T, EVENTS)).collect(EVENTS), [*rows, event(DAYS[0], None)], EVENTS)
    undated = pa.schema([EVENTS.field("n"), EVENTS.field("name")])  # the dated column is not among those wanted
    assert_same(engine.read(scan.select(["n", "name"])).collect(undated), inside, undated)
    assert engine.read(scan).select("name").columns == ["name"]


def test_a_table_never_written_has_no_rows_on_any_engine(engine: Engine, lake: Lake) -> None:
    assert not lake.exists(T)
    rows = engine.read(lake.scan(T, EVENTS, only(LEAP)))
    assert rows.columns == EVENTS.names
    assert rows.collect(EVENTS).num_rows == 0
    assert not lake.exists(T)


def test_no_rows_empty_the_slice_on_every_engine(engine: Engine, lake: Lake) -> None:
    lake.replace(T, given_rows(event(DAYS[0]), event(DAYS[1])), EVENTS)
    written = lake.replace(T, engine.from_arrow(events()), EVENTS, only(DAYS[0]))
    assert (written.rows, written.files) == (0, ())
    assert stored(lake) == [event(DAYS[1])]
    lake.replace(T, engine.from_arrow(events()), EVENTS)
    assert stored(lake) == []


def test_readers_see_the_old_version_until_the_commit(lake: Lake) -> None:
    lake.replace(T, given_rows(event(LEAP, "old")), EVENTS)
    seen: list[list[str]] = []

    def rows() -> Iterator[pa.Table]:
        for name in ("new", "newer"):
            yield events(event(LEAP, name))
            seen.append(names(lake))

    with lake.writing(T, EVENTS) as draft:
        draft.write(rows())
        seen.append(names(lake))
        draft.publish(only(LEAP))
    assert seen == [["old"]] * 3
    assert names(lake) == ["new", "newer"]


def test_a_scan_opened_before_a_commit_keeps_its_rows(lake: Lake) -> None:
    lake.replace(T, given_rows(event(LEAP, "old")), EVENTS)
    scan = lake.scan(T, EVENTS)
    lake.replace(T, given_rows(event(LEAP, "new")), EVENTS)
    assert scan.table()["name"].to_pylist() == ["old"]


def test_any_version_can_be_read(lake: Lake) -> None:
    for n, day in enumerate([*DAYS[:3], *DAYS[:3]]):
        lake.replace(T, given_rows(event(day, str(n))), EVENTS, only(day))
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
    lake.replace(T, given_rows(*rows), EVENTS, order=["day", "name"])
    assert len(lake.scan(T, EVENTS).files) == 1
    lake.replace(T, given_rows(event(DAYS[3], "new")), EVENTS, only(DAYS[3]), ["day", "name"])
    assert stored(lake) == sorted([*(r for r in rows if r["day"] != DAYS[3]), event(DAYS[3], "new")], key=str)


spans = st.tuples(st.integers(0, 7), st.integers(0, 2)).map(lambda s: (s[0], min(7, s[0] + s[1])))


@examples(15)
@given(writes=st.lists(st.tuples(spans, st.lists(st.integers(0, 7), max_size=12)), min_size=1, max_size=6))
@pytest.mark.usefixtures("small_files")
def test_any_replacements_leave_what_a_dictionary_of_days_would(
    writes: list[tuple[tuple[int, int], list[int]]], pandas: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    model: dict[date, list[str]] = {}
    versions = []
    for n, ((first, last), days) in enumerate(writes):
        rows = [event(DAYS[d], f"{n}-{i}") for i, d in enumerate(days) if first <= d <= last]
        lake.replace(T, pandas.from_arrow(events(*rows)), EVENTS, only(DAYS[first], DAYS[last]), ["day", "name"])
        for day in range(first, last + 1):
            model[DAYS[day]] = [r["name"] for r in rows if r["day"] == DAYS[day]]
        versions.append({(day, name) for day, found in model.items() for name in found})
    for version, wanted in enumerate(versions, start=1):
        found = [(r["day"], r["name"]) for r in stored(lake, version=version)]
        assert len(found) == len(wanted)
        assert set(found) == wanted
    for day in DAYS:
        assert sorted(r["name"] for r in stored(lake, slice=only(day))) == sorted(model.get(day, []))


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize(
    ("days", "order", "sizes"),
    [(8, ["day", "name"], [3] * 7 + [2]), (1, ["day", "name"], [5] * 4 + [3]), (8, ["name"], [5] * 4 + [3])],
    ids=["short days", "one long day", "not by day"],
)
def test_files_have_at_most_as_many_rows_as_they_should_and_are_sorted(
    days: int, order: list[str], sizes: list[int], lake: Lake
) -> None:
    """They end with a day where they can: five rows are the most, and two enough."""
    rows = [event(DAYS[n % days], str(n)) for n in range(23)]
    random.Random(1).shuffle(rows)
    written = lake.replace(T, iter([events(*rows[:4]), events(), events(*rows[4:])]), EVENTS, order=order)
    files = [pq.read_table((lake.root / T / f).open()) for f in written.files]
    assert [len(f) for f in files] == sizes
    assert all(f.equals(f.sort_by([(c, "ascending") for c in order])) for f in files)
    assert written.rows == 23
    assert written.bytes == sum((lake.root / T / f).open().size() for f in written.files)


def test_other_columns_than_days_can_slice_a_table(lake: Lake) -> None:
    lake.replace(T, given_rows(event(LEAP, "a"), event(LEAP, "b"), event(LEAP, "c")), EVENTS)
    lake.replace(T, given_rows(event(LEAP, "b", n=2)), EVENTS, RangeFilter("name", "b", "b"))
    assert [(r["name"], r["n"]) for r in stored(lake)] == [("a", 1), ("b", 2), ("c", 1)]


# Refusals


@examples(15)
@given(
    writes=st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3), min_size=1), min_size=1, max_size=5)
)
@pytest.mark.usefixtures("small_files")
def test_rows_of_several_values_are_replaced_in_one_commit_and_those_between_stay(
    tmp_path_factory: pytest.TempPathFactory, writes: list[dict[str, int]]
) -> None:
    lake, expected = Lake(tmp_path_factory.mktemp("lake")), dict[str, int]()
    for commit, write in enumerate(writes, start=1):
        new = [event(DAYS[k], name) for name, n in write.items() for k in range(n)]
        written = lake.replace(T, given_rows(*new), EVENTS, ValuesFilter.of("name", write), ("name",))
        expected |= write
        assert written.version == commit
        assert sorted(names(lake)) == sorted(name for name, n in expected.items() for _ in range(n))


def fails(lake: Lake, write: Callable[[], Any], match: str = "cannot hold these rows") -> None:
    """The write is refused and the version before it stands."""
    before = lake.version(T), stored(lake)
    with pytest.raises(TuttiError, match=match) as refused:
        write()
    assert (lake.version(T), stored(lake)) == before
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("stray", [DAYS[0], DAYS[2], None], ids=["earlier", "later", "without a day"])
def test_rows_outside_the_slice_are_refused(engine: Engine, lake: Lake, stray: date | None) -> None:
    lake.replace(T, given_rows(event(DAYS[0], "old"), event(DAYS[1], "old")), EVENTS)
    rows = pa.Table.from_pylist(
        [event(DAYS[1]), event(stray)], EVENTS.remove(0).insert(0, pa.field("day", pa.date32()))
    )
    fails(
        lake,
        lambda: lake.replace(T, engine.from_arrow(rows), EVENTS, only(DAYS[1])),
        "replaces only 2024-02-29 to 2024-02-29",
    )


@pytest.mark.parametrize(
    "wrong",
    [pa.array([1.5]), pa.array([1e300]), pa.array([float("nan")]), pa.array(["one"])],
    ids=["a fraction", "out of range", "no number", "text"],
)
def test_values_that_a_column_cannot_hold_are_refused(engine: Engine, lake: Lake, wrong: pa.Array) -> None:
    lake.replace(T, given_rows(event(LEAP, "old")), EVENTS)
    rows = events(event(LEAP)).set_column(3, "n", wrong)
    fails(lake, lambda: lake.replace(T, engine.from_arrow(rows), EVENTS))


def test_columns_that_are_not_there_are_refused(engine: Engine, lake: Lake) -> None:
    lake.replace(T, given_rows(event(LEAP, "old")), EVENTS)
    rows = engine.from_arrow(events(event(LEAP)).drop_columns(["name", "n"]))
    fails(lake, lambda: lake.replace(T, rows, EVENTS), r"cannot hold these rows.*\['name', 'n'\]")


def test_whole_numbers_may_come_as_fractions_and_in_any_order(engine: Engine, lake: Lake) -> None:
    rows = events(event(LEAP)).set_column(3, "n", pa.array([2.0])).select(EVENTS.names[::-1])
    lake.replace(T, engine.from_arrow(rows), EVENTS)
    assert stored(lake) == [event(LEAP, n=2)]


def test_a_column_can_be_added(engine: Engine, lake: Lake) -> None:
    lake.replace(T, given_rows(event(DAYS[0]), event(DAYS[1])), EVENTS)
    more = EVENTS.append(column("mood", pa.string(), "how it felt", null=True))
    assert engine.read(lake.scan(T, more)).collect(more)["mood"].to_pylist() == [None, None]
    new = pa.Table.from_pylist([event(DAYS[1]) | {"mood": "good"}], more)
    lake.replace(T, iter([new]), more, only(DAYS[1]))
    rows = engine.read(lake.scan(T, more)).collect(more)
    assert dict(zip(rows["day"].to_pylist(), rows["mood"].to_pylist(), strict=True)) == {DAYS[0]: None, DAYS[1]: "good"}
    assert engine.read(lake.scan(T, more, only(DAYS[0]))).collect(more)["mood"].to_pylist() == [None]
    assert len(stored(lake, version=1)) == 2
    assert opened(lake.root / T).to_pyarrow_table()["mood"].null_count == 1


def test_a_column_that_two_add_at_once_is_added_once(lake: Lake) -> None:
    lake.replace(T, given_rows(event(DAYS[0])), EVENTS)
    more = EVENTS.append(column("mood", pa.string(), "how it felt", null=True))
    opened, late = resources.lake.delta_table.opened, True

    def put(day: date) -> None:
        lake.replace(T, iter([pa.Table.from_pylist([event(day) | {"mood": "good"}], more)]), more, only(day))

    def overtaken(folder: Path) -> DeltaTable:
        nonlocal late
        found = opened(folder)
        if late:
            late = False
            put(DAYS[1])
        return found

    with patch.object(resources.lake.delta_table, "opened", overtaken):
        put(DAYS[2])
    assert [r["mood"] for r in lake.scan(T, more).table().sort_by("day").to_pylist()] == [None, "good", "good"]


def test_a_column_that_changes_its_type_is_refused(lake: Lake) -> None:
    lake.replace(T, given_rows(event(LEAP)), EVENTS)
    other = EVENTS.set(3, column("n", pa.string(), "how often"))
    rows = pa.table([["x"] if f.name == "n" else c for f, c in zip(other, events(event(LEAP)), strict=True)], other)
    fails(lake, lambda: lake.replace(T, iter([rows]), other), "n as int64, now it is string: move .* away")


def test_a_table_of_a_newer_platform_is_not_cut(lake: Lake) -> None:
    lake.replace(T, given_rows(event(LEAP)), EVENTS)
    older = EVENTS.remove(6)
    rows = events(event(LEAP)).select(older.names)
    fails(lake, lambda: lake.replace(T, iter([rows]), older), r"holds columns \['tags'\]")


# What others see


def test_others_open_the_table_and_read_what_its_columns_mean(lake: Lake) -> None:
    rows = [event(LEAP, name, at=at(LEAP, 1, 7), tags=["x"]) for name in "ab"]
    lake.replace(T, given_rows(*rows), EVENTS)
    delta = opened(lake.root / T)
    assert delta.to_pyarrow_table().to_pylist() == rows
    assert {f.name: f.metadata["comment"] for f in delta.schema().fields} == {
        f.name: f.metadata[b"comment"].decode() for f in EVENTS
    }
    assert (delta.protocol().min_reader_version, delta.protocol().min_writer_version) == (1, 2)
    assert [h["operation"] for h in delta.history()] == ["WRITE", "CREATE TABLE"]


@pytest.mark.cluster
@pytest.mark.spark
def test_duckdb_and_spark_read_the_files_without_the_platform(tmp_path: Path, spark: Engine, duckdb: Engine) -> None:
    lake = Lake(tmp_path)
    rows = [event(LEAP, name, at=at(LEAP, 1, 7), n=BEYOND) for name in "ab"]
    lake.replace(T, given_rows(*rows), EVENTS)
    uris = opened(lake.root / T).file_uris()
    assert duckdb.db.read_parquet(uris).aggregate('count(*), max(n), max("at")').fetchall() == [
        (2, BEYOND, at(LEAP, 1, 7))
    ]
    assert_same(spark.session.read.parquet(*uris).toArrow(), rows, EVENTS)


def test_the_least_and_greatest_values_of_a_file_are_told(lake: Lake) -> None:
    instants = (at(LEAP, 0, 1), at(LEAP, 0, 1_001), datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC))
    rows = [
        event(DAYS[1], "é", at=instants[0], n=BEYOND, x=-0.5, ok=True),
        event(DAYS[0], "a", at=instants[1], n=-BEYOND, x=1e300, ok=False),
        event(DAYS[2], None, at=instants[2], n=None, x=None),
    ]
    lake.replace(T, given_rows(*rows), EVENTS)
    (told,) = pa.table(opened(lake.root / T).get_add_actions(flatten=True)).to_pylist()
    bounds = {c: (told.get(f"min.{c}"), told.get(f"max.{c}")) for c in EVENTS.names}
    assert bounds["day"] == (DAYS[0], DAYS[2])
    assert bounds["name"] == ("a", "é")
    assert bounds["n"] == (-BEYOND, BEYOND)
    assert bounds["x"] == (-0.5, 1e300)
    assert bounds["tags"] == (None, None)
    earliest, latest = bounds["at"]
    assert earliest == datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC)  # outwards, to the millisecond
    assert latest == at(LEAP, 0, 2_000)
    assert told["num_records"] == 3
    assert [told[f"null_count.{c}"] for c in ("day", "name", "n", "x", "ok")] == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("x", [float("inf"), float("-inf"), -0.0, 5e-324])
def test_odd_fractions_are_found_by_others(lake: Lake, x: float) -> None:
    """Regression: an infinite bound made the log unreadable."""
    lake.replace(T, given_rows(event(LEAP, x=x), event(LEAP, x=1.0)), EVENTS)
    lake.replace(T, given_rows(event(DAYS[1])), EVENTS, only(DAYS[1]))
    rows = opened(lake.root / T).to_pyarrow_dataset()
    assert rows.count_rows() == 3
    assert rows.count_rows(filter=pc.field("x") == x) == 1
    assert rows.count_rows(filter=pc.field("x") >= 1.0) == (2 if x > 1 else 1)
    assert rows.count_rows(filter=pc.field("x").is_null()) == 1


LONG = 5_000  # characters: Parquet keeps no bounds of texts that long
TEXTS = ["", "\x00", '"\\\n', "Infinity", "\ud7ff\ue000", "👩‍🎤" * 100, "z" * 32, "z" * 33, "z" * LONG]
TEXTS += ["a" * 31 + "\ud7ff" + "b", "a" * 32 + "\U0010ffff" + "b", "\U0010ffff" * 33, "𠮷"]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[-4:]))
def test_long_and_odd_texts_are_found(lake: Lake, text: str) -> None:
    for found in (ValuesFilter.of("name", [text]), RangeFilter("name", text, text), ValuesFilter.of("name", ["m"])):
        lake.replace(T, given_rows(event(LEAP, text), event(LEAP, "m"), event(LEAP, None)), EVENTS)
        assert len(lake.scan(T, EVENTS, found).table()) == 1
        lake.replace(T, given_rows(), EVENTS, found)
        assert len(lake.scan(T, EVENTS).table()) == 2


def test_a_file_is_read_if_its_log_has_no_bounds(lake: Lake) -> None:
    """Logs written before this version, and those of other programs, have none of long texts."""
    with patch("resources.lake.file_stats._least_and_greatest", return_value=(None, None)):
        lake.replace(T, given_rows(event(LEAP, "z" * LONG), event(LEAP, "m")), EVENTS)
    lake.replace(T, given_rows(event(DAYS[1], None)), EVENTS, only(DAYS[1]))
    found = ValuesFilter.of("name", ["m"])
    assert len(lake.scan(T, EVENTS, found).files) == 1
    assert [r["name"] for r in lake.scan(T, EVENTS, found).table().to_pylist()] == ["m"]
    lake.replace(T, given_rows(event(LEAP, "m", n=2)), EVENTS, found)
    assert [r["n"] for r in lake.scan(T, EVENTS, found).table().to_pylist()] == [2]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[-4:]))
def test_long_and_odd_texts_are_found_by_others(lake: Lake, text: str) -> None:
    """Regression: texts too long for the log had no bounds there, and delta-rs found none of them."""
    lake.replace(T, given_rows(event(LEAP, text), event(LEAP, "m")), EVENTS)
    delta = opened(lake.root / T)
    rows = delta.to_pyarrow_dataset()
    assert rows.count_rows(filter=pc.field("name") == text) == 1
    assert rows.count_rows(filter=pc.field("name") == "m") == 1
    assert len(delta.file_uris(file_pruning_predicate=f"name = '{text}'")) == 1
    assert sum(map(len, delta.get_add_actions(flatten=True).column("max.name").to_pylist())) <= 33


def test_the_last_microsecond_that_dates_have_is_found(lake: Lake) -> None:
    """Regression: its bound was rounded up to the year 10000."""
    last = datetime.max.replace(tzinfo=UTC)
    lake.replace(T, given_rows(event(LEAP, at=last), event(LEAP, at=at(LEAP))), EVENTS)
    assert len(lake.scan(T, EVENTS, RangeFilter("at", last, last)).table()) == 1
    assert opened(lake.root / T).to_pyarrow_dataset().count_rows(filter=pc.field("at") == last) == 1


@pytest.mark.usefixtures("small_files")
def test_readers_open_only_the_files_they_need(lake: Lake) -> None:
    rows = [event(day, name, at=at(day, n)) for day in DAYS for n, name in enumerate("abcde")]
    lake.replace(T, given_rows(*rows), EVENTS, order=["day", "name"])
    delta = opened(lake.root / T)
    assert len(delta.file_uris()) == len(DAYS)
    assert len(lake.scan(T, EVENTS, only(DAYS[2], DAYS[3])).files) == 2
    assert names(lake, slice=only(DAYS[2], DAYS[3])) == [*"abcde"] * 2
    assert len(delta.file_uris(file_pruning_predicate="day = DATE '2024-03-01'")) == 1
    assert len(delta.file_uris(file_pruning_predicate=[("at", ">=", at(DAYS[7], 4))])) == 1
    assert len(delta.file_uris(file_pruning_predicate="name > 'e'")) == 0


# Several writers


def together(*work: tuple[Any, ...]) -> None:
    """Run `replace_days` in as many processes; spawned, because what delta-rs holds does not survive a fork."""
    with ProcessPoolExecutor(len(work), multiprocessing.get_context("spawn")) as processes:
        for done in [processes.submit(replace_days, *w) for w in work]:
            done.result(timeout=120)


@pytest.mark.process
def test_writers_of_different_days_lose_nothing(lake: Lake) -> None:
    """All days begin in one file, so that every commit of one writer takes away what the others are reading."""
    days = [LEAP + timedelta(days=n) for n in range(17)]
    lake.replace(T, given_rows(*(event(day, "old") for day in days)), EVENTS, order=["day"])
    together(*((str(lake.root), days[n:16:4], str(n)) for n in range(4)))
    wanted = [(day, str(n % 4)) for n, day in enumerate(days[:16]) for _ in range(2)]
    assert sorted((r["day"], r["name"]) for r in stored(lake)) == [*wanted, (days[16], "old")]
    assert lake.version(T) == 1 + 16


@ON_DISK
def test_a_table_that_two_writers_make_at_once_is_made_once(lake: Lake) -> None:
    both = Barrier(2)

    def make(table: str) -> None:
        both.wait(timeout=60)
        lake.replace(table, given_rows(event(LEAP)), EVENTS, only(LEAP), ["day"])

    with ThreadPoolExecutor(2) as threads:
        for table in (f"events/things_{n}" for n in range(20)):
            for made in [threads.submit(make, table) for _ in range(2)]:
                made.result(timeout=60)
            assert lake.version(table) == 2, "its making and two replacements"


@pytest.mark.process
@ON_DISK
def test_two_writers_of_one_new_day_leave_it_once(lake: Lake) -> None:
    days = [LEAP + timedelta(days=n) for n in range(6)]
    together((str(lake.root), days, "a"), (str(lake.root), days, "b"))
    for day in days:
        assert names(lake, slice=only(day)) in (["a", "a"], ["b", "b"])
    assert lake.version(T) == 12


@pytest.mark.parametrize("before", [[], [event(LEAP, "old")], [event(LEAP, "old"), event(DAYS[1], "old")]], ids=len)
@pytest.mark.parametrize("theirs", [LEAP, DAYS[1]], ids=["the same day", "another day"])
def test_a_commit_that_another_overtakes_is_made_again(lake: Lake, before: list[Row], theirs: date) -> None:
    lake.replace(T, given_rows(*before), EVENTS)
    files, late = write_transaction.files, True

    def overtaken(delta: DeltaTable) -> list[dict[str, Any]]:
        nonlocal late
        if late:
            late = False
            lake.replace(T, given_rows(event(theirs, "theirs")), EVENTS, only(theirs))
        return files(delta)

    with patch.object(write_transaction, "files", overtaken):
        written = lake.replace(T, given_rows(event(LEAP, "ours")), EVENTS, only(LEAP))
    assert written.version == lake.version(T) == 3
    other = ["theirs"] if theirs != LEAP else [r["name"] for r in before[1:]]
    assert names(lake) == ["ours", *other]


@pytest.mark.process
def test_a_reader_beside_a_writer_sees_whole_versions(lake: Lake) -> None:
    lake.replace(T, given_rows(event(LEAP, "0"), event(LEAP, "0")), EVENTS)
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
@pytest.mark.parametrize("told", [CommitFailedError, DeltaError, OSError])
def test_commits_whose_answer_is_lost_count_once_and_leave_the_table_whole(
    lake: Lake, told: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeated request finds the version taken, by itself; undoing the commit would delete files that it names."""
    commit, made, chance = DeltaTable.create_write_transaction, 0, random.Random(told.__name__)

    def committed(*args: Any, **more: Any) -> None:
        nonlocal made
        commit(*args, **more)
        made += 1
        if made % 7 == 3:
            raise told("the answer was lost")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", committed)
    wanted: dict[date, str] = {}
    for turn in range(20):
        first, last = sorted(chance.choices(DAYS, k=2))
        inside = [day for day in DAYS if first <= day <= last]
        written = lake.replace(
            T, given_rows(*(event(d, str(turn)) for d in inside)), EVENTS, only(first, last), ["day"]
        )
        wanted |= dict.fromkeys(inside, str(turn))
        assert written.version == lake.version(T) == turn + 1
        assert {r["day"]: r["name"] for r in stored(lake)} == wanted
    for version in range(1, 21):
        stored(lake, version=version)
    assert lake.vacuum(T).files == 0
