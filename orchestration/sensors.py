"""Sensors: what happens by itself while the daemon runs."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import dagster as dg

from orchestration.jobs import BY_HAND, JOBS, all_time, content, daily, following, import_listens, owed, span, stretches

FIRST, LAST = "tutti/first_day", "tutti/last_day"  # tags that tell the days an import touched


def touched(instance: dg.DagsterInstance, run_id: str) -> set[date]:
    """The days that a run imported, or one before it that was killed."""
    logs = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    told = [e.dagster_event.materialization for e in logs if e.dagster_event]
    days = {m.partition for m in told if m.asset_key == dg.AssetKey(["events", "raw_listens"]) and m.partition}
    return {*map(date.fromisoformat, days), *owed(instance)}


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[import_listens, daily],
    request_jobs=[j for j in JOBS if j not in (import_listens, content)],
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=10,
)
def follow_imports(context: dg.RunStatusSensorContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Once listens are imported, materialize the days they touch; once those are done, the longer charts."""
    run, today = context.dagster_run, datetime.now(UTC).date()
    if BY_HAND in run.tags:
        yield dg.SkipReason("started from the command line, which sees to the rest itself")
    elif run.job_name == import_listens.name:
        days = touched(context.instance, run.run_id)
        if not days:
            yield dg.SkipReason("the files held nothing new")
        for first, last in stretches(days):
            (job, keys), *_ = following(first, last, today)
            yield _request(run.run_id, job, keys, {FIRST: first.isoformat(), LAST: last.isoformat()})
    elif FIRST in run.tags:
        first, last = (date.fromisoformat(run.tags[t]) for t in (FIRST, LAST))
        for job, keys in following(first, last, today)[1:]:
            yield _request(run.run_id, job, keys, {})
        yield _request(run.run_id, all_time.name, None, {})


def _request(run_id: str, job: str, keys: dg.PartitionKeyRange | None, tags: dict[str, str]) -> dg.RunRequest:
    """A run of a job over a range of its partitions."""
    run_key = f"{run_id}-{job}-{keys.start if keys else 'ever'}"
    return dg.RunRequest(run_key=run_key, job_name=job, tags=tags | span(keys))


SENSORS = [follow_imports]
