"""Audio analyses: the audio features of each distinct content in the music folder.

Files with equal bytes are one content. It is analyzed once per version of the analysis, even if several files have it.
Analyses of deleted files stay, so that nothing is analyzed again when an unplugged drive returns.
"""

from collections import Counter
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import dagster as dg
import pyarrow as pa
from pydantic import Field

from assets.checks import checks_of, error_rate, exactly_one_set, in_range
from assets.content.audio_files import AUDIO_FILES
from resources.audio.feature_schema import VERSION, Features
from resources.audio.undecodable import Undecodable
from resources.folders.music import Music, modified
from resources.frames.frame import Frame
from resources.lake.incremental import batches
from resources.lake.io_manager import LakeIO
from resources.report.markdown import listed
from resources.report.plots import histograms
from resources.schema import INSTANT, column, declare, subset

COLUMN_TYPES = {float: pa.float64(), int: pa.int64(), str: pa.string(), list[float]: pa.list_(pa.float64())}
"""The column type for each type of feature."""


def feature_columns() -> list[pa.Field]:
    """Return a column for each feature. All may be null, since some files cannot be analyzed."""
    hints = get_type_hints(Features)
    columns = []
    for feature in fields(Features):
        kind = next(t for k, t in COLUMN_TYPES.items() if hints[feature.name] in (k, k | None))
        text = feature.metadata["description"]
        columns.append(column(feature.name, kind, text[0].lower() + text[1:], unit=feature.metadata["unit"], null=True))
    return columns


FEATURES = feature_columns()
AUDIO_ANALYSES = pa.schema(
    [
        column("content_sha256", pa.string(), "SHA-256 of the analyzed bytes, in hex"),
        *FEATURES,
        column("version", pa.int64(), "version of the analysis"),
        column("error", pa.string(), "reason for missing features", null=True),
    ]
)
RANGES: dict[str, tuple[float, float]] = {
    "duration_s": (0, 10**8),
    "tempo_bpm": (20, 400),
    "tempo_confidence": (0, 1),
    "loudness_lufs": (-71, 30),  # its gate is at -70; files of floats may be louder than full scale
    "loudness_range_lu": (0, 150),
    "danceability": (0, 1_000),  # music has up to 3, a tone that never changes may have more
    "energy": (0, 1),
    "onset_rate": (0, 1_000),
}
"""The possible values of features. A value out of range is an error of the analysis or of a file's header."""
HISTOGRAMS = {
    "tempo (beats per minute)": "tempo_bpm",
    "loudness (LUFS)": "loudness_lufs",
    "danceability": "danceability",
    "energy": "energy",
    "onsets per second": "onset_rate",
    "length (s)": "duration_s",
}
"""The columns that histograms show, by their titles."""
KEY = dg.AssetKey(["content", "audio_analyses"])
NEEDED = ["path", "content_sha256", "bytes", "modified_at"]
MAX_REASONS = 12  # shown in the metadata


class AnalysisConfig(dg.Config):
    """Whether to analyze files again that failed before."""

    retry_failed: bool = Field(default=False, description="Analyze files again that could not be decoded before.")


def analyze(files: pa.Table, root: str) -> pa.Table:
    """Analyze each file below `root` that is still as the inventory has it. Other files get no row."""
    rows = [_analyze(file, root) for file in files.to_pylist()]
    return pa.Table.from_pylist([row for row in rows if row], AUDIO_ANALYSES)


def failed(files: pa.Table, reason: str) -> pa.Table:
    """Return rows for files on which the worker process crashed or hung."""
    rows = [{"content_sha256": h, "version": VERSION, "error": reason} for h in files["content_sha256"].to_pylist()]
    return pa.Table.from_pylist(rows, AUDIO_ANALYSES)


def _analyze(file: dict[str, Any], root: str) -> dict[str, Any] | None:
    from resources.audio.features import features  # imported here, since its libraries take a second to load

    path = Path(root, file["path"])
    row = {"content_sha256": file["content_sha256"], "version": VERSION}
    if not _unchanged(path, file):
        return None
    values: dict[str, Any]
    try:
        values = asdict(features(path))
    except Undecodable as error:
        values = {"error": str(error)}
    if not _unchanged(path, file):  # since it was opened
        return None
    if odd := [f"{c} {values[c]:g}" for c, (low, high) in RANGES.items() if not _possible(values.get(c), low, high)]:
        return row | {"error": f"impossible values: {', '.join(odd)}"}
    return row | values


def _possible(value: float | None, low: float, high: float) -> bool:
    return value is None or low <= value <= high


def _unchanged(path: Path, file: dict[str, Any]) -> bool:
    """Whether a file still has the size and modification time of the inventory."""
    try:
        status = path.stat()
    except OSError:
        return False
    return status.st_size == file["bytes"] and modified(status) == pa.scalar(file["modified_at"], INSTANT).value


def pending(files: pa.Table, done: pa.Table, retry_failed: bool = False) -> pa.Table:
    """Return the files to analyze, one for each content without an analysis of this version."""
    analyzed = {
        content
        for content, version, error in zip(
            *(done[c].to_pylist() for c in ("content_sha256", "version", "error")), strict=True
        )
        if version == VERSION and not (retry_failed and error)
    }
    first: dict[str, int] = {}
    for place, content in enumerate(files["content_sha256"].to_pylist()):
        if content is not None and content not in analyzed:
            first.setdefault(content, place)
    return files.take(pa.array(first.values(), pa.int64()))


@dg.asset(
    key=KEY,
    ins={"audio_files": dg.AssetIn(["content", "audio_files"])},
    metadata=declare(AUDIO_ANALYSES, key=["content_sha256"]),
)
def audio_analyses(
    context: dg.AssetExecutionContext,
    config: AnalysisConfig,
    audio_files: Frame,
    music: Music,
    io_manager: dg.ResourceParam[LakeIO],
) -> dg.MaterializeResult:
    """Audio features of each distinct content in the music folder, analyzed once: tempo, key, loudness and more."""
    files = audio_files.collect_as(subset(AUDIO_FILES, NEEDED)).sort_by("path")
    before = io_manager.open(KEY, AUDIO_ANALYSES).collect_as(
        subset(AUDIO_ANALYSES, ["content_sha256", "version", "error"])
    )
    todo = pending(files, before, config.retry_failed)
    context.log.info("%s files to analyze, %s analyzed before", f"{len(todo):,}", f"{len(before):,}")
    if not io_manager.lake.exists("content/audio_analyses"):
        with io_manager.lake.writing("content/audio_analyses", AUDIO_ANALYSES):
            pass  # creates the table even if there is no file to analyze
    analyze_batch = partial(analyze, root=music.root)
    seconds = analyzed_s = 0.0
    errors: Counter[str] = Counter()
    rows = 0
    for done in batches(
        todo,
        "content_sha256",
        lambda batch: batch.map(analyze_batch, schema=AUDIO_ANALYSES, kernel="arrow", on_crash=failed),
        io_manager,
        KEY,
        AUDIO_ANALYSES,
        ["duration_s", "error"],
    ):
        batch_s = sum(s or 0 for s in done.rows["duration_s"].to_pylist())
        rows, analyzed_s, seconds = rows + len(done.rows), analyzed_s + batch_s, seconds + done.seconds
        errors.update(e for e in done.rows["error"].to_pylist() if e)
        speed = f"{batch_s / done.seconds:,.0f} times real time" if batch_s else "no sound in the last batch"
        context.log.info("analyzed %s of %s files, %s", f"{done.files:,}", f"{done.total:,}", speed)
    if rows < len(todo):
        context.log.warning(
            "%s files were deleted or changed meanwhile. The next run analyzes them.", f"{len(todo) - rows:,}"
        )
    stored = io_manager.open(KEY, AUDIO_ANALYSES).collect_as(subset(AUDIO_ANALYSES, list(HISTOGRAMS.values())))
    plots = {"features": distributions(stored)} if len(stored) else {}
    total = {"dagster/row_count": len(stored)}
    return dg.MaterializeResult(metadata={**total, **plots, **run_metadata(rows, analyzed_s, seconds, errors)})


def distributions(rows: pa.Table) -> dg.MetadataValue:
    """Return histograms of tempo, loudness and other features."""
    return histograms({title: rows[name].drop_null().to_pylist() for title, name in HISTOGRAMS.items()})


def run_metadata(rows: int, analyzed_s: float, seconds: float, errors: Counter[str]) -> dict[str, Any]:
    """Return the metadata of a run: rows written, length of the analyzed audio, speed, and errors by reason."""
    return {
        "rows_written": rows,
        "hours_analyzed": round(analyzed_s / 3600, 3),
        "files_with_error": errors.total(),
        **({"times_real_time": round(analyzed_s / seconds, 1)} if analyzed_s else {}),
        **({"errors": listed(("error", "files"), errors.most_common(MAX_REASONS))} if errors else {}),
    }


checks = [checks_of(audio_analyses, in_range(RANGES), exactly_one_set("duration_s", "error"), error_rate("error", 0.1))]
