"""The platform as Dagster loads it: fast, in every environment, described, and wired as the snapshot shows."""

import json
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.groups import GROUP_OF, GROUPS
from assets.partitions import DAILY
from assets.tables import SCHEMAS, SORT_KEYS
from orchestration.definitions import build
from orchestration.run_tags import RANGE_END, RANGE_START
from orchestration.schedules import close_day
from resources.dates import DAYS
from resources.environments import ENVIRONMENTS
from resources.errors import TuttiError
from tests.orchestration.support import BIN, DAGSTER, PROJECT, TUTTI, Process, platform
from tests.snapshot import PAGE, RENEW, page

VALIDATE = ("definitions", "validate", "-w", str(PROJECT / "workspace.yaml"))
ENGINES = {name: engine().name.value for name, engine in ENVIRONMENTS.items()}
HEAVY = ("pandas", "polars", "duckdb", "dask", "distributed", "pyspark", "dagster_pyspark", "deltalake")
MOST_SECONDS = 2.0  # of CPU time to load the platform, beyond loading Dagster itself

JOBS_WITHOUT_TABLES = {
    "erase_listener",
    "export_listener",
    "pull_listens",
    "pull_lyrics",
    "pull_metadata",
    "maintenance",
}

# What a process does that loads the platform: seconds it takes, once Dagster is loaded, and modules that came along.
LOADING = f"""
import json, sys, time
import dagster
began = time.process_time()
import orchestration.definitions
seconds = time.process_time() - began
print(json.dumps([seconds, [m for m in {HEAVY!r} if m in sys.modules]]))
"""


@pytest.fixture(scope="module", params=sorted(ENGINES))
def environment(request: pytest.FixtureRequest) -> str:
    """Every environment in turn."""
    return str(request.param)


def keys(found: Any) -> list[str]:
    """Asset keys as people write them."""
    return sorted(k.to_user_string() for k in found)


def test_loading_is_fast_and_brings_no_engine(environment: str, tmp_path: Path) -> None:
    took = []
    for _ in range(3):  # the bound is on what loading costs, not on what else the machine does
        process = Process((sys.executable, "-c", LOADING), tmp_path, {"TUTTI_ENV": environment}, forks=False).fine()
        seconds, came_along = json.loads(process.out)
        assert came_along == []
        took.append(seconds)
        if seconds < MOST_SECONDS:
            break
    assert min(took) < MOST_SECONDS


def test_the_tables_are_those_of_the_snapshot_in_every_environment(environment: str) -> None:
    assert page(platform(environment)).splitlines() == PAGE.read_text().splitlines(), f"if this is right, `{RENEW}`"


def test_the_registry_declares_every_table_of_the_graph() -> None:
    assert sorted(SCHEMAS) == sorted(SORT_KEYS) == keys(platform().resolve_asset_graph().get_all_asset_keys())


def test_a_range_of_partitions_is_one_run() -> None:
    graph = platform().resolve_asset_graph()
    made = [n for n in graph.asset_nodes if n.is_materializable and n.partitions_def]
    assert made
    assert {node.backfill_policy for node in made} == {dg.BackfillPolicy.single_run()}


def test_every_check_blocks() -> None:
    graph = platform().resolve_asset_graph()
    assert graph.asset_check_keys
    assert [key for key in graph.asset_check_keys if not graph.get(key).blocking] == []


def made_by(job: str) -> list[str]:
    """Return the tables that a job builds."""
    return keys(platform().resolve_job_def(job).asset_layer.executable_asset_keys)


def test_sensors_and_schedules_are_these() -> None:
    repository = platform().get_repository_def()
    running = dg.DefaultSensorStatus.RUNNING
    sensors = {s.name: s.default_status for s in repository.sensor_defs}
    assert sensors == dict.fromkeys(("automation", "catalog_after_pull", "landing_files", "music_folder"), running)
    assert {s.name: (s.job_name, s.cron_schedule, s.default_status.value) for s in repository.schedule_defs} == {
        "close_day": ("daily_close", "15 1 * * *", "RUNNING"),
        "weekly_maintenance": ("maintenance", "30 3 * * 0", "RUNNING"),
        "monthly_catalog": ("build_catalog", "30 4 1 * *", "STOPPED"),
        "weekly_metadata": ("pull_metadata", "30 4 * * 6", "STOPPED"),
    }


def test_the_day_before_is_closed_also_after_a_night_the_daemon_slept_through() -> None:
    for tick in (datetime(2024, 3, 1, 1, 15, tzinfo=UTC), datetime(2024, 3, 2, 1, 15, tzinfo=UTC)):
        with dg.instance_for_test() as instance:
            (request,) = closing(instance, tick)
        assert request.partition_key == (tick.date() - timedelta(days=1)).isoformat()


def test_the_daily_close_also_asks_for_days_that_a_killed_daemon_forgot() -> None:
    with dg.instance_for_test() as instance:
        for day in ("2019-05-01", "2019-05-03"):
            instance.report_runless_asset_event(dg.AssetMaterialization(["events", "raw_listens"], partition=day))
        _, forgotten = closing(instance, datetime(2024, 3, 1, 1, 15, tzinfo=UTC))
    others = {"events/app_event_schema", "events/posts", "events/shares"}  # of which no listen tells
    assert {*keys(forgotten.asset_selection or ())} == {*made_by("daily")} - others
    assert (forgotten.tags[RANGE_START], forgotten.tags[RANGE_END]) == ("2019-04-29", "2019-05-05")


def test_the_daily_close_asks_for_forgotten_days_of_application_events_too() -> None:
    with dg.instance_for_test() as instance:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(["events", "raw_app_events"], partition="2019-05-01")
        )
        _, forgotten = closing(instance, datetime(2024, 3, 1, 1, 15, tzinfo=UTC))
    assert (forgotten.tags[RANGE_START], forgotten.tags[RANGE_END]) == ("2019-04-29", "2019-05-03")


def test_the_daily_close_asks_for_scattered_days_whose_run_failed_in_two_runs() -> None:
    tick = datetime(2024, 3, 1, 1, 15, tzinfo=UTC)
    with dg.instance_for_test() as instance:
        for day in ("2009-05-01", "2014-05-01", "2019-05-01"):
            instance.report_runless_asset_event(dg.AssetMaterialization(["events", "raw_listens"], partition=day))
        _, together = closing(instance, tick)
        instance.add_run(dg.DagsterRun("daily", status=dg.DagsterRunStatus.FAILURE, tags=together.tags))
        _, *apart = closing(instance, tick + timedelta(days=1))
    around = ["2009-04-29/2009-05-03", "2014-04-29/2014-05-03", "2019-04-29/2019-05-03"]
    assert together.tags[DAYS] == " ".join(around)
    ranges = [(each.tags[RANGE_START], each.tags[RANGE_END], each.tags.get(DAYS)) for each in apart]
    assert ranges == [("2009-04-29", "2009-05-03", None), ("2014-04-29", "2019-05-03", " ".join(around[1:]))]


def test_the_daily_close_builds_a_day_again_whose_check_failed_and_nothing_that_reads_it() -> None:
    activity, active_listeners = dg.AssetKey(["events", "daily_listening"]), dg.AssetKey(["events", "active_listeners"])
    with dg.instance_for_test() as instance:
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(activity, "sums_match_upstream", False, partition="2024-02-20")
        )
        close, again = closing(instance, datetime(2024, 3, 1, 1, 15, tzinfo=UTC))
        later, _ = closing(instance, datetime(2026, 3, 1, 1, 15, tzinfo=UTC))
    assert again.asset_selection == [activity]
    assert (again.tags[RANGE_START], again.tags[RANGE_END]) == ("2024-02-20", "2024-02-20")
    built = set(close.asset_selection or ())
    assert activity in built
    assert active_listeners not in built
    assert not {table.to_user_string() for table in built} & set(made_by("all_time"))
    assert active_listeners in (later.asset_selection or ())  # which reads no day so far back


def closing(instance: dg.DagsterInstance, tick: datetime) -> list[dg.RunRequest]:
    """What the daily close asks for."""
    repository = platform().get_repository_def()
    context = dg.build_schedule_context(instance, scheduled_execution_time=tick, repository_def=repository)
    return list(close_day(context))


def test_the_daily_close_keeps_its_tables_fresh_and_pulls_the_catalog() -> None:
    fresh: dict[str, list[str]] = {}
    for spec in platform().resolve_all_asset_specs():
        if spec.freshness_policy:
            fresh.setdefault(type(spec.freshness_policy).__name__, []).append(spec.key.to_user_string())
    assert {kind: sorted(names) for kind, names in fresh.items()} == {
        "CronFreshnessPolicy": made_by("daily_close"),
        "TimeWindowFreshnessPolicy": made_by("build_catalog"),
    }


def test_one_job_builds_each_table_unless_imports_write_it() -> None:
    jobs = [j.name for j in platform().get_repository_def().get_all_jobs() if not j.name.startswith("__")]
    made = {job: made_by(job) for job in jobs if job != "daily_close"}
    graph = platform().resolve_asset_graph()
    by_imports = [
        node.key for node in graph.asset_nodes if node.partitions_def and keys(node.parent_keys) == ["events/imports"]
    ]
    assert sorted([*chain(*made.values()), *keys(by_imports)]) == sorted(SCHEMAS)
    by_day = {node.key.to_user_string() for node in graph.asset_nodes if node.partitions_def == DAILY}
    ever = set(made["all_time"])
    assert set(made_by("daily_close")) == by_day - set(keys(by_imports)) | ever
    assert {job for job, tables in made.items() if not tables} == JOBS_WITHOUT_TABLES


def test_groups_name_tables_that_exist() -> None:
    assert GROUP_OF.keys() <= SCHEMAS.keys()


def test_every_asset_says_what_it_is(environment: str) -> None:
    for spec in build(environment).resolve_all_asset_specs():
        name = spec.key.to_user_string()
        assert spec.group_name in GROUPS, name  # else a group of its own, named as its layer
        assert spec.description, name
        assert list(spec.owners) == ["team:tutti"], name
        assert {ENGINES[environment], "deltalake"} <= spec.kinds, name
        assert not spec.kinds & (set(ENGINES.values()) - {ENGINES[environment]}), name
        columns = spec.metadata["dagster/column_schema"].columns
        assert columns, name
        assert [c.name for c in columns if not c.description] == [], name
        if spec.partitions_def:
            assert spec.metadata["partition_expr"] in {c.name for c in columns}, name


OTHERS = ("other_id", "followed_id", "user_a", "user_b", "mentions")  # persons whom a person has to do with
PERSONAL = ("user_id", "listener", "raw", "creator", "extra", *OTHERS)


def test_columns_about_persons_are_marked() -> None:
    for spec in platform().resolve_all_asset_specs():
        for column in spec.metadata["dagster/column_schema"].columns:
            said = column.name == "text" and spec.key.path[-1] in ("posts", "raw_posts")  # of lyrics it is another's
            assert ("personal" in column.tags) == (column.name in PERSONAL or said), (
                spec.key,
                column,
            )


def test_an_unknown_environment_is_told_in_one_line_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(TuttiError) as told:
        build("moon")
    line = str(told.value)
    assert "'moon'" in line
    assert "\n" not in line
    assert all(name in line for name in ENVIRONMENTS)
    wrong = {"TUTTI_ENV": "moon"}
    own = Process((*TUTTI, "import", "--listener", "ada", "--", "file.json"), tmp_path / "own", wrong)
    loaded = Process((sys.executable, "-c", "import orchestration.definitions"), tmp_path / "loaded", wrong)
    validated = Process((*DAGSTER, *VALIDATE), tmp_path / "validated", wrong)
    assert (own.code, own.err) == (1, f"tutti: {line}\n")
    assert loaded.code != 0
    assert loaded.err.rstrip().endswith(line)
    assert validated.code != 0
    assert line in (validated.out + validated.err)


def test_the_workspace_loads_from_another_folder(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    process = Process((str(BIN / "dagster"), *VALIDATE), tmp_path, cwd=elsewhere).fine()  # no fork: it has loaded it
    assert "Validation successful for code location tutti" in process.out + process.err
    assert not list(elsewhere.iterdir())


BEGINS = {
    "daily": lambda day: day,
    "weekly": lambda day: day - timedelta(days=day.weekday()),  # on Mondays
    "monthly": lambda day: day.replace(day=1),
    "yearly": lambda day: day.replace(month=1, day=1),
}


@pytest.mark.parametrize("period", BEGINS)
def test_partitions_are_named_by_their_first_day_and_reach_from_the_first_listen_to_today(period: str) -> None:
    today = datetime.now(UTC).date()
    specs = {s.key.to_user_string(): s for s in platform().resolve_all_asset_specs()}
    partitions = specs[f"derived/charts_{period}"].partitions_def
    assert partitions
    found = [date.fromisoformat(k) for k in partitions.get_partition_keys()]
    now = datetime.now(UTC).date()  # midnight may have struck in between
    assert found[-1] in (BEGINS[period](today), BEGINS[period](now))
    days = (date(2002, 10, 1) + timedelta(days=n) for n in range((found[-1] - date(2002, 10, 1)).days + 1))
    assert found == sorted({BEGINS[period](day) for day in days})
