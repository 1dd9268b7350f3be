"""Sensors: what happens by itself while the daemon runs."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import dagster as dg

from assets.partitions import DAY
from orchestration.jobs import (
    BY_HAND,
    DATED,
    all_time,
    daily,
    following,
    import_listens,
    longer,
    owed,
    reached,
    span,
    stretches,
    touched,
)

FIRST, LAST = "tutti/first_day", "tutti/last_day"  # tags that tell the days an import touched


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[import_listens, daily],
    request_jobs=[daily, *longer.values(), all_time],
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=10,
)
def follow_imports(context: dg.RunStatusSensorContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Once listens are imported, materialize the days they touch; once those are done, the longer charts."""
    run, today = context.dagster_run, datetime.now(UTC).date()
    if BY_HAND in run.tags:
        yield dg.SkipReason("started from the command line, which sees to the rest itself")
    elif run.job_name == import_listens.name:
        requests = list(_left_undone(context, touched(context.instance, run.run_id), today))
        yield from requests
        if not requests:
            yield dg.SkipReason("the files held nothing new")
    elif FIRST in run.tags:
        first, last = (date.fromisoformat(run.tags[t]) for t in (FIRST, LAST))
        for job, keys in following(first, last, today)[1:]:
            yield _request(run.run_id, job, keys, {})
        if not _owed(context, daily.name):  # else it would be made again, once the other days are done
            yield _request(run.run_id, all_time.name, None, {})


def _left_undone(context: dg.RunStatusSensorContext, new: set[date], today: date) -> Iterator[dg.RunRequest]:
    """The days that an import touched or an earlier one left, and charts that still lack days done before.

    What is made of the days asked for here follows once they are done.
    """
    run_id, days = context.dagster_run.run_id, new | _owed(context, daily.name)
    for first, last in stretches(days):
        tags = {FIRST: first.isoformat(), LAST: last.isoformat()}
        yield _request(run_id, daily.name, reached(DAY, first, last, today), tags)
    for period in DATED[1:]:
        for first, last in stretches(_owed(context, period.name) - days):
            yield _request(run_id, period.name, reached(period, first, last, today), {})
    if not days and _owed(context, all_time.name):
        yield _request(run_id, all_time.name, None, {})


def _owed(context: dg.RunStatusSensorContext, job: str) -> set[date]:
    """The days imported since a job made all its tables of them."""
    assert context.repository_def
    return owed(context.instance, context.repository_def.get_job(job))


def _request(run_id: str, job: str, keys: dg.PartitionKeyRange | None, tags: dict[str, str]) -> dg.RunRequest:
    """A run of a job over a range of its partitions."""
    run_key = f"{run_id}-{job}-{keys.start if keys else 'ever'}"
    return dg.RunRequest(run_key=run_key, job_name=job, tags=tags | span(keys))


SENSORS = [follow_imports]
