"""The sensor that analyzes the music folder after its files changed."""

import hashlib

import dagster as dg

from assets.content.audio_files import AUDIO_FILES
from orchestration.cadence import ANALYZE_MUSIC
from orchestration.instance.internals import NOT_FINISHED_STATUSES
from resources.environments import music_folder as folder
from resources.environments import open_lake
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
    if _analyzed(context.instance, look):
        return dg.SensorResult(skip_reason="a command has analyzed these files", cursor=seen + REQUESTED)
    return dg.SensorResult([dg.RunRequest()], cursor=seen + REQUESTED)


def _analyzed(instance: dg.DagsterInstance, look: MusicScan) -> bool:
    """Return whether the last analysis succeeded and read the files as they are now."""
    runs = instance.get_runs(dg.RunsFilter(job_name=ANALYZE_MUSIC), limit=1)
    if not runs or runs[0].status != dg.DagsterRunStatus.SUCCESS:
        return False
    state = ["path", "bytes", "modified_at"]
    table = open_lake().scan("content/audio_files", AUDIO_FILES).select(state).table()
    return table.sort_by("path").equals(look.files.select(state).sort_by("path").cast(table.schema))


def fingerprint(look: MusicScan) -> str:
    """Return a hash of the folder's files. Adding, changing, moving or removing a file changes it."""
    return hashlib.sha256(repr(sorted(map(repr, look.rows))).encode()).hexdigest()
