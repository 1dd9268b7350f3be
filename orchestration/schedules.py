"""Schedules: the runs that the daemon starts by the clock, and the freshness policies that follow from them.

A repeated run gives the same result, and Dagster catches up on ticks that the daemon missed.
"""

from collections.abc import Collection, Iterator
from datetime import UTC, date, timedelta

import dagster as dg

from assets.partitions import SPAN
from orchestration.automation import CLOSE
from orchestration.cadence import BUILD_CATALOG, DAILY, Cadence, DatedJob, as_line, one_day
from orchestration.jobs.maintenance import maintenance
from orchestration.jobs.pulls import pull_metadata
from orchestration.jobs.tables import DAILY_CLOSE
from orchestration.run_tags import over
from orchestration.stretches import Portion, portions

ON, OFF = dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED


@dg.schedule(job_name=DAILY_CLOSE, cron_schedule=CLOSE, execution_timezone="UTC", default_status=ON)
def close_day(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Close the previous day, and rebuild stale days and days whose check failed.

    It runs 75 minutes after midnight: a listener's clock may be an hour behind, and the last listens of a day are sent
    when they end. Automation handles later records. Only cumulative tables wait for the next close.
    """
    day = context.scheduled_execution_time.astimezone(UTC).date() - timedelta(days=1)
    if not SPAN.covers(day):
        last = SPAN.last or "today"
        yield dg.SkipReason(f"{day} has no partition, since the records are from {SPAN.first} through {last}")
        return
    assert context.repository_def
    cadence = Cadence(context.repository_def.asset_graph)
    yield dg.RunRequest(
        run_key=day.isoformat(), partition_key=day.isoformat(), asset_selection=_closed(context, cadence, day)
    )
    daily = cadence.by_name[DAILY]
    stale = {table: {d for d in days if d < day} for table, days in cadence.stale(context.instance, DAILY).items()}
    failed = cadence.failed(context.instance, daily.assets)
    failed = {table: {d for d in days if d < day} for table, days in failed.items()}
    changed, failing = (set[date]().union(*tables.values()) for tables in (stale, failed))
    for portion, keys in _requested(context.instance, daily, changed, failing, day):
        yield dg.RunRequest(
            run_key=f"{day}-{min(portion.changed)}",
            asset_selection=sorted({table for tables in (stale, failed) for table, days in tables.items() if days}),
            tags=over(keys) | portion.tags,
        )


def _closed(context: dg.ScheduleEvaluationContext, cadence: Cadence, day: date) -> list[dg.AssetKey] | None:
    """Return the tables to build if some tables of the close would read days whose check failed, else None."""
    tables, waiting = cadence.closed(), set[dg.AssetKey]()
    for name in sorted({cadence.jobs[table] for table in tables}):
        assets, job = cadence.assets(name), cadence.by_name.get(name)
        unsound = cadence.unsound(context.instance, assets, without=[day])  # the close itself builds and checks it
        if job:
            unsound = job.unsound(one_day(day), unsound)
        if unsound:
            waiting |= assets
            context.log.warning("%s was not built, %s", name, as_line(unsound))
    return sorted(tables - waiting) if waiting else None


def _requested(
    instance: dg.DagsterInstance, job: DatedJob, changed: Collection[date], failed: Collection[date], today: date
) -> Iterator[tuple[Portion, dg.PartitionKeyRange]]:
    """Yield the runs that build changed or failed days. If a run of the same days failed before, it is halved."""
    for portion, keys in portions(job, changed, today, failed):
        before = dg.RunsFilter(tags=portion.tags, statuses=[dg.DagsterRunStatus.FAILURE])
        if portion.tags and instance.get_runs_count(before):
            for half in portion.halves(changed, failed):
                yield from _requested(instance, job, *half, today)
        else:
            yield portion, keys


# On Sundays, when few people listen, and before the monthly catalog. On by default: nothing reads what it removes.
tidy = dg.ScheduleDefinition(
    name="weekly_maintenance",
    job=maintenance,
    cron_schedule="30 3 * * 0",
    execution_timezone="UTC",
    default_status=ON,
    description="Remove unneeded files and events, and check artifacts.",
)

# Off by default: turn it on if a dump lands regularly.
refresh = dg.ScheduleDefinition(
    name="monthly_catalog",
    job_name=BUILD_CATALOG,
    cron_schedule="30 4 1 * *",
    execution_timezone="UTC",
    default_status=OFF,
    description="Build the catalog and lyrics tables from the landing folder.",
)

# Off by default: it needs a contact address for MusicBrainz. On Saturdays, before maintenance.
ask = dg.ScheduleDefinition(
    name="weekly_metadata",
    job=pull_metadata,
    cron_schedule="30 4 * * 6",
    execution_timezone="UTC",
    default_status=OFF,
    description="Pull metadata that the catalog lacks from MusicBrainz.",
)

SCHEDULES = [close_day, tidy, refresh, ask]

CLOSED = dg.FreshnessPolicy.cron(deadline_cron="0 4 * * *", lower_bound_delta=timedelta(hours=2, minutes=45))
"""Fresh if built since the daily close started.

Dagster's freshness ignores partitions: it shows that the close ran, not that a day has listens.
"""

PULLED = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=35), warn_window=timedelta(days=10))
"""Fresh if built since the last weekly or monthly pull. A failed pull builds nothing, so the table becomes overdue."""


def freshness(cadence: Cadence, spec: dg.AssetSpec) -> dg.FreshnessPolicy | None:
    """Return a table's freshness policy: by the daily close, or by pulls for the catalog."""
    closed = spec.key in cadence.closed()
    return spec.freshness_policy or (
        CLOSED if closed else PULLED if cadence.jobs.get(spec.key) == BUILD_CATALOG else None
    )
