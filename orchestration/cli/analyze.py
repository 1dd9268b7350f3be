"""The command that analyzes the music folder, and its summary."""

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

SHOWN = 10  # keys
BLOCKS = " ▁▂▃▄▅▆▇█"
TEMPOS = range(40, 221, 10)  # beats per minute, each the beginning of a column


@click.command()
@click.option("--music", default="", help="The folder, by default that of TUTTI_MUSIC_DIR.")
def analyze(music: str) -> None:
    """Analyze your audio files: tags, tempo, key, loudness."""
    if music:
        os.environ["TUTTI_MUSIC_DIR"] = music
    from orchestration.cli.runner import Runner  # its definitions read TUTTI_MUSIC_DIR

    if not music_folder().is_dir():
        example = "make analyze MUSIC=/home/ada/Music (or set TUTTI_MUSIC_DIR)"
        raise TuttiError(f"there is no folder {music_folder()}: name that of your music, {example}")
    runner = Runner()
    config = {"content__audio_analyses": {"config": {"retry_failed": True}}}  # a decoder may have been installed since
    runner.run(ANALYZE_MUSIC, config=config)
    print("\n".join(["", *summary(open_lake())]))


def summary(lake: Lake) -> list[str]:
    """Summarize the music folder's tables in a few lines: files, errors, tempos and keys."""
    files = lake.scan("content/audio_files", AUDIO_FILES).select(["bytes"]).table()
    wanted = ["path", "duration_s", "tempo_bpm", "key", "mode", "error"]
    rows = lake.scan("content/audio_features", AUDIO_FEATURES).select(wanted).table().to_pylist()
    analyzed = [r for r in rows if r["error"] is None]
    wrong = [(r["error"], r["path"]) for r in rows if r["error"]]
    size, seconds = sum(files["bytes"].to_pylist()), sum(r["duration_s"] for r in analyzed)
    found = f"{len(files):,} files, {_measured(size / 1e6, 1e3, 'MB', 'GB')}"
    lines = [f"{found}: {len(analyzed):,} analyzed, {_measured(seconds / 60, 60, 'minutes', 'hours')}"]
    lines[0] += f"; {len(wrong):,} unreadable"
    lines += reasons(wrong)
    lines += _tempos([r["tempo_bpm"] for r in analyzed if r["tempo_bpm"]])
    keys = Counter(f"{r['key']} {r['mode']}" for r in analyzed if r["key"])
    shown = ", ".join(f"{k} {n:,}" for k, n in keys.most_common(SHOWN)) + " …" * (len(keys) > SHOWN)
    return [*lines, *([f"keys: {shown}"] if keys else [])]


def _measured(amount: float, large: float, unit: str, larger: str) -> str:
    """Format an amount with its unit, in the larger unit from `large` on."""
    return f"{amount:,.1f} {unit}" if amount < large else f"{amount / large:,.1f} {larger}"


def _tempos(found: list[float]) -> list[str]:
    """Draw tempos as blocks, a column for each ten beats per minute."""
    if not found:
        return []
    counts = Counter(min(max(round(t) // 10 * 10, TEMPOS[0]), TEMPOS[-1]) for t in found)
    most = max(counts.values())
    blocks = "".join(BLOCKS[-(-counts[t] * (len(BLOCKS) - 1) // most)] for t in TEMPOS)
    return [f"tempo: {TEMPOS[0]} {blocks} {TEMPOS[-1]}, most often {counts.most_common(1)[0][0]} beats per minute"]
