"""The sensor that builds the catalog and lyrics tables after a pull."""

from typing import Any

import dagster as dg

from orchestration.jobs.pulls import pull_lyrics, pull_metadata
from orchestration.run_tags import BY_HAND


def sensor_after_pull(build_catalog: Any) -> dg.SensorDefinition:
    """Return the sensor. It requests runs of the job `build_catalog`."""

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[pull_metadata, pull_lyrics],
        request_job=build_catalog,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Build the catalog and lyrics tables after a pull from MusicBrainz or LRCLIB.",
    )
    def catalog_after_pull(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        if BY_HAND in context.dagster_run.tags:
            return dg.SkipReason("the pull command builds the catalog itself")
        return dg.RunRequest(run_key=context.dagster_run.run_id)

    return catalog_after_pull
