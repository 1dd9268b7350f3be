"""Schedules: what happens by the clock while the daemon runs, and how fresh that keeps tables.

Each may be run again, or missed: a run makes the same of the same, and Dagster catches up on days the daemon slept
through.
"""

from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

from assets.content.catalogue import TABLES
from assets.partitions import DAILY, DAY
from orchestration.automation import AUTOMATIC, CLOSE
from orchestration.cadence import BY_HAND, DAYS, EVER, LONGER, PRIORITY, content, daily, owed, reached, span, stretches
from orchestration.jobs.maintenance import upkeep
from orchestration.jobs.pull_lyrics import pull_lyrics
from orchestration.jobs.pull_metadata import pull_metadata

CATALOGUE = {
    dg.AssetKey(["content", name])
    for name in (*TABLES.values(), "credits", "genres", "merged_ids", "lyrics", "lyrics_lines")
}

ON, OFF = dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED

daily_close = dg.define_asset_job(
    "daily_close",
    DAYS | LONGER["actives"] | EVER,
    description="The day before, also where it was quiet, and then what is counted over all history.",
    # One at a time with the runs that follow imports: a table must not change between what is made of it and its check.
    tags={AUTOMATIC: "yes", PRIORITY: "-1"},
)


@dg.schedule(job=daily_close, cron_schedule=CLOSE, execution_timezone="UTC", default_status=ON)
def close_day(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Close the day before, and make the days that a killed daemon forgot.

    An hour and a quarter after midnight: a listener's clock may be an hour behind, and the last listens of a day are
    sent when they end. What comes later still is followed as ever; only what is cumulative waits for the next close.
    """
    day = context.scheduled_execution_time.astimezone(UTC).date() - timedelta(days=1)
    yield dg.RunRequest(run_key=day.isoformat(), partition_key=day.isoformat())
    assert context.repository_def
    job = context.repository_def.get_job(daily.name)
    for first, last in stretches(d for d in owed(context.instance, context.repository_def.asset_graph, job) if d < day):
        yield dg.RunRequest(
            run_key=f"{day}-{first}",
            asset_selection=sorted(job.asset_layer.executable_asset_keys),
            tags=span(reached(DAY, first, last, day)),
        )


# On Sundays, when few listen, and before the month's work. Running: what it removes, nothing reads any more.
tidy = dg.ScheduleDefinition(
    name="weekly_upkeep",
    job=upkeep,
    cron_schedule="30 3 * * 0",
    execution_timezone="UTC",
    default_status=ON,
    description="What no reader needs any more is removed from the lake.",
)

# Stopped: it makes the catalogue of what lies in the landing folder now. Start it where a dump is put there regularly.
refresh = dg.ScheduleDefinition(
    name="monthly_catalogue",
    job=content,
    cron_schedule="30 4 1 * *",
    execution_timezone="UTC",
    default_status=OFF,
    description="The catalogue and lyrics, from the files in the landing folder.",
)

# Stopped: it asks a service of others, which wants to know who asks. On Saturdays, before the upkeep.
ask = dg.ScheduleDefinition(
    name="weekly_metadata",
    job=pull_metadata,
    cron_schedule="30 4 * * 6",
    execution_timezone="UTC",
    default_status=OFF,
    description="What the catalogue lacks of what is listened to, from MusicBrainz.",
)

SCHEDULES = [close_day, tidy, refresh, ask]


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[pull_metadata, pull_lyrics],
    request_job=content,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="What was pulled from MusicBrainz or LRCLIB becomes tables.",
)
def pulled(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
    """Make the catalogue of what has landed; the command line sees to that itself."""
    if BY_HAND in context.dagster_run.tags:
        return dg.SkipReason("the command that pulled makes the catalogue itself")
    return dg.RunRequest(run_key=context.dagster_run.run_id)


CLOSED = dg.FreshnessPolicy.cron(deadline_cron="0 4 * * *", lower_bound_delta=timedelta(hours=2, minutes=45))
"""Made since the daily close began. Dagster's freshness knows no partitions: it tells that the close was, not that a
day has listens; a quiet day is as fresh as any."""

PULLED = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=35), warn_window=timedelta(days=10))
"""Made since the last weekly pull, or the last monthly one: a pull that fails makes nothing, and this tells of it."""


def freshness(graph: BaseAssetGraph[Any], spec: dg.AssetSpec) -> dg.FreshnessPolicy | None:
    """How fresh a table is kept: what the daily close makes, daily; what MusicBrainz and LRCLIB tell, weekly."""
    daily = spec.partitions_def == DAILY and graph.get(spec.key).is_materializable
    closed = daily or spec.key in EVER.resolve(graph)
    return spec.freshness_policy or (CLOSED if closed else PULLED if spec.key in CATALOGUE else None)
