"""The music folder, while the daemon runs and from the command line: what changed in it is listened to."""

import hashlib
from collections import Counter

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from orchestration.cadence import analyse_music
from orchestration.cli.progress import reasons
from resources.environments import data_folder, music_folder
from resources.errors import TuttiError
from resources.folders.music import Look, Music
from resources.lake.lake import Lake

EVERY = 60  # seconds: a look at a hundred thousand files takes one or two
ASKED = " asked for"
SHOWN = 10  # keys
BLOCKS = " ▁▂▃▄▅▆▇█"
TEMPOS = range(40, 221, 10)  # beats per minute, each the beginning of a column


@dg.sensor(
    job=analyse_music,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=EVERY,
    description="The music folder is listened to when files were added, changed, moved or removed.",
)
def music_changes(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Ask for one run at a time, once the folder is not what it was and is written to no more."""
    look = Music(root=str(music_folder())).look()
    if look is None or not look.rows:
        return dg.SkipReason("there is no music folder, or nothing in it")
    if context.instance.get_runs(dg.RunsFilter(job_name=analyse_music.name, statuses=NOT_FINISHED_STATUSES), limit=1):
        return dg.SkipReason("it is being listened to")
    seen = fingerprint(look)
    if context.cursor == seen + ASKED:
        return dg.SkipReason("nothing changed")
    if context.cursor != seen:
        return dg.SensorResult(skip_reason="it changed: it is left alone until the next look", cursor=seen)
    return dg.SensorResult([dg.RunRequest()], cursor=seen + ASKED)


def fingerprint(look: Look) -> str:
    """What a look into the folder is known by: another where any file is, or lies there otherwise."""
    return hashlib.sha256(repr(sorted(map(repr, look.rows))).encode()).hexdigest()


def analyse() -> None:
    """Listen to the music folder, and tell what was heard. Raises `TuttiError` where it is none."""
    from orchestration.cli.runner import Runner

    if not music_folder().is_dir():
        example = "make analyse MUSIC=/home/ada/Music (or set TUTTI_MUSIC)"
        raise TuttiError(f"there is no folder {music_folder()}: name that of your music, {example}")
    runner = Runner()
    again = {"content__audio_analyses": {"config": {"again": True}}}  # a decoder may have been installed since
    runner.run("analyse_music", config=again)
    print("\n".join(["", *summary(Lake(data_folder() / "lake"))]))


def summary(lake: Lake) -> list[str]:
    """What the tables tell of the music folder, in a few lines."""
    from assets.content.audio_features import AUDIO_FEATURES
    from assets.content.audio_files import AUDIO_FILES

    files = lake.scan("content/audio_files", AUDIO_FILES).select(["bytes"]).table()
    wanted = ["path", "duration_s", "tempo_bpm", "key", "mode", "error"]
    rows = lake.scan("content/audio_features", AUDIO_FEATURES).select(wanted).table().to_pylist()
    heard = [r for r in rows if r["error"] is None]
    wrong = [(r["error"], r["path"]) for r in rows if r["error"]]
    size, seconds = sum(files["bytes"].to_pylist()), sum(r["duration_s"] for r in heard)
    found = f"{len(files):,} files, {_measured(size / 1e6, 1e3, 'MB', 'GB')}"
    lines = [f"{found}: {len(heard):,} analysed, {_measured(seconds / 60, 60, 'minutes', 'hours')}"]
    lines[0] += f"; {len(wrong):,} unreadable"
    lines += reasons(wrong)
    lines += _tempos([r["tempo_bpm"] for r in heard if r["tempo_bpm"]])
    keys = Counter(f"{r['key']} {r['mode']}" for r in heard if r["key"])
    told = ", ".join(f"{k} {n:,}" for k, n in keys.most_common(SHOWN)) + " …" * (len(keys) > SHOWN)
    return [*lines, *([f"keys: {told}"] if keys else [])]


def _measured(amount: float, large: float, unit: str, larger: str) -> str:
    """An amount with its unit, in the larger one where there is much of it."""
    return f"{amount:,.1f} {unit}" if amount < large else f"{amount / large:,.1f} {larger}"


def _tempos(found: list[float]) -> list[str]:
    """Tempos as blocks, a column for each ten beats per minute."""
    if not found:
        return []
    counts = Counter(min(max(round(t) // 10 * 10, TEMPOS[0]), TEMPOS[-1]) for t in found)
    most = max(counts.values())
    blocks = "".join(BLOCKS[-(-counts[t] * (len(BLOCKS) - 1) // most)] for t in TEMPOS)
    return [f"tempo: {TEMPOS[0]} {blocks} {TEMPOS[-1]}, most often {counts.most_common(1)[0][0]} beats per minute"]
