"""The sensor that analyzes the music folder after its files changed."""

import hashlib

import dagster as dg

from orchestration.cadence import ANALYZE_MUSIC
from orchestration.instance.internals import NOT_FINISHED_STATUSES
from resources.environments import music_folder as folder
from resources.folders.music import Music, MusicScan

INTERVAL_S = 60  # a scan of a hundred thousand files takes one or two seconds
REQUESTED = " requested"  # marks a fingerprint in the cursor


@dg.sensor(
    job_name=ANALYZE_MUSIC,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=INTERVAL_S,
    description="Analyze the music folder after files were added, changed, moved or removed.",
)
def music_folder(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Request one run at a time, once the folder has changed and is no longer written to."""
    look = Music(root=str(folder())).scan()
    if look is None or not look.rows:
        return dg.SkipReason(f"{folder()} does not exist or is empty")
    if context.instance.get_runs(dg.RunsFilter(job_name=ANALYZE_MUSIC, statuses=NOT_FINISHED_STATUSES), limit=1):
        return dg.SkipReason("the analysis of the music folder is running")
    seen = fingerprint(look)
    if context.cursor == seen + REQUESTED:
        return dg.SkipReason("no files changed since the last analysis")
    if context.cursor != seen:
        return dg.SensorResult(skip_reason="files changed; waiting for the next scan in case more follow", cursor=seen)
    return dg.SensorResult([dg.RunRequest()], cursor=seen + REQUESTED)


def fingerprint(look: MusicScan) -> str:
    """Return a hash of the folder's files. Adding, changing, moving or removing a file changes it."""
    return hashlib.sha256(repr(sorted(map(repr, look.rows))).encode()).hexdigest()
