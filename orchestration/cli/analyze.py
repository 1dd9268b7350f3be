"""The command `analyze`: it analyzes the audio files of the music folder and prints a summary."""

import os
from collections import Counter

import click

from assets.content.audio_features import AUDIO_FEATURES
from assets.content.audio_files import AUDIO_FILES
from orchestration.cadence import ANALYZE_MUSIC
from orchestration.cli.progress import reasons
from resources.environments import music_folder, open_lake
from resources.errors import TuttiError
from resources.lake.lake import Lake
from resources.terminal import say

MAX_KEYS = 10  # in the summary
BLOCKS = " ▁▂▃▄▅▆▇█"
TEMPOS_BPM = range(40, 221, 10)  # the lower bound of each column of the tempo histogram


@click.command()
@click.option(
    "--music",
    metavar="FOLDER",
    default="",
    help="Folder to analyze. Default: TUTTI_MUSIC_DIR, else `music` in the data folder.",
)
def analyze(music: str) -> None:
    """Analyze your audio files: tags, tempo, key, loudness.

    Files that have not changed since the last analysis are skipped.
    """
    if music:
        os.environ["TUTTI_MUSIC_DIR"] = music
    from orchestration.cli.runner import Runner  # its definitions read TUTTI_MUSIC_DIR

    if not music_folder().is_dir():
        example = "`make analyze MUSIC=/home/ada/Music`"
        raise TuttiError(f"no such folder: {music_folder()}. Name your music folder: {example}, or set TUTTI_MUSIC_DIR")
    runner = Runner()
    config = {"content__audio_analyses": {"config": {"retry_failed": True}}}  # a decoder may have been installed since
    runner.run(ANALYZE_MUSIC, config=config)
    for line in ["", *summary(open_lake())]:
        say(line)


def summary(lake: Lake) -> list[str]:
    """Return the lines of the summary: files, errors, tempos and keys."""
    files = lake.scan("content/audio_files", AUDIO_FILES).select(["bytes"]).table()
    wanted = ["path", "duration_s", "tempo_bpm", "key", "mode", "error"]
    rows = lake.scan("content/audio_features", AUDIO_FEATURES).select(wanted).table().to_pylist()
    analyzed = [r for r in rows if r["error"] is None]
    unreadable = [(r["error"], r["path"]) for r in rows if r["error"]]
    size, seconds = sum(files["bytes"].to_pylist()), sum(r["duration_s"] for r in analyzed)
    lines = [f"{len(files):,} files ({_amount(size / 1e6, 1e3, 'MB', 'GB')})"]
    lines[0] += f", {len(analyzed):,} analyzed ({_amount(seconds / 60, 60, 'minutes', 'hours')})"
    lines[0] += f", {len(unreadable):,} unreadable" * bool(unreadable)
    lines += reasons(unreadable)
    lines += _tempos([r["tempo_bpm"] for r in analyzed if r["tempo_bpm"]])
    keys = Counter(f"{r['key']} {r['mode']}" for r in analyzed if r["key"])
    listed = ", ".join(f"{k} {n:,}" for k, n in keys.most_common(MAX_KEYS)) + " …" * (len(keys) > MAX_KEYS)
    return [*lines, *([f"keys: {listed}"] if keys else [])]


def _amount(amount: float, large: float, unit: str, larger: str) -> str:
    """Format an amount with its unit, in the larger unit from `large` on."""
    return f"{amount:,.1f} {unit}" if amount < large else f"{amount / large:,.1f} {larger}"


def _tempos(tempos_bpm: list[float]) -> list[str]:
    """Draw a histogram of tempos as one line of blocks. Each column covers ten beats per minute."""
    if not tempos_bpm:
        return []
    counts = Counter(min(max(round(t) // 10 * 10, TEMPOS_BPM[0]), TEMPOS_BPM[-1]) for t in tempos_bpm)
    highest = max(counts.values())
    blocks = "".join(BLOCKS[-(-counts[t] * (len(BLOCKS) - 1) // highest)] for t in TEMPOS_BPM)
    return [
        f"tempo: {TEMPOS_BPM[0]} {blocks} {TEMPOS_BPM[-1]}, most often {counts.most_common(1)[0][0]} beats per minute"
    ]
