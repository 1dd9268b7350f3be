"""The event log: how it stores materializations and checks of a range of partitions."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from queue import Queue

import dagster as dg
import pytest

from orchestration.automation import following
from orchestration.instance.failed_checks import failed_checks
from orchestration.instance.packed_event import unpack
from resources.privacy.database import redact, traces
from resources.privacy.person import Person

pytestmark = pytest.mark.slow

DAYS = dg.DailyPartitionsDefinition("2024-02-27")
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
SETTINGS = """
event_log_storage:
  module: orchestration.instance.event_log
  class: BatchingEventLog
  config: {base_dir: history}
telemetry: {enabled: false}
"""
PACKED = "78bb227c4f4923942b519c87b0d534cd2019d3064b330323633363033d23d35a00e9bf1a3b"


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def daily_asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    if "broken" in context.run.tags:
        raise ValueError("broken")
    for day in context.partition_keys:
        context.add_asset_metadata({"dagster/partition_row_count": int(day[-2:])}, partition_key=day)
        if listener := context.run.tags.get("listener"):
            context.add_asset_metadata({"dagster/partition_listener": listener}, partition_key=day)
    return dg.MaterializeResult(metadata={"days": len(context.partition_keys)})


KEYS = [dg.AssetCheckKey(daily_asset.key, name) for name in ("clear", "loud")]


@dg.multi_asset_check(
    specs=[dg.AssetCheckSpec(key.name, asset=key.asset_key, blocking=True, partitions_def=DAYS) for key in KEYS],
    can_subset=True,
)
def daily_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    for key in KEYS:
        passed = key.name == "clear" or "quiet" not in context.run.tags
        yield dg.AssetCheckResult(passed=passed, asset_key=key.asset_key, check_name=key.name)


@dg.asset(deps=[daily_asset], partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def reader(context: dg.AssetExecutionContext) -> None:
    """A table that reads the checked one."""


JOB = dg.define_asset_job("all", dg.AssetSelection.all())
ALONE = dg.define_asset_job("alone", dg.AssetSelection.assets(daily_asset))


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster.yaml").write_text(SETTINGS)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
    with dg.DagsterInstance.get() as instance:
        yield instance


def run(instance: dg.DagsterInstance, first: str, last: str | None = None, **tags: str) -> str:
    """Run everything for a range of days, or for one day, and return the run's id."""
    over = dict(zip(RANGE, (first, last), strict=True)) if last else {}
    job = dg.Definitions([daily_asset], asset_checks=[daily_checks], jobs=[JOB]).resolve_job_def("all")
    key = None if last else first
    result = job.execute_in_process(instance=instance, partition_key=key, tags=over | tags, raise_on_error=False)
    assert result.success == (not tags.keys() & {"broken", "quiet"})
    return result.run_id


def materialized(instance: dg.DagsterInstance) -> dict[str | None, dict[str, object]]:
    """Return the metadata of every materialization, by partition."""
    records = instance.fetch_materializations(daily_asset.key, limit=100).records
    events = [record.asset_materialization for record in records]
    return {event.partition: {k: v.value for k, v in event.metadata.items()} for event in events if event}


def unfinished(instance: dg.DagsterInstance) -> set[str]:
    """Return the partitions that a run planned and did not materialize."""
    storage = instance.event_log_storage
    return set(storage.get_latest_asset_partition_materialization_attempts_without_materializations(daily_asset.key))


def executions(instance: dg.DagsterInstance, name: str = "loud") -> list[tuple[str | None, str]]:
    key = dg.AssetCheckKey(daily_asset.key, name)
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
    return [(execution.partition, execution.status.value) for execution in history[::-1]]


def test_each_check_of_a_range_has_one_row_with_its_result(instance: dg.DagsterInstance) -> None:
    run(instance, "2024-02-27", "2024-03-02")
    assert executions(instance) == [(None, "SUCCEEDED")]
    run(instance, "2024-02-27", "2024-02-28", quiet="yes")
    by_partition = [("2024-02-27", "FAILED"), ("2024-02-28", "FAILED")]
    assert executions(instance) == [(None, "SUCCEEDED"), (None, "FAILED"), *by_partition]
    assert executions(instance, "clear") == [(None, "SUCCEEDED"), (None, "SUCCEEDED")]


@pytest.mark.parametrize("last", [None, "2024-02-29"])
def test_a_check_of_one_partition_has_a_row_for_it(instance: dg.DagsterInstance, last: str | None) -> None:
    run(instance, "2024-02-29", last)
    assert executions(instance) == executions(instance, "clear") == [("2024-02-29", "SUCCEEDED")]


@pytest.mark.parametrize("last", [None, "2024-02-29", "2024-03-02"])
@pytest.mark.parametrize("tags", [{}, {"quiet": "yes"}])
def test_automation_waits_while_one_check_of_several_fails(
    instance: dg.DagsterInstance, last: str | None, tags: dict[str, str]
) -> None:
    defs = dg.Definitions([daily_asset, reader], asset_checks=[daily_checks], jobs=[ALONE])
    condition = following(defs.resolve_asset_graph(), reader.get_asset_spec())
    follows = defs.map_asset_specs(
        func=lambda spec: spec.replace_attributes(automation_condition=condition) if spec.key == reader.key else spec
    )
    before = dg.evaluate_automation_conditions(follows, instance)
    over = dict(zip(RANGE, ("2024-02-29", last), strict=True)) if last else {}
    defs.resolve_job_def("alone").execute_in_process(
        instance=instance, partition_key=None if last else "2024-02-29", tags=over | tags, raise_on_error=False
    )
    after = dg.evaluate_automation_conditions(follows, instance, cursor=before.cursor)
    assert bool(after.total_requested) == (not tags)


@pytest.mark.parametrize("job", ["alone", "checks"])
def test_a_partition_counts_as_failed_until_it_passes_again(instance: dg.DagsterInstance, job: str) -> None:
    run(instance, "2024-02-27", "2024-03-01", quiet="yes")
    assert failing(instance) == {"2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01"}
    checks = dg.define_asset_job("checks", dg.AssetSelection.checks(daily_checks))
    again = dg.Definitions([daily_asset], asset_checks=[daily_checks], jobs=[ALONE, checks]).resolve_job_def(job)
    days = dict(zip(RANGE, ("2024-02-28", "2024-02-29"), strict=True))
    assert again.execute_in_process(instance=instance, tags=days).success
    assert failing(instance) == {"2024-02-27", "2024-03-01"}


def test_a_check_that_never_ended_does_not_hide_a_failure(instance: dg.DagsterInstance) -> None:
    run(instance, "2024-02-28", quiet="yes")
    run(instance, "2024-02-28", broken="yes")  # plans the check again
    assert executions(instance)[-1] == ("2024-02-28", "PLANNED")
    assert failures(instance) == {KEYS[1]: {"2024-02-28"}}
    run(instance, "2024-02-27", "2024-02-29")
    assert failures(instance) == {}


def test_failed_checks_have_an_index_of_their_own(instance: dg.DagsterInstance) -> None:
    query = "explain query plan select distinct asset_key from asset_check_executions where execution_status = 'FAILED'"
    with instance.event_log_storage.index_connection() as index:  # type: ignore[attr-defined]
        assert "tutti_failed_checks" in str(index.exec_driver_sql(query).all())


def failures(instance: dg.DagsterInstance) -> dict[dg.AssetCheckKey, set[str | None]]:
    """Return the failed partitions by check, without the rows of ranges."""
    with instance.event_log_storage.index_connection() as index:  # type: ignore[attr-defined]
        checks = failed_checks(index, [daily_asset.key])
    return {check: days for check, partitions in checks.items() if (days := partitions - {None})}


def failing(instance: dg.DagsterInstance) -> set[str]:
    """Return the partitions whose check fails according to Dagster."""
    key = KEYS[1]
    state = instance.event_log_storage.get_asset_check_state([(key, DAYS)])[key]
    failed = next(subset for status, subset in state.subsets.items() if status.value == "FAILED")
    return set(failed.subset_value.get_partition_keys())


def test_every_partition_of_a_range_is_materialized(instance: dg.DagsterInstance) -> None:
    run(instance, "2024-02-27", "2024-03-02")
    days = {f"2024-02-{day}" for day in (27, 28, 29)} | {"2024-03-01", "2024-03-02"}
    assert instance.get_materialized_partitions(daily_asset.key) == days
    newest = instance.get_latest_materialization_event(daily_asset.key)
    assert newest and newest.asset_materialization
    assert newest.asset_materialization.partition == "2024-03-02"
    assert newest.asset_materialization.metadata["days"].value == 5


def test_each_partition_of_a_range_has_its_numbers(instance: dg.DagsterInstance) -> None:
    run(instance, "2024-02-27", "2024-03-01")
    rows = {f"2024-02-{day}": {"dagster/partition_row_count": day, "days": 4} for day in (27, 28, 29)}
    assert materialized(instance) == rows | {"2024-03-01": {"dagster/partition_row_count": 1, "days": 4}}


def test_the_log_of_a_run_shows_one_materialization_of_a_range(instance: dg.DagsterInstance) -> None:
    run_id = run(instance, "2024-02-27", "2024-03-01")
    shown = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    assert [entry.get_dagster_event().partition for entry in shown] == ["2024-03-01"]


def test_partitions_of_a_failed_run_count_as_failed_until_built(instance: dg.DagsterInstance) -> None:
    run(instance, "2024-02-27", "2024-02-29", broken="yes")
    assert unfinished(instance) == {"2024-02-27", "2024-02-28", "2024-02-29"}
    run(instance, "2024-02-27", "2024-02-28")
    assert unfinished(instance) == {"2024-02-29"}


def test_plans_of_materialized_partitions_are_removed(instance: dg.DagsterInstance) -> None:
    run(instance, "2024-02-27", "2024-02-29")
    planned = "select count(*) from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION_PLANNED'"
    with instance.event_log_storage.index_connection() as index:  # type: ignore[attr-defined]
        assert index.exec_driver_sql(planned).scalar() == 0


def test_watchers_of_a_run_see_its_events(instance: dg.DagsterInstance) -> None:
    seen = Queue[str]()

    def watch(entry: dg.EventLogEntry, _: str) -> None:
        seen.put(entry.get_dagster_event().message or "")

    active = dg.DagsterRun("job")
    instance.add_run(active)
    with dg.DagsterInstance.get() as ui:
        instance.report_engine_event("begins", active)
        ui.watch_event_logs(active.run_id, None, watch)
        for message in ("builds", "checks"):
            instance.report_engine_event(message, active)
            while seen.get(timeout=60) != message:
                pass
        ui.end_watch_event_logs(active.run_id, watch)


def test_a_replaced_history_is_opened_again(instance: dg.DagsterInstance) -> None:
    run(instance, "2024-02-27", "2024-02-28")
    history = Path(instance.root_directory, "history")
    old = next(path for path in history.glob("*-*.db"))
    for path in [*history.glob(f"{old.stem}.db*"), *history.glob("index.db*")]:
        path.unlink()
    with dg.DagsterInstance.get() as other:
        run(other, "2024-03-01")
    assert instance.get_materialized_partitions(daily_asset.key) == {"2024-03-01"}
    assert instance.all_logs(old.stem) == []


def test_a_closed_history_has_no_other_files(instance: dg.DagsterInstance) -> None:
    run(instance, "2024-02-27", "2024-02-28")
    instance.dispose()
    assert {path.suffix for path in Path(instance.root_directory, "history").glob("*.db*")} == {".db"}
    assert materialized(instance).keys() == {"2024-02-27", "2024-02-28"}


def stored_events(instance: dg.DagsterInstance) -> list[tuple[str, str | bytes]]:
    """Return the partition and the stored_events event of every materialization, read without Dagster."""
    query = "select partition, event from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION' order by id"
    with closing(sqlite3.connect(Path(instance.root_directory, "history", "index.db"))) as index:
        return list(index.execute(query))


def test_events_of_all_partitions_but_the_newest_are_packed(instance: dg.DagsterInstance) -> None:
    run(instance, "2024-02-27", "2024-03-01")
    *others, (newest, complete) = stored_events(instance)
    assert newest == "2024-03-01"
    assert isinstance(complete, str)
    assert [partition for partition, _ in others] == ["2024-02-27", "2024-02-28", "2024-02-29"]
    assert all(isinstance(event, bytes) and len(event) < 200 < 900 < len(unpack(event)) for _, event in others)


def test_a_history_without_packed_events_stays_readable(instance: dg.DagsterInstance) -> None:
    run(instance, "2024-02-27", "2024-03-01")
    before = materialized(instance)
    plain = [(unpack(event), partition) for partition, event in stored_events(instance) if isinstance(event, bytes)]
    with closing(sqlite3.connect(Path(instance.root_directory, "history", "index.db"))) as index, index:
        index.executemany("update event_logs set event = ? where partition = ?", plain)
    assert all(isinstance(event, str) for _, event in stored_events(instance))
    assert materialized(instance) == before
    run(instance, "2024-02-28", "2024-02-29")
    assert [type(event) for _, event in stored_events(instance)] == [str, str, str, str, bytes, str]
    assert instance.get_materialized_partitions(daily_asset.key) == before.keys()


def test_the_packed_format_is_stable() -> None:
    event = '{"__class__": "EventLogEntry", "level": 10, "run_id": "5f0c", "timestamp": 1796023630.25}'
    assert unpack(bytes.fromhex(PACKED)) == event


def test_events_with_personal_data_are_not_packed(instance: dg.DagsterInstance) -> None:
    run(instance, "2024-02-27", "2024-02-29", listener="ada lovelace")
    database = Path(instance.root_directory, "history", "index.db")
    assert all("ada lovelace" in event for _, event in stored_events(instance) if isinstance(event, str))
    assert [type(event) for _, event in stored_events(instance)] == [str, str, str]
    person = Person("ada lovelace")
    assert redact(database, person, run_id="its own run") >= 3
    assert list(traces(database, person, history=True)) == []
