"""Increments: a range of days built at once has the rows of its days built one by one, from their upstream days."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import cycle
from typing import TypeAlias
from unittest.mock import patch

import dagster as dg
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.content.recordings import RECORDINGS
from assets.derived import charts
from assets.derived.charts import CHART
from assets.derived.display_names import DISPLAY_NAMES
from assets.derived.recording_plays import ARTIST_PLAYS, RECORDING_PLAYS
from assets.events.active_listeners import ACTIVE_LISTENERS
from assets.events.app_events import APP_EVENTS
from assets.events.daily_app_usage import DAILY_APP_USAGE
from assets.events.daily_listening import DAILY_LISTENING
from assets.events.duplicate_listens import DUPLICATE_LISTENS
from assets.events.listens import LISTENS
from assets.events.sessions import SESSIONS
from assets.partitions import DAILY, PERIODS
from resources.dates import A_DAY, date_ranges
from resources.frames.filters import RangeFilter
from resources.frames.frame import Engine, Frame
from resources.lake.lake import Lake
from resources.privacy.person import Person
from resources.privacy.tables import Removal
from tests import oracle, tables
from tests.examples import examples
from tests.oracle import Row, assert_same, begin
from tests.tables import CATALOG, LEAP, LENGTHS
from tests.transformations import SESSIONS_OF_LISTENS, TRANSFORMATIONS, Span

BY_NAME = {t.name: t for t in TRANSFORMATIONS}
SLICED = [t.name for t in TRANSFORMATIONS if t.asset.partitions_def]
COUNTED = {"recording_plays": RECORDING_PLAYS, "artist_plays": ARTIST_PLAYS, "display_names": DISPLAY_NAMES}
PERSONAL = {
    "duplicate": DUPLICATE_LISTENS,
    "listens": LISTENS,
    "recording_plays": RECORDING_PLAYS,
    "daily_listening": DAILY_LISTENING,
}
EVER = (date(1970, 1, 1), date(2200, 1, 1))  # beyond every row, with room for a month before
ROLLUPS = (oracle.recording_plays, oracle.artist_plays, oracle.display_names)
Engines: TypeAlias = st.SearchStrategy[Engine]
LATELY = range(-4, 9)  # days after the newest listen: enough to look at of a table that has rows on quiet days


@pytest.fixture(scope="module")
def engines(pandas: Engine, duckdb: Engine) -> Engines:
    """One of the local engines: what one of them wrote, the other reads and replaces."""
    return st.sampled_from((pandas, duckdb))


@pytest.mark.slow
@pytest.mark.parametrize("name", SLICED)
@examples(8)
@given(data=st.data())
def test_two_parts_of_a_range_give_the_rows_of_the_range(name: str, pandas: Engine, data: st.DataObject) -> None:
    """The range is cut in two at any day. Cutting repeatedly leads to its days one by one."""
    rows, _ = data.draw(BY_NAME[name].drawn)
    starts = partitions(name, rows)
    cut = data.draw(st.integers(1, max(1, len(starts) - 1)))
    check(name, (pandas,), rows, [s for s in (starts[:cut], starts[cut:]) if s])


@pytest.mark.slow
@pytest.mark.parametrize("name", SLICED)
def test_days_one_by_one_give_the_rows_of_the_range(name: str, pandas: Engine, duckdb: Engine) -> None:
    """The local engines build the days in turn."""
    *_, (rows, _) = BY_NAME[name].hard
    check(name, (pandas, duckdb), rows, [[start] for start in partitions(name, rows)])


@pytest.mark.slow
@examples(5)
@given(listens=tables.evenings(), days=st.permutations(range(6)))
def test_days_built_in_any_order_give_the_same_sessions(
    listens: list[Row], days: list[int], pandas: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    for day in (LEAP + timedelta(days=n - 1) for n in days):
        lake.replace("sessions", run("sessions", pandas, listens, (day, day)), SESSIONS, RangeFilter("day", day, day))
    span = (LEAP - timedelta(days=1), LEAP + timedelta(days=4))
    stored = lake.scan("sessions", SESSIONS).table()
    assert_same(stored, SESSIONS_OF_LISTENS.oracle(listens, span=span), SESSIONS)


@pytest.mark.slow
@examples(12)
@given(submitted=tables.feeds(), data=st.data())
def test_imports_and_erasures_in_any_order_give_the_same_tables(
    submitted: list[Row], data: st.DataObject, engines: Engines, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each file rebuilds only the days and weeks that it can change, and some listens are repeated.

    A week's distinct listeners are those of all of its days, independent of the files. The capped plays of a listener
    and day do not depend on the files either. An erased listener disappears from each table at once, and the days on
    which they listened are rebuilt, including distinct counts. Their later submissions are new. Some days are rebuilt
    without a reason.
    """
    days = sorted({r["day"] + timedelta(days=n) for r in submitted for n in (-1, 0, 1)})
    again = data.draw(st.lists(st.sampled_from(submitted), max_size=6)) if submitted else []
    steps: list[tuple[str, list[Row]]] = [
        ("", submitted[::2]),
        ("", submitted[1::2]),
        ("", again),
        ("ada", []),
        ("Ada", []),
    ]
    lake = Lake(tmp_path_factory.mktemp("lake"))
    arrived: dict[int, Row] = {}
    for erased, file in data.draw(st.permutations(steps)):
        touched = [*file, *(r for r in arrived.values() if r["user_id"] == erased)]
        changed = {r["day"] + timedelta(days=n) for r in touched for n in (-1, 0, 1)}
        changed |= set(data.draw(st.lists(st.sampled_from(days), max_size=1))) if days else set()
        arrived = {n: r for n, r in arrived.items() if r["user_id"] != erased} | {r["record"]: r for r in file}
        for table, schema in PERSONAL.items():
            if erased and lake.exists(table):
                lake.rewrite(table, schema, Removal.of(schema, Person(erased)))
                lake.drop_history(table)
        for span in some_runs(changed, data):
            engine = data.draw(engines)
            build_days(lake, engine, list(arrived.values()), span)
            build_daily_listening(lake, engine, span)
        if changed:
            weeks = [begin(f(changed), "weekly") + timedelta(weeks=n) for f, n in ((min, 0), (max, 1))]
            with patch.object(charts, "DAILY_CAP", 1):
                build_weeks(lake, data.draw(engines), (weeks[0], weeks[1]))
    ids = oracle.recording_matches(list(arrived.values()), CATALOG)
    replaced = oracle.duplicate_listens(list(arrived.values()), ids, *EVER)
    listens = oracle.listens(list(arrived.values()), ids, replaced)
    active = oracle.daily_listening(listens, LENGTHS)
    assert_same(lake.scan("duplicate", DUPLICATE_LISTENS).table(), replaced, DUPLICATE_LISTENS)
    assert_same(lake.scan("listens", LISTENS).table(), listens, LISTENS)
    assert_same(lake.scan("recording_plays", RECORDING_PLAYS).table(), oracle.recording_plays(listens), RECORDING_PLAYS)
    assert_same(lake.scan("daily_listening", DAILY_LISTENING).table(), active, DAILY_LISTENING)
    if days:
        ever = (days[0], days[-1] + timedelta(days=29))
        assert_same(
            lake.scan("active_listeners", ACTIVE_LISTENERS).table(),
            oracle.active_listeners(active, *ever),
            ACTIVE_LISTENERS,
        )
        weeks = [begin(f(days), "weekly") for f in (min, max)]
        counted = [answer(listens) for answer in ROLLUPS]
        ranked = oracle.chart(*counted, period="weekly", first=weeks[0], last=weeks[1] + timedelta(weeks=1), cap=1)
        assert_same(lake.scan("charts_weekly", CHART).table(), ranked, CHART)


@pytest.mark.slow
@examples(5)
@given(submitted=tables.app_events(), data=st.data())
def test_late_and_repeated_app_events_give_the_same_tables(
    submitted: list[Row], data: st.DataObject, engines: Engines, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each file rebuilds only the days that it can change, in any order."""
    again = data.draw(st.lists(st.sampled_from(submitted), max_size=6)) if submitted else []
    sent = [*submitted, *(r | {"import_id": "2", "file": "again.jsonl"} for r in again)]
    lake = Lake(tmp_path_factory.mktemp("lake"))
    arrived: list[Row] = []
    for file in data.draw(st.permutations([sent[::3], sent[1::3], sent[2::3]])):
        arrived += file
        changed = {r["day"] for r in file}
        for span in some_runs(changed, data):
            done = run("app_events", data.draw(engines), arrived, span)
            lake.replace("events", done, APP_EVENTS, RangeFilter("day", *span))
        for span in some_runs({day + timedelta(days=n) for day in changed for n in (-1, 0, 1)}, data):
            engine, near = data.draw(engines), RangeFilter("day", span[0] - A_DAY, span[1] + A_DAY)
            lengths = engine.from_arrow(tables.table(LENGTHS, RECORDINGS))
            events = engine.read(lake.scan("events", APP_EVENTS, near))
            done = BY_NAME["daily_app_usage"].run(events, lengths, span=span)
            lake.replace("daily_app_usage", done, DAILY_APP_USAGE, RangeFilter("day", *span))
    events, known = BY_NAME["daily_app_usage"].prepare(sent, EVER)
    assert_same(lake.scan("events", APP_EVENTS).table(), events, APP_EVENTS)
    assert_same(
        lake.scan("daily_app_usage", DAILY_APP_USAGE).table(),
        oracle.daily_app_usage(events, known, *EVER),
        DAILY_APP_USAGE,
    )


def some_runs(days: set[date], data: st.DataObject) -> list[Span]:
    """Return runs that build these days and no others, in any order: days in a row in one run or in two."""
    cut = data.draw(st.sampled_from(sorted(days))) if days else LEAP
    halves = [
        half for first, last in date_ranges(days) for half in ((first, min(last, cut)), (max(first, cut + A_DAY), last))
    ]
    return data.draw(st.permutations([(first, last) for first, last in halves if first <= last]))


def build_daily_listening(lake: Lake, engine: Engine, span: Span) -> None:
    """Build daily listening, and the active listeners of the thirty days that each day affects."""
    month = (span[0], span[1] + timedelta(days=29))
    listens = engine.read(lake.scan("listens", LISTENS, RangeFilter("day", *span)))
    lengths = engine.from_arrow(tables.table(LENGTHS, BY_NAME["daily_listening"].reads["recordings"]))
    lake.replace(
        "daily_listening",
        BY_NAME["daily_listening"].run(listens, lengths, span=span),
        DAILY_LISTENING,
        RangeFilter("day", *span),
    )
    active = engine.read(lake.scan("daily_listening", DAILY_LISTENING))
    lake.replace(
        "active_listeners",
        BY_NAME["active_listeners"].run(active, span=month),
        ACTIVE_LISTENERS,
        RangeFilter("day", *month),
    )


def build_days(lake: Lake, engine: Engine, raw: list[Row], span: Span) -> None:
    """Build the daily tables, each from the stored rows of the one before."""
    slice = RangeFilter("day", *span)
    for name, schema in (("duplicate_listens", DUPLICATE_LISTENS), ("listens", LISTENS)):
        lake.replace(name.removesuffix("_listens"), run(name, engine, raw, span), schema, slice)
    listens = engine.read(lake.scan("listens", LISTENS, slice))
    for name, schema in COUNTED.items():
        lake.replace(name, BY_NAME[name].run(listens, span=span), schema, slice)


def build_weeks(lake: Lake, engine: Engine, span: Span) -> None:
    """Build the charts of weeks, from the stored rows of their days and of the week before."""
    days = RangeFilter("day", span[0] - timedelta(weeks=1), span[1] + timedelta(days=6))
    counted = (engine.read(lake.scan(name, schema, days)) for name, schema in COUNTED.items())
    lake.replace(
        "charts_weekly", BY_NAME["charts_weekly"].run(*counted, span=span), CHART, RangeFilter("period_start", *span)
    )


def partitions(name: str, rows: list[Row]) -> list[date]:
    """Return every partition that has a row, and its neighbors."""
    period = next(p for p in PERIODS if p.partitions == BY_NAME[name].asset.partitions_def)
    days = [r["day"] + timedelta(days=d) for r in rows for d in (-1, 0, 1)] or [LEAP]
    starts = sorted({begin(day, period.name) for day in days})
    return [starts[-1] + timedelta(days=n) for n in LATELY] if _looks_back(BY_NAME[name].asset) else starts


def _looks_back(asset: dg.AssetsDefinition) -> bool:
    """Return whether a daily asset reads more than a day back, so that it has rows on days without listens."""
    mappings = map(asset.get_partition_mapping, asset.keys_by_input_name.values())
    return asset.partitions_def == DAILY and any(getattr(m, "start_offset", 0) < -1 for m in mappings)


def check(name: str, engines: Sequence[Engine], rows: list[Row], parts: list[list[date]]) -> None:
    """Compare a range that the last engine builds at once with its parts, built one by one by the engines in turn."""
    schema, takes_turns = BY_NAME[name].schema, cycle(engines)
    each = [run(name, next(takes_turns), rows, (part[0], part[-1])).collect(schema) for part in parts]
    whole = run(name, engines[-1], rows, (parts[0][0], parts[-1][-1])).collect(schema)
    assert_same(whole, pa.concat_tables(each).to_pylist(), schema)


def run(name: str, engine: Engine, rows: list[Row], span: Span) -> Frame:
    """Return an asset's rows for a range of its partitions, from the upstream days that Dagster maps them to."""
    transformation = BY_NAME[name]
    frames = []
    for table, input in zip(transformation.prepare(rows, EVER), transformation.reads, strict=True):
        if "day" in transformation.reads[input].names:
            first, last = read(transformation.asset, input, span)
            table = [r for r in table if first <= r["day"] <= last]
        frames.append(engine.from_arrow(tables.table(table, transformation.reads[input])))
    return transformation.run(*frames, span=span)


def read(asset: dg.AssetsDefinition, name: str, span: Span) -> Span:
    """Return the first and last day of an asset's input that Dagster maps a range of its partitions to."""
    mapping, partitions = asset.get_partition_mapping(asset.keys_by_input_name[name]), asset.partitions_def
    if mapping is None:
        return span
    assert isinstance(partitions, dg.TimeWindowPartitionsDefinition)
    keys = partitions.get_partition_keys_in_range(dg.PartitionKeyRange(*(d.isoformat() for d in span)))
    subset = partitions.subset_with_partition_keys(keys)
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, partitions, DAILY)
    days = sorted(map(date.fromisoformat, found.partitions_subset.get_partition_keys()))
    return days[0], days[-1]
