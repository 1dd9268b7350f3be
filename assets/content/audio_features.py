"""Audio features: tempo, key, loudness and more of each file in the music folder.

A file has the features of its content, independent of its path. `audio_analyses` computes them.
"""

from collections import Counter
from functools import partial
from typing import Any

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of, covers_upstream, exactly_one_set, in_range
from assets.content.audio_analyses import FEATURES, HISTOGRAMS, RANGES, distributions
from assets.content.audio_files import AUDIO_FILES
from resources.frames.frame import Frame
from resources.report.plots import bars, waveforms
from resources.schema import column, declare, subset

AUDIO_FEATURES = pa.schema(
    [
        AUDIO_FILES.field("path"),
        AUDIO_FILES.field("content_sha256"),
        AUDIO_FILES.field("recording_id"),
        *FEATURES,
        column("version", pa.int64(), "version of the analysis, null if not analyzed", null=True),
        column("error", pa.string(), "reason for missing features", null=True),
    ]
)
NEEDED = ["path", "content_sha256", "recording_id", "error"]
NOT_ANALYZED = "deleted or changed before it could be analyzed; the next run analyzes it"
KEYS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MAX_WAVEFORMS = 9  # files whose waveform is shown in the metadata


def join_analyses(files: nw.LazyFrame, analyses: nw.LazyFrame) -> nw.LazyFrame:
    """Join files with the features of their contents. A file without features gets the reason as its error."""
    joined = files.rename({"error": "unread"}).join(analyses, on="content_sha256", how="left")
    error = nw.when(nw.col("version").is_null()).then(nw.lit(NOT_ANALYZED)).otherwise(nw.col("error"))
    reason = nw.when(nw.col("content_sha256").is_null()).then(nw.col("unread")).otherwise(error)
    return joined.with_columns(error=reason).select(AUDIO_FEATURES.names)


def features_of_files(files: Frame, analyses: Frame) -> Frame:
    """Return the features of files, by their contents."""
    return files.select(*NEEDED).per("content_sha256", join_analyses, analyses)


@dg.asset(
    key_prefix="content",
    ins={
        "audio_files": dg.AssetIn(["content", "audio_files"]),
        "audio_analyses": dg.AssetIn(["content", "audio_analyses"]),
    },
    metadata=declare(AUDIO_FEATURES, key=["path"]),
)
def audio_features(context: dg.AssetExecutionContext, audio_files: Frame, audio_analyses: Frame) -> Frame:
    """Audio features of each file in the music folder: tempo, key, loudness, timbre and more."""
    rows = features_of_files(audio_files, audio_analyses).persist()
    context.add_output_metadata(summary(rows))
    return rows


def summary(rows: Frame) -> dict[str, Any]:
    """Return the metadata of the table: waveforms, files in each key, and histograms of features."""
    values = rows.collect_as(subset(AUDIO_FEATURES, ["path", "key", "mode", "error", *HISTOGRAMS.values()]))
    analyzed = [r for r in values.to_pylist() if r["error"] is None]
    keys = Counter(f"{r['key']} {r['mode']}" for r in analyzed if r["key"])
    counts = {f"{k} {mode}": keys[f"{k} {mode}"] for mode in ("major", "minor") for k in KEYS}
    paths = sorted(r["path"] for r in analyzed)[:MAX_WAVEFORMS]
    peaks = (
        rows.map(partial(with_paths, paths=paths))
        .collect_as(subset(AUDIO_FEATURES, ["path", "waveform"]))
        .sort_by("path")
        .to_pylist()
    )
    plots = {
        "waveforms": waveforms({r["path"]: r["waveform"] for r in peaks}),
        "features": distributions(values),
        "keys": bars(
            "files in each key", {k.replace(" major", "").replace(" minor", "m"): n for k, n in counts.items()}
        ),
    }
    return {"files_with_error": len(values) - len(analyzed), **(plots if analyzed else {})}


def with_paths(rows: nw.LazyFrame, paths: list[str]) -> nw.LazyFrame:
    """Keep the rows of these files."""
    return rows.filter(nw.col("path").is_in(paths))


checks = [
    checks_of(
        audio_features,
        in_range(RANGES),
        exactly_one_set("duration_s", "error"),
        covers_upstream(dg.AssetKey(["content", "audio_files"]), AUDIO_FILES, "path"),
    )
]
