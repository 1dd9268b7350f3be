"""Schedules: what happens by the clock while the daemon runs, and how fresh that keeps tables.

Each may be run again, or missed: a run makes the same of the same, and Dagster catches up on days the daemon slept
through.
"""

from collections.abc import Collection, Iterator
from datetime import UTC, date, timedelta

import dagster as dg

from orchestration.automation import CLOSE
from orchestration.cadence import BUILD_CATALOG, DAILY, Cadence, DatedJob, as_line, one_day
from orchestration.jobs.maintenance import maintenance
from orchestration.jobs.pulls import pull_metadata
from orchestration.jobs.tables import DAILY_CLOSE
from orchestration.run_tags import over
from orchestration.stretches import Portion, portions

ON, OFF = dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED


@dg.schedule(job_name=DAILY_CLOSE, cron_schedule=CLOSE, execution_timezone="UTC", default_status=ON)
def close_day(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Close the day before, and build the days that a killed daemon forgot or of which a check failed.

    An hour and a quarter after midnight: a listener's clock may be an hour behind, and the last listens of a day are
    sent when they end. Automation still picks up what comes later; only cumulative tables wait for the next close.
    """
    day = context.scheduled_execution_time.astimezone(UTC).date() - timedelta(days=1)
    assert context.repository_def
    cadence = Cadence(context.repository_def.asset_graph)
    yield dg.RunRequest(
        run_key=day.isoformat(), partition_key=day.isoformat(), asset_selection=_closed(context, cadence, day)
    )
    daily = cadence.by_name[DAILY]
    owed = {table: {d for d in days if d < day} for table, days in cadence.owed(context.instance, DAILY).items()}
    failed = cadence.failed(context.instance, daily.assets)
    failed = {table: {d for d in days if d < day} for table, days in failed.items()}
    changed, failing = (set[date]().union(*each.values()) for each in (owed, failed))
    for portion, keys in _requested(context.instance, daily, changed, failing, day):
        yield dg.RunRequest(
            run_key=f"{day}-{min(portion.changed)}",
            asset_selection=sorted({table for each in (owed, failed) for table, days in each.items() if days}),
            tags=over(keys) | portion.tags,
        )


def _closed(context: dg.ScheduleEvaluationContext, cadence: Cadence, day: date) -> list[dg.AssetKey] | None:
    """Return the only tables that the close of a day builds, if some would read days of which a check failed."""
    tables, waiting = cadence.closed(), set[dg.AssetKey]()
    for name in sorted({cadence.jobs[table] for table in tables}):
        assets, job = cadence.assets(name), cadence.by_name.get(name)
        unsound = cadence.unsound(context.instance, assets, without=[day])  # the close itself builds and checks it
        if job:
            unsound = job.unsound(one_day(day), unsound)
        if unsound:
            waiting |= assets
            context.log.warning("%s: not built, %s", name, as_line(unsound))
    return sorted(tables - waiting) if waiting else None


def _requested(
    instance: dg.DagsterInstance, job: DatedJob, changed: Collection[date], failed: Collection[date], today: date
) -> Iterator[tuple[Portion, dg.PartitionKeyRange]]:
    """Yield what each run builds of the days that changed or failed: half as much as a run that failed on the same."""
    for portion, keys in portions(job, changed, today, failed):
        before = dg.RunsFilter(tags=portion.tags, statuses=[dg.DagsterRunStatus.FAILURE])
        if portion.tags and instance.get_runs_count(before):
            for half in portion.halves(changed, failed):
                yield from _requested(instance, job, *half, today)
        else:
            yield portion, keys


# On Sundays, when few listen, and before the month's work. Running: what it removes, nothing reads any more.
tidy = dg.ScheduleDefinition(
    name="weekly_maintenance",
    job=maintenance,
    cron_schedule="30 3 * * 0",
    execution_timezone="UTC",
    default_status=ON,
    description="What no reader needs any more is removed from the lake.",
)

# Stopped: it makes the catalog of what lies in the landing folder now. Start it where a dump is put there regularly.
refresh = dg.ScheduleDefinition(
    name="monthly_catalog",
    job_name=BUILD_CATALOG,
    cron_schedule="30 4 1 * *",
    execution_timezone="UTC",
    default_status=OFF,
    description="The catalog and lyrics, from the files in the landing folder.",
)

# Stopped: it asks a service of others, which wants to know who asks. On Saturdays, before maintenance.
ask = dg.ScheduleDefinition(
    name="weekly_metadata",
    job=pull_metadata,
    cron_schedule="30 4 * * 6",
    execution_timezone="UTC",
    default_status=OFF,
    description="What the catalog lacks of what is listened to, from MusicBrainz.",
)

SCHEDULES = [close_day, tidy, refresh, ask]

CLOSED = dg.FreshnessPolicy.cron(deadline_cron="0 4 * * *", lower_bound_delta=timedelta(hours=2, minutes=45))
"""Made since the daily close began. Dagster's freshness knows no partitions: it tells that the close was, not that a
day has listens; a quiet day is as fresh as any."""

PULLED = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=35), warn_window=timedelta(days=10))
"""Made since the last weekly pull, or the last monthly one: a pull that fails makes nothing, and this tells of it."""


def freshness(cadence: Cadence, spec: dg.AssetSpec) -> dg.FreshnessPolicy | None:
    """Return how fresh a table is kept: by the daily close, or by the pulls that the catalog is made of."""
    closed = spec.key in cadence.closed()
    return spec.freshness_policy or (
        CLOSED if closed else PULLED if cadence.jobs.get(spec.key) == BUILD_CATALOG else None
    )
