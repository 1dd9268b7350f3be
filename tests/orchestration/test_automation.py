"""Automation: which partitions are requested after others have changed, and in which runs."""

import json
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent
from dagster._core.storage.tags import GRPC_INFO_TAG
from hypothesis import example, given
from hypothesis import strategies as st

from orchestration.automation import GAPS, MAX_PAUSE_S, MAX_QUEUED, MAX_RUNS, Piece, following, gathered, pieces
from orchestration.instance.internals import SensorExecutionData
from orchestration.instance.killed_runs import bury_launched
from orchestration.run_tags import AUTOMATIC, CUMULATIVE, PRIORITY, RANGE_END, RANGE_START, over
from orchestration.stretches import LONG
from resources.dates import as_tag
from tests.orchestration.support import PROJECT, Process, platform

FIRST, TODAY = date(2002, 10, 1), datetime.now(UTC).date()


# The conditions, evaluated on events in a Dagster instance.

PLAYS = ("events/listens", "derived/recording_plays", "derived/artist_plays", "derived/display_names")
LISTENS = dg.AssetKey(["events", "listens"])
NOON = datetime(2024, 5, 15, 12, 20, tzinfo=UTC)  # a Wednesday


def around(day: str, before: int, after: int) -> list[str]:
    """Return a day with the days before and after it."""
    return [(date.fromisoformat(day) + timedelta(days=n)).isoformat() for n in range(-before, after + 1)]


class Days:
    """A Dagster instance with events of tables, and what the conditions request from tick to tick."""

    def __init__(self) -> None:
        self.instance = dg.DagsterInstance.ephemeral()
        self.defs = platform()
        self.now = NOON
        self.cursor: object = None
        self.tick()

    def materialize(self, table: str, *partitions: str | None) -> None:
        """Report that partitions of a table were materialized, one after the other."""
        for partition in partitions or (None,):
            event = dg.AssetMaterialization(table.split("/"), partition=partition)
            self.instance.report_runless_asset_event(event)

    def imported(self, *days: str) -> None:
        """Report that listens of these days were imported."""
        self.materialize("events/raw_listens", *days)

    def start_run(self, requested: Mapping[str, list[str]]) -> str:
        """Start a run of what was requested, on a server that does not answer. Return its id."""
        server = {"host": "localhost", "socket": "/nobody/listens/here"}
        tags = {GRPC_INFO_TAG: json.dumps(server)}
        run = self.instance.add_run(dg.DagsterRun("daily", status=dg.DagsterRunStatus.STARTED, tags=tags))
        for table, partitions in requested.items():
            for partition in partitions:
                planned = AssetMaterializationPlannedData(dg.AssetKey(table.split("/")), partition=partition)
                event = DagsterEvent.build_asset_materialization_planned_event("daily", table, planned)
                self.instance.report_dagster_event(event, run.run_id)
        return run.run_id

    def tick(self, later: timedelta = timedelta(seconds=5)) -> dict[str, list[str]]:
        """Return what is requested now, by table."""
        self.now += later
        result = dg.evaluate_automation_conditions(
            self.defs,
            self.instance,
            cursor=self.cursor,
            evaluation_time=self.now,  # type: ignore[arg-type]
        )
        self.cursor = result.cursor
        subsets = {r.key.to_user_string(): r.true_subset for r in result.results if not r.true_subset.is_empty}
        return {name: sorted(subset.expensively_compute_partition_keys()) for name, subset in subsets.items()}

    def build(self, requested: Mapping[str, list[str]]) -> None:
        """Materialize everything requested, in the order of the graph."""
        for key in self.defs.resolve_asset_graph().toposorted_asset_keys:
            if partitions := requested.get(key.to_user_string()):
                self.materialize(key.to_user_string(), *partitions)


def downstream_of(table: str) -> set[str]:
    """Return the tables downstream of a table."""
    graph, source = platform().resolve_asset_graph(), dg.AssetKey(table.split("/"))
    return {key.to_user_string() for key in graph.get_all_asset_keys() if source in graph.get_ancestor_asset_keys(key)}


def fail_runs(instance: dg.DagsterInstance) -> None:
    """Report that every running run fail_runs."""
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        instance.report_run_failed(run)


@pytest.fixture
def days() -> Days:
    """An empty instance after one tick."""
    return Days()


def test_an_import_requests_the_day_and_everything_downstream(
    days: Days,
) -> None:
    first = {
        "events/recording_matches": ["2011-03-05"],
        "events/duplicate_listens": around("2011-03-05", 1, 1),
        **{name: around("2011-03-05", 1, 1) for name in PLAYS},
        "events/daily_listening": around("2011-03-05", 1, 1),
        "events/app_events": ["2011-03-05"],  # their names may have a match now
        "events/daily_app_usage": around("2011-03-05", 1, 1),
        "events/active_listeners": around("2011-03-05", 1, 30),
        "events/sessions": around("2011-03-05", 2, 2),
        "derived/charts_daily": around("2011-03-05", 1, 2),
    }
    then = {
        "derived/charts_weekly": ["2011-02-28", "2011-03-07"],
        "derived/charts_monthly": ["2011-03-01", "2011-04-01"],
        "derived/charts_yearly": ["2011-01-01", "2012-01-01"],
    }
    days.imported("2011-03-05")
    for expected in (first, then):
        requested = days.tick()
        assert {name: keys for name, keys in requested.items() if name in first | then} == expected
        assert requested.keys() <= downstream_of("events/raw_listens")
        days.build(requested)
    assert days.tick() == {}


def test_app_events_request_only_the_tables_downstream(days: Days) -> None:
    days.materialize("events/raw_app_events", "2011-03-05")
    expected = {
        "events/app_events": ["2011-03-05"],
        "events/app_event_schema": ["2011-03-05"],
        "events/daily_app_usage": around("2011-03-05", 1, 1),
    }
    requested = days.tick()
    assert requested | expected == requested
    assert requested.keys() <= downstream_of("events/raw_app_events")
    days.build(requested)
    assert days.tick() == {}


def test_posts_and_shares_do_not_request_listens(days: Days) -> None:
    days.materialize("events/raw_posts", "2011-03-05")
    days.materialize("events/raw_shares", "2011-03-07")
    requested = days.tick()
    assert requested | {"events/posts": ["2011-03-05"], "events/shares": ["2011-03-07"]} == requested
    assert requested.keys() <= downstream_of("events/raw_posts") | downstream_of("events/raw_shares")
    days.build(requested)
    assert days.tick() == {}


def test_today_and_old_days_are_requested_without_days_between(days: Days) -> None:
    today = NOON.date().isoformat()
    days.imported("2005-01-31", "2019-07-07", today)
    near = [*around("2005-01-31", 1, 1), *around("2019-07-07", 1, 1), *around(today, 1, 0)]
    assert days.tick()["events/listens"] == near


def test_days_without_listens_block_nothing(days: Days) -> None:
    """Only one day of the week has listens. Its other days were never materialized."""
    days.imported("2024-04-10")
    days.build(days.tick())
    assert days.tick()["derived/charts_weekly"] == ["2024-04-08", "2024-04-15"]


def test_tables_without_partitions_trigger_nothing(days: Days) -> None:
    days.imported("2011-03-05")
    for _ in range(2):
        days.build(days.tick())
    for name in ("content/recordings", "content/lyrics", "events/imports", "events/quarantine"):
        days.materialize(name)
    assert days.tick() == {}


def test_a_new_day_requests_nothing(days: Days) -> None:
    assert days.tick(timedelta(days=1)) == {}


def test_current_periods_are_built_at_most_hourly_past_ones_at_once(days: Days) -> None:
    today = NOON.date().isoformat()
    charts = {"derived/charts_weekly", "derived/charts_monthly", "derived/charts_yearly"}

    def listen() -> set[str]:
        days.imported(today)
        days.build(days.tick())
        requested = days.tick()
        days.build(requested)
        return set(requested)

    assert listen() == charts  # the first time at once
    days.tick()
    assert listen() == set()
    assert listen() == set()
    assert set(days.tick(timedelta(hours=1))) == charts
    days.build({name: [] for name in charts})
    days.imported("2024-05-08")
    days.build(days.tick())
    assert "2024-05-06" in days.tick()["derived/charts_weekly"]


def test_an_import_during_a_build_is_not_lost(days: Days) -> None:
    """An import writes after a run has read raw listens and before it has written listens."""
    days.imported("2011-03-05")
    requested = days.tick()
    days.imported("2011-03-05")
    days.build(requested)
    assert days.tick()["events/listens"] == around("2011-03-05", 1, 1)


def test_killed_runs_are_retried_at_once_failed_ones_at_the_close(days: Days) -> None:
    for day, end_runs in (("2012-03-05", fail_runs), ("2011-03-05", bury_launched)):
        days.imported(day)
        run = days.start_run(days.tick())
        assert days.tick() == {}
        end_runs(days.instance)
        ended = days.instance.get_run_by_id(run)
        assert ended
        assert ended.is_finished
    assert days.tick()["events/recording_matches"] == ["2011-03-05"]
    assert days.tick(timedelta(days=1))["events/recording_matches"] == ["2011-03-05", "2012-03-05"]


def test_a_day_built_by_hand_triggers_downstream_tables(days: Days) -> None:
    days.imported("2011-03-05")
    for _ in range(3):
        days.build(days.tick())
    days.materialize("events/listens", "2011-03-05")
    requested = days.tick()
    assert "events/listens" not in requested
    assert requested["derived/recording_plays"] == ["2011-03-05"]
    assert requested["events/sessions"] == ["2011-03-04", "2011-03-05", "2011-03-06"]


def test_only_dated_tables_have_a_condition() -> None:
    defs = platform()
    graph = defs.resolve_asset_graph()
    for spec in defs.resolve_all_asset_specs():
        dated = spec.partitions_def is not None and graph.get(spec.key).is_materializable
        assert (spec.automation_condition is not None) == dated, spec.key
        custom = spec.replace_attributes(automation_condition=dg.AutomationCondition.missing())
        assert following(graph, custom) == custom.automation_condition


PRINT_CONDITIONS = """
from orchestration.definitions import defs
specs = {s.key.to_user_string(): s.automation_condition for s in defs.resolve_all_asset_specs()}
print([(name, str(condition)) for name, condition in sorted(specs.items()) if condition])
"""


def test_conditions_are_the_same_in_every_process(tmp_path: Path) -> None:
    seeds = [Process((sys.executable, "-c", PRINT_CONDITIONS), tmp_path / n, {"PYTHONHASHSEED": n}) for n in ("1", "2")]
    assert seeds[0].fine().out == seeds[1].fine().out != "[]"


def test_a_daemon_that_lost_its_cursor_still_sees_new_imports() -> None:
    """Dagster loses it if it resumes a tick that was killed while it requested runs."""
    defs, instance = platform(), dg.DagsterInstance.ephemeral()

    def made(asset: dg.AssetKey, day: str) -> None:
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=day))

    def tick(cursor: str | None) -> tuple[list[str], str | None]:
        """Return the requested days of listens and the cursor. Materialize everything requested."""
        with dg.build_sensor_context(instance, cursor, definitions=defs) as context:
            result = defs.resolve_sensor_def("automation").evaluate_tick(context)
        found = [day for run in result.run_requests or () if LISTENS in (run.asset_selection or ()) for day in of(run)]
        for run in result.run_requests or ():
            for asset in run.asset_selection or ():
                for day in of(run):
                    made(asset, day)  # type: ignore[arg-type]
        return sorted(found), result.cursor

    def of(run: dg.RunRequest) -> list[str]:
        days = (date.fromisoformat(run.tags[place]) for place in (RANGE_START, RANGE_END))
        first, last = days
        return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]

    _, cursor = tick(None)
    made(dg.AssetKey(["events", "raw_listens"]), "2011-03-05")
    assert tick(cursor)[0] == around("2011-03-05", 1, 1)
    made(dg.AssetKey(["events", "raw_listens"]), "2014-07-01")
    assert "2014-07-01" in tick(None)[0] + tick(None)[0]  # newer days come first


class Ticks:
    """Ticks of the sensor. Evaluations are only counted: the cursor of the nth one is n."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.instance = dg.DagsterInstance.ephemeral()
        self.run_requests: list[dg.RunRequest] | None = None
        self.cursor: str | None = None
        self.clock = 1_800_000_000
        monkeypatch.setattr(dg.AutomationConditionSensorDefinition, "evaluate_tick", self._evaluate)
        monkeypatch.setattr("orchestration.automation.time", SimpleNamespace(time=lambda: self.clock))

    def _evaluate(self, context: dg.SensorEvaluationContext) -> SensorExecutionData:
        return SensorExecutionData(cursor=f"{int(context.cursor or 0) + 1}", run_requests=self.run_requests)

    def evaluates(self) -> bool:
        """Return whether the next tick evaluates the conditions."""
        with dg.build_sensor_context(self.instance, self.cursor, definitions=platform()) as context:
            result: SensorExecutionData = platform().resolve_sensor_def("automation").evaluate_tick(context)
        before, self.cursor = self.cursor, result.cursor
        return self.cursor != before

    def materialize(self, table: str) -> None:
        """Report that a day of a table was materialized."""
        self.instance.report_runless_asset_event(dg.AssetMaterialization(table.split("/"), partition="2011-03-05"))


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Ticks:
    """A sensor after one tick that requested nothing."""
    ticks = Ticks(monkeypatch)
    assert ticks.evaluates()
    return ticks


def test_evaluates_conditions_after_an_event_and_each_minute(ticks: Ticks) -> None:
    assert not ticks.evaluates()
    ticks.materialize("events/listens")
    assert ticks.evaluates()
    assert not ticks.evaluates()
    ticks.clock += MAX_PAUSE_S
    assert ticks.evaluates()
    assert not ticks.evaluates()
    ticks.cursor = "1"  # the daemon was killed before it stored the last cursor
    assert ticks.evaluates()


def test_during_runs_only_imports_cause_an_evaluation(ticks: Ticks) -> None:
    ticks.materialize("events/raw_listens")
    ticks.run_requests = [request("2011-03-05", "events/listens")]
    assert ticks.evaluates()
    assert ticks.evaluates()  # no run is queued: the daemon was killed before it started one
    run = ticks.instance.add_run(dg.DagsterRun("daily", status=dg.DagsterRunStatus.STARTED, tags={AUTOMATIC: "yes"}))
    assert not ticks.evaluates()
    ticks.materialize("events/listens")
    assert not ticks.evaluates()
    ticks.materialize("events/raw_listens")
    assert ticks.evaluates()
    assert not ticks.evaluates()
    ticks.clock += MAX_PAUSE_S
    assert ticks.evaluates()
    ticks.instance.report_run_canceled(run)
    assert ticks.evaluates()


# The runs for the requests.

A, B, C = (dg.AssetKey(name) for name in "abc")
LEVEL = {A: 0, B: 1, C: 2}


def made(found: list[Piece]) -> dict[dg.AssetKey, set[int]]:
    """Return the indexes that runs build of each asset."""
    return {a: {n for p in found if a in p.assets for n in range(p.first, p.last + 1)} for a in LEVEL}


def test_a_day_runs_with_all_its_tables_and_neighbors_after_it() -> None:
    found = pieces({A: {7}, B: {6, 7, 8}, C: {7, 8}}, LEVEL, newest=8)
    assert found == [
        Piece(frozenset({A, B, C}), 7, 7),
        Piece(frozenset({B}), 6, 6),
        Piece(frozenset({B, C}), 8, 8, urgent=True),
    ]


def test_few_days_run_exactly_and_many_in_few_ranges() -> None:
    few = {3, 5, 400}
    assert made(pieces({A: few}, LEVEL))[A] == few
    many = set(range(0, 3000, 3))
    found = pieces({A: many}, LEVEL)
    assert len(found) <= MAX_RUNS
    assert made(found)[A] >= many


def test_a_long_range_is_cut_with_overlap() -> None:
    all_days = set(range(3 * LONG))
    found = pieces({A: all_days, B: all_days}, LEVEL, newest=3 * LONG - 1, ahead=1)
    assert [(p.first, p.last, p.urgent) for p in found] == [
        (3 * LONG - 1, 3 * LONG - 1, True),  # today does not wait for years of history
        (0, LONG - 1, False),
        (LONG - 1, 2 * LONG - 1, False),
        (2 * LONG - 1, 3 * LONG - 1, False),
    ]


@given(st.dictionaries(st.sampled_from([A, B, C]), st.sets(st.integers(0, 1500), max_size=30)), st.integers(0, 2))
@example({}, 0)
@example({A: set()}, 0)
def test_runs_build_everything_requested_and_little_else(days: dict[dg.AssetKey, set[int]], ahead: int) -> None:
    found = pieces(days, LEVEL, 1500, ahead)
    for asset, places in made(found).items():
        requested = sorted(days.get(asset, ()))
        assert set(requested) <= places
        assert all(
            any(b - n >= 0 or n - a <= GAPS[-1] for a, b in pairwise(requested)) for n in places - set(requested)
        )
        assert not places or (min(places), max(places)) == (requested[0], requested[-1])
    assert all(piece.last - piece.first < LONG + ahead for piece in found)
    levels = [min(LEVEL[a] for a in piece.assets) for piece in found]
    assert levels == sorted(levels)


def request(key: str, *assets: str) -> dg.RunRequest:
    return dg.RunRequest(asset_selection=[dg.AssetKey(a.split("/")) for a in assets], partition_key=key)


def test_requests_become_ranges_without_partitions_already_queued() -> None:
    graph = platform().resolve_asset_graph()
    today, yesterday = TODAY.isoformat(), (TODAY - timedelta(days=1)).isoformat()
    requested = [
        request(today, "events/listens", "events/sessions"),
        request(yesterday, "events/sessions"),
        request("2011-03-05", "events/listens"),
        request("2011-03-06", "events/listens"),
    ]
    found = {r.tags[RANGE_START]: r for r in gathered(requested, graph, [])}
    assert {start: (r.tags[RANGE_END], r.tags.get(PRIORITY)) for start, r in found.items()} == {
        "2011-03-05": ("2011-03-06", None),
        today: (today, "2"),
        yesterday: (yesterday, None),
    }
    assert all(r.tags[AUTOMATIC] == "yes" and r.partition_key is None for r in found.values())
    waiting = dg.DagsterRun(
        job_name="__ASSET_JOB",
        asset_selection=frozenset({dg.AssetKey(["events", "listens"])}),
        tags=over(dg.PartitionKeyRange("2011-03-01", "2011-03-05")),
    )
    remaining = {r.tags[RANGE_START]: r for r in gathered(requested, graph, [waiting])}
    assert set(remaining) == {"2011-03-06", today, yesterday}
    with_gap = waiting.with_tags({**waiting.tags, **as_tag([(date(2011, 3, 1), date(2011, 3, 4))])})
    assert set(over(dg.PartitionKeyRange("2011-03-05", "2011-03-06")).items()) in [
        {(k, v) for k, v in r.tags.items() if k in (RANGE_START, RANGE_END)}
        for r in gathered(requested, graph, [with_gap])
    ]


def test_history_is_requested_in_parts_and_today_at_once() -> None:
    graph = platform().resolve_asset_graph()
    today = TODAY.isoformat()
    requested = [request(f"{year}-03-05", "events/listens") for year in range(2005, 2015)]
    requested.append(request(today, "events/listens"))
    found = gathered(requested, graph, [])
    assert [r.tags[RANGE_START] for r in found] == [today, "2005-03-05", "2006-03-05", "2007-03-05"]
    waiting = [dg.DagsterRun(job_name="__ASSET_JOB", tags=r.tags, asset_selection=frozenset()) for r in found[1:]]
    assert len(waiting) == MAX_QUEUED
    assert [r.tags[RANGE_START] for r in gathered(requested, graph, waiting)] == [today]


def test_cumulative_runs_wait_and_never_take_every_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = {job.name: job.tags for job in platform().get_repository_def().get_all_jobs()}
    assert [name for name, t in tags.items() if CUMULATIVE in t] == ["all_time"]
    assert int(tags["all_time"][PRIORITY]) < 0
    assert (tags["daily_close"][AUTOMATIC], int(tags["daily_close"][PRIORITY]) < 0) == ("yes", True)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    shutil.copy(PROJECT / "orchestration" / "instance" / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.get() as instance:
        queue = instance.get_concurrency_config().run_queue_config
    assert queue
    limits = {limit["key"]: limit["limit"] for limit in queue.tag_concurrency_limits}
    assert limits == {AUTOMATIC: 1, CUMULATIVE: 1}
    assert queue.max_concurrent_runs > len(limits)  # imports always have a slot
