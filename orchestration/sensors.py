"""Sensors: what happens by itself while the daemon runs."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import dagster as dg

from orchestration.jobs import BY_HAND, JOBS, content, daily, following, import_listens, span

FIRST, LAST = "tutti/first_day", "tutti/last_day"  # tags that tell the days an import touched


def touched(instance: dg.DagsterInstance, run_id: str) -> tuple[date, date] | None:
    """The first and last day on which a run imported listens; none if it imported nothing new."""
    logs = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    told = [e.dagster_event.materialization for e in logs if e.dagster_event]
    days = [m.partition for m in told if m.asset_key == dg.AssetKey(["events", "raw_listens"]) and m.partition]
    return (date.fromisoformat(min(days)), date.fromisoformat(max(days))) if days else None


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
        if (days := touched(context.instance, run.run_id)) is None:
            yield dg.SkipReason("the files held nothing new")
        else:
            first, last = days
            (job, keys), *_ = following(first, last, today)
            told = {FIRST: first.isoformat(), LAST: last.isoformat()}
            yield _request(run.run_id, job, keys, told)
    elif FIRST in run.tags:
        first, last = (date.fromisoformat(run.tags[t]) for t in (FIRST, LAST))
        for job, keys in following(first, last, today)[1:]:
            yield _request(run.run_id, job, keys, {})


def _request(run_id: str, job: str, keys: dg.PartitionKeyRange | None, tags: dict[str, str]) -> dg.RunRequest:
    """A run of a job over a range of its partitions."""
    return dg.RunRequest(run_key=f"{run_id}-{job}", job_name=job, tags=tags | span(keys))


SENSORS = [follow_imports]
