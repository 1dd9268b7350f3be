"""What follows by itself: which partitions are asked for once others have changed, and in which runs."""

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


# The conditions, on events that Dagster was told of.

PLAYS = ("events/listens", "derived/recording_plays", "derived/artist_plays", "derived/display_names")
LISTENS = dg.AssetKey(["events", "listens"])
NOON = datetime(2024, 5, 15, 12, 20, tzinfo=UTC)  # a Wednesday


def around(day: str, before: int, after: int) -> list[str]:
    """A day, and so many before and after it."""
    return [(date.fromisoformat(day) + timedelta(days=n)).isoformat() for n in range(-before, after + 1)]


class Days:
    """Tables by day as Dagster knows them, and what the conditions ask for from one look to the next."""

    def __init__(self) -> None:
        self.instance = dg.DagsterInstance.ephemeral()
        self.defs = platform()
        self.now = NOON
        self.cursor: object = None
        self.look()

    def made(self, table: str, *partitions: str | None) -> None:
        """Partitions of a table are made, one after the other."""
        for partition in partitions or (None,):
            told = dg.AssetMaterialization(table.split("/"), partition=partition)
            self.instance.report_runless_asset_event(told)

    def imported(self, *days: str) -> None:
        """Listens of these days are imported."""
        self.made("events/raw_listens", *days)

    def begun(self, asked: Mapping[str, list[str]]) -> str:
        """A run that is to make what was asked for begins, on a server that will soon be gone; its id."""
        server = {"host": "localhost", "socket": "/nobody/listens/here"}
        tags = {GRPC_INFO_TAG: json.dumps(server)}
        run = self.instance.add_run(dg.DagsterRun("daily", status=dg.DagsterRunStatus.STARTED, tags=tags))
        for table, partitions in asked.items():
            for partition in partitions:
                planned = AssetMaterializationPlannedData(dg.AssetKey(table.split("/")), partition=partition)
                event = DagsterEvent.build_asset_materialization_planned_event("daily", table, planned)
                self.instance.report_dagster_event(event, run.run_id)
        return run.run_id

    def look(self, later: timedelta = timedelta(seconds=5)) -> dict[str, list[str]]:
        """What is asked for now, by table."""
        self.now += later
        told = dg.evaluate_automation_conditions(
            self.defs,
            self.instance,
            cursor=self.cursor,
            evaluation_time=self.now,  # type: ignore[arg-type]
        )
        self.cursor = told.cursor
        subsets = {r.key.to_user_string(): r.true_subset for r in told.results if not r.true_subset.is_empty}
        return {name: sorted(subset.expensively_compute_partition_keys()) for name, subset in subsets.items()}

    def follow(self, asked: Mapping[str, list[str]]) -> None:
        """All that was asked for is made, in the order of the graph."""
        for key in self.defs.resolve_asset_graph().toposorted_asset_keys:
            if found := asked.get(key.to_user_string()):
                self.made(key.to_user_string(), *found)


def made_of(table: str) -> set[str]:
    """The tables that are made of this one, directly or through others."""
    graph, source = platform().resolve_asset_graph(), dg.AssetKey(table.split("/"))
    return {key.to_user_string() for key in graph.get_all_asset_keys() if source in graph.get_ancestor_asset_keys(key)}


def failed(instance: dg.DagsterInstance) -> None:
    """Every run that is at work fails."""
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        instance.report_run_failed(run)


@pytest.fixture
def days() -> Days:
    """An empty platform that was looked at once."""
    return Days()


def test_an_imported_day_is_asked_for_with_all_that_is_made_of_it_and_its_neighbors_where_they_read_it(
    days: Days,
) -> None:
    first = {
        "events/recording_matches": ["2011-03-05"],
        "events/duplicate_listens": around("2011-03-05", 1, 1),
        **{name: around("2011-03-05", 1, 1) for name in PLAYS},
        "events/daily_listening": around("2011-03-05", 1, 1),
        "events/app_events": ["2011-03-05"],  # whose names may be known now
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
        asked = days.look()
        assert {name: found for name, found in asked.items() if name in first | then} == expected
        assert asked.keys() <= made_of("events/raw_listens")
        days.follow(asked)
    assert days.look() == {}


def test_a_day_of_application_events_is_asked_for_with_what_is_made_of_them_and_nothing_else(days: Days) -> None:
    days.made("events/raw_app_events", "2011-03-05")
    expected = {
        "events/app_events": ["2011-03-05"],
        "events/app_event_schema": ["2011-03-05"],
        "events/daily_app_usage": around("2011-03-05", 1, 1),
    }
    asked = days.look()
    assert asked | expected == asked
    assert asked.keys() <= made_of("events/raw_app_events")
    days.follow(asked)
    assert days.look() == {}


def test_a_day_of_posts_or_shares_is_asked_for_without_its_listens(days: Days) -> None:
    days.made("events/raw_posts", "2011-03-05")
    days.made("events/raw_shares", "2011-03-07")
    asked = days.look()
    assert asked | {"events/posts": ["2011-03-05"], "events/shares": ["2011-03-07"]} == asked
    assert asked.keys() <= made_of("events/raw_posts") | made_of("events/raw_shares")
    days.follow(asked)
    assert days.look() == {}


def test_today_and_days_long_ago_are_asked_for_at_once_and_no_day_between(days: Days) -> None:
    today = NOON.date().isoformat()
    days.imported("2005-01-31", "2019-07-07", today)
    near = [*around("2005-01-31", 1, 1), *around("2019-07-07", 1, 1), *around(today, 1, 0)]
    assert days.look()["events/listens"] == near


def test_quiet_days_hold_up_nothing(days: Days) -> None:
    """A week of which one day alone has listens, and whose other days were never made."""
    days.imported("2024-04-10")
    days.follow(days.look())
    assert days.look()["derived/charts_weekly"] == ["2024-04-08", "2024-04-15"]


def test_what_has_no_days_makes_nothing_follow(days: Days) -> None:
    days.imported("2011-03-05")
    for _ in range(2):
        days.follow(days.look())
    for name in ("content/recordings", "content/lyrics", "events/imports", "events/quarantine"):
        days.made(name)
    assert days.look() == {}


def test_a_new_day_begins_without_anything_being_asked_for(days: Days) -> None:
    assert days.look(timedelta(days=1)) == {}


def test_the_current_periods_are_made_at_most_hourly_and_past_ones_at_once(days: Days) -> None:
    today = NOON.date().isoformat()
    charts = {"derived/charts_weekly", "derived/charts_monthly", "derived/charts_yearly"}

    def listen() -> set[str]:
        days.imported(today)
        days.follow(days.look())
        asked = days.look()
        days.follow(asked)
        return set(asked)

    assert listen() == charts  # for the first time at once
    days.look()
    assert listen() == set()
    assert listen() == set()
    assert set(days.look(timedelta(hours=1))) == charts
    days.follow({name: [] for name in charts})
    days.imported("2024-05-08")
    days.follow(days.look())
    assert "2024-05-06" in days.look()["derived/charts_weekly"]


def test_what_was_imported_while_a_day_was_made_is_not_lost(days: Days) -> None:
    """An import writes after listens were read and before they are written."""
    days.imported("2011-03-05")
    asked = days.look()
    days.imported("2011-03-05")
    days.follow(asked)
    assert days.look()["events/listens"] == around("2011-03-05", 1, 1)


def test_what_a_killed_run_was_to_make_is_asked_for_at_once_and_what_failed_at_the_daily_close(days: Days) -> None:
    for day, in_vain in (("2012-03-05", failed), ("2011-03-05", bury_launched)):
        days.imported(day)
        run = days.begun(days.look())
        assert days.look() == {}
        in_vain(days.instance)
        told = days.instance.get_run_by_id(run)
        assert told
        assert told.is_finished
    assert days.look()["events/recording_matches"] == ["2011-03-05"]
    assert days.look(timedelta(days=1))["events/recording_matches"] == ["2011-03-05", "2012-03-05"]


def test_a_day_made_by_hand_is_followed(days: Days) -> None:
    days.imported("2011-03-05")
    for _ in range(3):
        days.follow(days.look())
    days.made("events/listens", "2011-03-05")
    asked = days.look()
    assert "events/listens" not in asked
    assert asked["derived/recording_plays"] == ["2011-03-05"]
    assert asked["events/sessions"] == ["2011-03-04", "2011-03-05", "2011-03-06"]


def test_cumulative_tables_are_asked_for_by_no_condition() -> None:
    defs = platform()
    graph = defs.resolve_asset_graph()
    for spec in defs.resolve_all_asset_specs():
        dated = spec.partitions_def is not None and graph.get(spec.key).is_materializable
        assert (spec.automation_condition is not None) == dated, spec.key
        own = spec.replace_attributes(automation_condition=dg.AutomationCondition.missing())
        assert following(graph, own) == own.automation_condition  # a table's own condition wins


TEXTS = """
from orchestration.definitions import defs
specs = {s.key.to_user_string(): s.automation_condition for s in defs.resolve_all_asset_specs()}
print([(name, str(condition)) for name, condition in sorted(specs.items()) if condition])
"""


def test_conditions_are_the_same_in_every_process_so_that_a_restart_forgets_nothing(tmp_path: Path) -> None:
    seeds = [Process((sys.executable, "-c", TEXTS), tmp_path / n, {"PYTHONHASHSEED": n}) for n in ("1", "2")]
    assert seeds[0].fine().out == seeds[1].fine().out != "[]"


def test_a_killed_daemon_that_forgot_its_cursor_follows_what_was_imported_meanwhile() -> None:
    """Dagster forgets it where it goes on with a look that was cut off while it asked for runs."""
    defs, instance = platform(), dg.DagsterInstance.ephemeral()

    def made(asset: dg.AssetKey, day: str) -> None:
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=day))

    def look(cursor: str | None) -> tuple[list[str], str | None]:
        """The days of listens that are asked for, which are made at once, and the cursor."""
        with dg.build_sensor_context(instance, cursor, definitions=defs) as context:
            told = defs.resolve_sensor_def("automation").evaluate_tick(context)
        found = [day for run in told.run_requests or () if LISTENS in (run.asset_selection or ()) for day in of(run)]
        for run in told.run_requests or ():
            for asset in run.asset_selection or ():
                for day in of(run):
                    made(asset, day)  # type: ignore[arg-type]
        return sorted(found), told.cursor

    def of(run: dg.RunRequest) -> list[str]:
        days = (date.fromisoformat(run.tags[place]) for place in (RANGE_START, RANGE_END))
        first, last = days
        return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]

    _, cursor = look(None)
    made(dg.AssetKey(["events", "raw_listens"]), "2011-03-05")
    assert look(cursor)[0] == around("2011-03-05", 1, 1)
    made(dg.AssetKey(["events", "raw_listens"]), "2014-07-01")
    assert "2014-07-01" in look(None)[0] + look(None)[0]  # what is above the days of before comes first


class Ticks:
    """Ticks of the sensor, whose evaluations are counted instead of made. The nth one's cursor is n."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.instance = dg.DagsterInstance.ephemeral()
        self.asks: list[dg.RunRequest] | None = None
        self.cursor: str | None = None
        self.clock = 1_800_000_000
        monkeypatch.setattr(dg.AutomationConditionSensorDefinition, "evaluate_tick", self._evaluate)
        monkeypatch.setattr("orchestration.automation.time", SimpleNamespace(time=lambda: self.clock))

    def _evaluate(self, context: dg.SensorEvaluationContext) -> SensorExecutionData:
        return SensorExecutionData(cursor=f"{int(context.cursor or 0) + 1}", run_requests=self.asks)

    def evaluates(self) -> bool:
        """Whether the next tick evaluates the conditions."""
        with dg.build_sensor_context(self.instance, self.cursor, definitions=platform()) as context:
            result: SensorExecutionData = platform().resolve_sensor_def("automation").evaluate_tick(context)
        before, self.cursor = self.cursor, result.cursor
        return self.cursor != before

    def made(self, table: str) -> None:
        """A day of a table is made."""
        self.instance.report_runless_asset_event(dg.AssetMaterialization(table.split("/"), partition="2011-03-05"))


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Ticks:
    """A platform whose sensor has looked once, and asked for nothing."""
    ticks = Ticks(monkeypatch)
    assert ticks.evaluates()
    return ticks


def test_conditions_are_evaluated_after_an_event_and_each_minute(ticks: Ticks) -> None:
    assert not ticks.evaluates()
    ticks.made("events/listens")
    assert ticks.evaluates()
    assert not ticks.evaluates()
    ticks.clock += MAX_PAUSE_S
    assert ticks.evaluates()
    assert not ticks.evaluates()
    ticks.cursor = "1"  # the daemon was killed before it kept the last one
    assert ticks.evaluates()


def test_while_runs_are_at_work_conditions_are_evaluated_after_imports_alone(ticks: Ticks) -> None:
    ticks.made("events/raw_listens")
    ticks.asks = [request("2011-03-05", "events/listens")]
    assert ticks.evaluates()
    assert ticks.evaluates()  # no run waits: the daemon was killed before it started any
    run = ticks.instance.add_run(dg.DagsterRun("daily", status=dg.DagsterRunStatus.STARTED, tags={AUTOMATIC: "yes"}))
    assert not ticks.evaluates()
    ticks.made("events/listens")
    assert not ticks.evaluates()
    ticks.made("events/raw_listens")
    assert ticks.evaluates()
    assert not ticks.evaluates()
    ticks.clock += MAX_PAUSE_S
    assert ticks.evaluates()
    ticks.instance.report_run_canceled(run)
    assert ticks.evaluates()


# The runs that they become.

A, B, C = (dg.AssetKey(name) for name in "abc")
LEVEL = {A: 0, B: 1, C: 2}


def made(found: list[Piece]) -> dict[dg.AssetKey, set[int]]:
    """The places that runs make of each asset."""
    return {a: {n for p in found if a in p.assets for n in range(p.first, p.last + 1)} for a in LEVEL}


def test_a_day_goes_with_all_its_tables_and_its_neighbors_after_it() -> None:
    found = pieces({A: {7}, B: {6, 7, 8}, C: {7, 8}}, LEVEL, newest=8)
    assert found == [
        Piece(frozenset({A, B, C}), 7, 7),
        Piece(frozenset({B}), 6, 6),
        Piece(frozenset({B, C}), 8, 8, urgent=True),
    ]


def test_few_days_are_made_exactly_and_many_scattered_ones_in_few_runs_over_ranges() -> None:
    few = {3, 5, 400}
    assert made(pieces({A: few}, LEVEL))[A] == few
    many = set(range(0, 3000, 3))
    found = pieces({A: many}, LEVEL)
    assert len(found) <= MAX_RUNS
    assert made(found)[A] >= many


def test_a_long_range_is_cut_and_what_reads_ahead_of_a_cut_is_made_once_more() -> None:
    whole = set(range(3 * LONG))
    found = pieces({A: whole, B: whole}, LEVEL, newest=3 * LONG - 1, ahead=1)
    assert [(p.first, p.last, p.urgent) for p in found] == [
        (3 * LONG - 1, 3 * LONG - 1, True),  # today does not wait for years of history
        (0, LONG - 1, False),
        (LONG - 1, 2 * LONG - 1, False),
        (2 * LONG - 1, 3 * LONG - 1, False),
    ]


@given(st.dictionaries(st.sampled_from([A, B, C]), st.sets(st.integers(0, 1500), max_size=30)), st.integers(0, 2))
@example({}, 0)
@example({A: set()}, 0)
def test_runs_make_all_that_was_wanted_and_little_else(wanted: dict[dg.AssetKey, set[int]], ahead: int) -> None:
    found = pieces(wanted, LEVEL, 1500, ahead)
    for asset, places in made(found).items():
        asked = sorted(wanted.get(asset, ()))
        assert set(asked) <= places
        assert all(any(b - n >= 0 or n - a <= GAPS[-1] for a, b in pairwise(asked)) for n in places - set(asked))
        assert not places or (min(places), max(places)) == (asked[0], asked[-1])
    assert all(piece.last - piece.first < LONG + ahead for piece in found)
    levels = [min(LEVEL[a] for a in piece.assets) for piece in found]
    assert levels == sorted(levels)


def request(key: str, *assets: str) -> dg.RunRequest:
    return dg.RunRequest(asset_selection=[dg.AssetKey(a.split("/")) for a in assets], partition_key=key)


def test_requests_become_runs_over_ranges_today_first_and_none_that_waits_already() -> None:
    graph = platform().resolve_asset_graph()
    today, yesterday = TODAY.isoformat(), (TODAY - timedelta(days=1)).isoformat()
    asked = [
        request(today, "events/listens", "events/sessions"),
        request(yesterday, "events/sessions"),
        request("2011-03-05", "events/listens"),
        request("2011-03-06", "events/listens"),
    ]
    found = {r.tags[RANGE_START]: r for r in gathered(asked, graph, [])}
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
    left = {r.tags[RANGE_START]: r for r in gathered(asked, graph, [waiting])}
    assert set(left) == {"2011-03-06", today, yesterday}
    apart = waiting.with_tags({**waiting.tags, **as_tag([(date(2011, 3, 1), date(2011, 3, 4))])})
    assert set(over(dg.PartitionKeyRange("2011-03-05", "2011-03-06")).items()) in [
        {(k, v) for k, v in r.tags.items() if k in (RANGE_START, RANGE_END)} for r in gathered(asked, graph, [apart])
    ]


def test_history_is_asked_for_little_by_little_and_today_at_once() -> None:
    graph = platform().resolve_asset_graph()
    today = TODAY.isoformat()
    asked = [request(f"{year}-03-05", "events/listens") for year in range(2005, 2015)]
    asked.append(request(today, "events/listens"))
    found = gathered(asked, graph, [])
    assert [r.tags[RANGE_START] for r in found] == [today, "2005-03-05", "2006-03-05", "2007-03-05"]
    waiting = [dg.DagsterRun(job_name="__ASSET_JOB", tags=r.tags, asset_selection=frozenset()) for r in found[1:]]
    assert len(waiting) == MAX_QUEUED
    assert [r.tags[RANGE_START] for r in gathered(asked, graph, waiting)] == [today]


def test_what_reads_all_history_waits_for_the_rest_and_never_holds_every_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = {job.name: job.tags for job in platform().get_repository_def().get_all_jobs()}
    assert [name for name, t in tags.items() if CUMULATIVE in t] == ["all_time"]
    assert int(tags["all_time"][PRIORITY]) < 0
    assert (tags["daily_close"][AUTOMATIC], int(tags["daily_close"][PRIORITY]) < 0) == ("yes", True)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    shutil.copy(PROJECT / "orchestration" / "instance" / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.get() as told:
        queue = told.get_concurrency_config().run_queue_config
    assert queue
    limits = {limit["key"]: limit["limit"] for limit in queue.tag_concurrency_limits}
    assert limits == {AUTOMATIC: 1, CUMULATIVE: 1}
    assert queue.max_concurrent_runs > len(limits)  # imports have a place whatever else is at work
