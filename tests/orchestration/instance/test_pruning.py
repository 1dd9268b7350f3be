"""Pruning makes Dagster's history smaller, but keeps which partitions are built, failed and checked."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from orchestration.instance.home import dagster_home
from orchestration.instance.pruning import RETENTION, prune

DAYS = dg.DailyPartitionsDefinition("2024-01-01")
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
SOON, LATER = timedelta(0), RETENTION + timedelta(hours=1)


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def daily_asset(context: dg.AssetExecutionContext) -> None:
    if "broken" in context.run.tags:
        raise ValueError("broken")


@dg.asset_check(asset=daily_asset, partitions_def=DAYS)
def daily_check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed="quiet" not in context.run.tags)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return dagster_home()


def run(instance: dg.DagsterInstance, first: str, last: str, **tags: str) -> str:
    job = dg.Definitions([daily_asset], asset_checks=[daily_check]).resolve_implicit_global_asset_job_def()
    over = dict(zip(RANGE, (first, last), strict=True))
    return job.execute_in_process(instance=instance, tags=over | tags, raise_on_error=False).run_id


def state(instance: dg.DagsterInstance) -> tuple[object, ...]:
    """Return what automation reads from the history."""
    storage, event = instance.event_log_storage, dg.DagsterEventType.ASSET_MATERIALIZATION
    check = storage.get_latest_asset_check_execution_by_key([dg.AssetCheckKey(daily_asset.key, "daily_check")])
    return (
        instance.get_materialized_partitions(daily_asset.key),
        instance.get_latest_storage_id_by_partition(daily_asset.key, event),
        storage.get_latest_asset_partition_materialization_attempts_without_materializations(daily_asset.key),
        {key.name: record.status for key, record in check.items()},
    )


def prune_after(home: Path, after: timedelta) -> str:
    lines: list[str] = []
    prune(home, datetime.now(UTC) + after, lines.append)
    return lines[0]


@pytest.mark.slow
def test_removes_superseded_events_and_keeps_what_automation_reads(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        old = run(instance, "2024-01-01", "2024-02-20")
        for quiet in ({}, {"quiet": "yes"}):
            new = run(instance, "2024-01-11", "2024-02-29", **quiet)
        run(instance, "2024-03-01", "2024-03-09", broken="yes")
        before, runs = state(instance), len(instance.get_runs())
        assert prune_after(home, SOON).startswith("Dagster's history: 0 superseded events and 0 run logs removed")
        assert {entry.run_id for entry in instance.all_logs(old)} == {old}
        assert "and 4 run logs removed" in prune_after(home, LATER)
        assert state(instance) == before
        assert len(instance.get_runs()) == runs
        assert len(instance.fetch_materializations(daily_asset.key, limit=1000).records) == 60
        assert prune_after(home, LATER).startswith(
            "Dagster's history: 0 superseded events and 0 run logs removed, 0.0 MB"
        )
        assert instance.all_logs(new) == []


def test_leaves_a_home_without_a_history_alone(tmp_path: Path) -> None:
    prune(tmp_path, datetime.now(UTC), pytest.fail)
    assert not list(tmp_path.iterdir())
