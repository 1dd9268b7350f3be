"""The music folder's sensor: files that changed are analyzed while the daemon runs."""

import hashlib

import dagster as dg

from orchestration.cadence import ANALYZE_MUSIC
from orchestration.instance.internals import NOT_FINISHED_STATUSES
from resources.environments import music_folder as folder
from resources.folders.music import Look, Music

EVERY = 60  # seconds: a look at a hundred thousand files takes one or two
ASKED = " asked for"


@dg.sensor(
    job_name=ANALYZE_MUSIC,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=EVERY,
    description="The music folder is listened to when files were added, changed, moved or removed.",
)
def music_folder(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Request one run at a time, once the folder has changed and nothing is written to it any more."""
    look = Music(root=str(folder())).look()
    if look is None or not look.rows:
        return dg.SkipReason("there is no music folder, or nothing in it")
    if context.instance.get_runs(dg.RunsFilter(job_name=ANALYZE_MUSIC, statuses=NOT_FINISHED_STATUSES), limit=1):
        return dg.SkipReason("it is being listened to")
    seen = fingerprint(look)
    if context.cursor == seen + ASKED:
        return dg.SkipReason("nothing changed")
    if context.cursor != seen:
        return dg.SensorResult(skip_reason="it changed: it is left alone until the next look", cursor=seen)
    return dg.SensorResult([dg.RunRequest()], cursor=seen + ASKED)


def fingerprint(look: Look) -> str:
    """Hash the folder's files, so that any file added, changed, moved or removed gives another value."""
    return hashlib.sha256(repr(sorted(map(repr, look.rows))).encode()).hexdigest()
