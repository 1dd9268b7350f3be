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
from resources.span import EVER
from tests.orchestration.support import BIN, DAGSTER, PROJECT, TUTTI, Process, platform
from tests.snapshot import PAGE, RENEW, page

VALIDATE = ("definitions", "validate", "-w", str(PROJECT / "workspace.yaml"))
ENGINES = {name: engine().name.value for name, engine in ENVIRONMENTS.items()}
HEAVY = ("pandas", "polars", "duckdb", "dask", "distributed", "pyspark", "dagster_pyspark", "deltalake")
MAX_LOAD_S = 2.0  # CPU seconds to load the definitions, without loading Dagster itself

JOBS_WITHOUT_TABLES = {
    "erase_listener",
    "export_listener",
    "pull_listens",
    "pull_lyrics",
    "pull_metadata",
    "maintenance",
}

# Loads the definitions, and prints the CPU seconds (without Dagster) and the heavy modules that were imported.
LOAD = f"""
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


def keys(asset_keys: Any) -> list[str]:
    """Return asset keys as strings, sorted."""
    return sorted(k.to_user_string() for k in asset_keys)


def test_loading_is_fast_and_imports_no_engine(environment: str, tmp_path: Path) -> None:
    times = []
    for _ in range(3):  # a busy machine may take longer once
        process = Process((sys.executable, "-c", LOAD), tmp_path, {"TUTTI_ENV": environment}, forks=False).fine()
        seconds, imported = json.loads(process.out)
        assert imported == []
        times.append(seconds)
        if seconds < MAX_LOAD_S:
            break
    assert min(times) < MAX_LOAD_S


def test_tables_match_the_snapshot_in_every_environment(environment: str) -> None:
    assert page(platform(environment)).splitlines() == PAGE.read_text().splitlines(), f"if this is right, `{RENEW}`"


def test_the_registry_declares_every_table_of_the_graph() -> None:
    assert sorted(SCHEMAS) == sorted(SORT_KEYS) == keys(platform().resolve_asset_graph().get_all_asset_keys())


def test_a_range_of_partitions_is_one_run() -> None:
    graph = platform().resolve_asset_graph()
    dated = [n for n in graph.asset_nodes if n.is_materializable and n.partitions_def]
    assert dated
    assert {node.backfill_policy for node in dated} == {dg.BackfillPolicy.single_run()}


def test_every_check_blocks() -> None:
    graph = platform().resolve_asset_graph()
    assert graph.asset_check_keys
    assert [key for key in graph.asset_check_keys if not graph.get(key).blocking] == []


def tables_of(job: str) -> list[str]:
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


def test_the_previous_day_is_closed_even_after_a_missed_tick() -> None:
    for tick in (datetime(2024, 3, 1, 1, 15, tzinfo=UTC), datetime(2024, 3, 2, 1, 15, tzinfo=UTC)):
        with dg.instance_for_test() as instance:
            (request,) = close_requests(instance, tick)
        assert request.partition_key == (tick.date() - timedelta(days=1)).isoformat()


def test_the_daily_close_requests_stale_days() -> None:
    with dg.instance_for_test() as instance:
        for day in ("2019-05-01", "2019-05-03"):
            instance.report_runless_asset_event(dg.AssetMaterialization(["events", "raw_listens"], partition=day))
        _, stale = close_requests(instance, datetime(2024, 3, 1, 1, 15, tzinfo=UTC))
    others = {"events/app_event_schema", "events/posts", "events/shares"}  # not downstream of listens
    assert {*keys(stale.asset_selection or ())} == {*tables_of("daily")} - others
    assert (stale.tags[RANGE_START], stale.tags[RANGE_END]) == ("2019-04-29", "2019-05-05")


def test_the_daily_close_requests_stale_days_of_app_events() -> None:
    with dg.instance_for_test() as instance:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(["events", "raw_app_events"], partition="2019-05-01")
        )
        _, stale = close_requests(instance, datetime(2024, 3, 1, 1, 15, tzinfo=UTC))
    assert (stale.tags[RANGE_START], stale.tags[RANGE_END]) == ("2019-04-29", "2019-05-03")


def test_the_daily_close_halves_a_run_that_failed() -> None:
    tick = datetime(2024, 3, 1, 1, 15, tzinfo=UTC)
    with dg.instance_for_test() as instance:
        for day in ("2009-05-01", "2014-05-01", "2019-05-01"):
            instance.report_runless_asset_event(dg.AssetMaterialization(["events", "raw_listens"], partition=day))
        _, together = close_requests(instance, tick)
        instance.add_run(dg.DagsterRun("daily", status=dg.DagsterRunStatus.FAILURE, tags=together.tags))
        _, *halves = close_requests(instance, tick + timedelta(days=1))
    around = ["2009-04-29/2009-05-03", "2014-04-29/2014-05-03", "2019-04-29/2019-05-03"]
    assert together.tags[DAYS] == " ".join(around)
    ranges = [(each.tags[RANGE_START], each.tags[RANGE_END], each.tags.get(DAYS)) for each in halves]
    assert ranges == [("2009-04-29", "2009-05-03", None), ("2014-04-29", "2019-05-03", " ".join(around[1:]))]


def test_the_daily_close_rebuilds_a_failed_day_and_blocks_its_readers() -> None:
    activity, active_listeners = dg.AssetKey(["events", "daily_listening"]), dg.AssetKey(["events", "active_listeners"])
    with dg.instance_for_test() as instance:
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(activity, "sums_match_upstream", False, partition="2024-02-20")
        )
        close, again = close_requests(instance, datetime(2024, 3, 1, 1, 15, tzinfo=UTC))
        later, _ = close_requests(instance, datetime(2026, 3, 1, 1, 15, tzinfo=UTC))
    assert again.asset_selection == [activity]
    assert (again.tags[RANGE_START], again.tags[RANGE_END]) == ("2024-02-20", "2024-02-20")
    built = set(close.asset_selection or ())
    assert activity in built
    assert active_listeners not in built
    assert not {table.to_user_string() for table in built} & set(tables_of("all_time"))
    assert active_listeners in (later.asset_selection or ())  # it does not read days that far back


def close_requests(instance: dg.DagsterInstance, tick: datetime) -> list[dg.RunRequest]:
    """Return the run requests of the daily close."""
    repository = platform().get_repository_def()
    context = dg.build_schedule_context(instance, scheduled_execution_time=tick, repository_def=repository)
    return list(close_day(context))


def test_freshness_follows_the_daily_close_and_pulls() -> None:
    fresh: dict[str, list[str]] = {}
    for spec in platform().resolve_all_asset_specs():
        if spec.freshness_policy:
            fresh.setdefault(type(spec.freshness_policy).__name__, []).append(spec.key.to_user_string())
    assert {kind: sorted(names) for kind, names in fresh.items()} == {
        "CronFreshnessPolicy": tables_of("daily_close"),
        "TimeWindowFreshnessPolicy": tables_of("build_catalog"),
    }


def test_one_job_builds_each_table_unless_imports_write_it() -> None:
    jobs = [j.name for j in platform().get_repository_def().get_all_jobs() if not j.name.startswith("__")]
    by_job = {job: tables_of(job) for job in jobs if job != "daily_close"}
    graph = platform().resolve_asset_graph()
    by_imports = [
        node.key for node in graph.asset_nodes if node.partitions_def and keys(node.parent_keys) == ["events/imports"]
    ]
    assert sorted([*chain(*by_job.values()), *keys(by_imports)]) == sorted(SCHEMAS)
    by_day = {node.key.to_user_string() for node in graph.asset_nodes if node.partitions_def == DAILY}
    all_time = set(by_job["all_time"])
    assert set(tables_of("daily_close")) == by_day - set(keys(by_imports)) | all_time
    assert {job for job, tables in by_job.items() if not tables} == JOBS_WITHOUT_TABLES


def test_groups_name_tables_that_exist() -> None:
    assert GROUP_OF.keys() <= SCHEMAS.keys()


def test_every_asset_is_described(environment: str) -> None:
    for spec in build(environment).resolve_all_asset_specs():
        name = spec.key.to_user_string()
        assert spec.group_name in GROUPS, name  # else a group of its own, named as its layer
        assert spec.description, name
        assert "deltalake" in spec.kinds, name
        columns = spec.metadata["dagster/column_schema"].columns
        assert columns, name
        assert [c.name for c in columns if not c.description] == [], name
        if spec.partitions_def:
            assert spec.metadata["partition_expr"] in {c.name for c in columns}, name


def test_kinds_say_what_is_read_from_files_and_what_an_engine_computes(environment: str) -> None:
    kinds = {spec.key.to_user_string(): spec.kinds for spec in build(environment).resolve_all_asset_specs()}
    engine = ENGINES[environment]
    assert kinds["events/raw_listens"] == kinds["content/artists"] == {"file", "deltalake"}
    assert kinds["content/audio_analyses"] == {"file", engine, "deltalake"}
    assert kinds["derived/charts_weekly"] == {engine, "deltalake"}


RELATED = ("other_id", "followed_id", "user_a", "user_b", "mentions")  # other persons in a listener's data
PERSONAL = ("user_id", "listener", "raw", "creator", "extra", *RELATED)


def test_personal_columns_are_marked() -> None:
    for spec in platform().resolve_all_asset_specs():
        for column in spec.metadata["dagster/column_schema"].columns:
            post = column.name == "text" and spec.key.path[-1] in ("posts", "raw_posts")  # texts of lyrics are not
            assert ("personal" in column.tags) == (column.name in PERSONAL or post), (
                spec.key,
                column,
            )


def test_an_unknown_environment_gives_one_line_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(TuttiError) as error:
        build("moon")
    line = str(error.value)
    assert "'moon'" in line
    assert "\n" not in line
    assert all(name in line for name in ENVIRONMENTS)
    wrong = {"TUTTI_ENV": "moon"}
    command = Process((*TUTTI, "import", "--listener", "ada", "--", "file.json"), tmp_path / "own", wrong)
    loaded = Process((sys.executable, "-c", "import orchestration.definitions"), tmp_path / "loaded", wrong)
    validated = Process((*DAGSTER, *VALIDATE), tmp_path / "validated", wrong)
    assert (command.code, command.err) == (1, f"tutti: {line}\n")
    assert loaded.code != 0
    assert loaded.err.rstrip().endswith(line)
    assert validated.code != 0
    assert line in (validated.out + validated.err)


def test_the_workspace_loads_from_another_folder(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    process = Process((str(BIN / "dagster"), *VALIDATE), tmp_path, cwd=elsewhere).fine()  # not a fork
    assert "Validation successful for code location tutti" in process.out + process.err
    assert not list(elsewhere.iterdir())


PERIOD_STARTS = {
    "daily": lambda day: day,
    "weekly": lambda day: day - timedelta(days=day.weekday()),  # on Mondays
    "monthly": lambda day: day.replace(day=1),
    "yearly": lambda day: day.replace(month=1, day=1),
}


@pytest.mark.parametrize("period", PERIOD_STARTS)
def test_partitions_are_named_by_first_day_and_cover_all_history(period: str) -> None:
    today = datetime.now(UTC).date()
    specs = {s.key.to_user_string(): s for s in platform().resolve_all_asset_specs()}
    partitions = specs[f"derived/charts_{period}"].partitions_def
    assert partitions
    starts = [date.fromisoformat(k) for k in partitions.get_partition_keys()]
    now = datetime.now(UTC).date()  # it may be past midnight by now
    assert starts[-1] in (PERIOD_STARTS[period](today), PERIOD_STARTS[period](now))
    days = (EVER + timedelta(days=n) for n in range((starts[-1] - EVER).days + 1))
    assert starts == sorted({PERIOD_STARTS[period](day) for day in days})
