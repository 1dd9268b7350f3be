"""The event log: what a run over a range of partitions leaves of its materializations and its checks."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

DAYS = dg.DailyPartitionsDefinition("2024-02-27")
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
HOME = """
event_log_storage:
  module: orchestration.instance.event_log
  class: BatchingEventLog
  config: {base_dir: history}
telemetry: {enabled: false}
"""


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def heard(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"days": len(context.partition_keys)})


@dg.asset_check(asset=heard, partitions_def=DAYS)
def loud(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed="quiet" not in context.run.tags)


KEY = dg.AssetCheckKey(heard.key, "loud")
JOB = dg.define_asset_job("all", dg.AssetSelection.all())


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster.yaml").write_text(HOME)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
    with dg.DagsterInstance.get() as instance:
        yield instance


def run(instance: dg.DagsterInstance, first: str, last: str | None = None, **tags: str) -> None:
    """Run all over a range of days, or of one."""
    over = dict(zip(RANGE, (first, last), strict=True)) if last else {}
    job = dg.Definitions([heard], asset_checks=[loud], jobs=[JOB]).resolve_job_def("all")
    assert job.execute_in_process(instance=instance, partition_key=None if last else first, tags=over | tags).success


def executions(instance: dg.DagsterInstance) -> list[tuple[str | None, str]]:
    found = instance.event_log_storage.get_asset_check_execution_history(KEY, limit=100)
    return [(each.partition, each.status.value) for each in found[::-1]]


def test_a_check_of_a_range_is_told_of_once_and_how_it_ended(instance: dg.DagsterInstance) -> None:
    run(instance, "2024-02-27", "2024-03-02")
    assert executions(instance) == [(None, "SUCCEEDED")]
    run(instance, "2024-02-27", "2024-02-28", quiet="yes")
    assert executions(instance) == [(None, "SUCCEEDED"), (None, "FAILED")]


@pytest.mark.parametrize("last", [None, "2024-02-29"])
def test_a_check_of_one_partition_is_told_of_it(instance: dg.DagsterInstance, last: str | None) -> None:
    run(instance, "2024-02-29", last)
    assert executions(instance) == [("2024-02-29", "SUCCEEDED")]


def test_every_partition_of_a_range_is_materialized(instance: dg.DagsterInstance) -> None:
    run(instance, "2024-02-27", "2024-03-02")
    days = {f"2024-02-{day}" for day in (27, 28, 29)} | {"2024-03-01", "2024-03-02"}
    assert instance.get_materialized_partitions(heard.key) == days
    newest = instance.get_latest_materialization_event(heard.key)
    assert newest and newest.asset_materialization
    assert newest.asset_materialization.partition == "2024-03-02"
    assert newest.asset_materialization.metadata["days"].value == 5
