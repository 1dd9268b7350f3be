"""Audio features: how each file of the music folder sounds.

A file has the features of its content, wherever it lies and whatever it is called.
"""

from collections import Counter
from functools import partial
from typing import Any

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of, covers_upstream, exactly_one_set, in_range
from assets.content.audio_analyses import DRAWN, FEATURES, RANGES, distributions
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
        column("version", pa.int64(), "version of the analysis; null where it was not listened to", null=True),
        column("error", pa.string(), "why there are no features", null=True),
    ]
)
NEEDED = ["path", "content_sha256", "recording_id", "error"]
MISSED = "it was gone or changed when it was to be listened to: it is the next time"
KEYS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
WAVEFORMS = 9  # files whose waveform is shown


def sounding(files: nw.LazyFrame, analyses: nw.LazyFrame) -> nw.LazyFrame:
    """Files with the features of their contents; of one that has none, why."""
    found = files.rename({"error": "unread"}).join(analyses, on="content_sha256", how="left")
    missed = nw.when(nw.col("version").is_null()).then(nw.lit(MISSED)).otherwise(nw.col("error"))
    why = nw.when(nw.col("content_sha256").is_null()).then(nw.col("unread")).otherwise(missed)
    return found.with_columns(error=why).select(AUDIO_FEATURES.names)


def of_files(files: Frame, analyses: Frame) -> Frame:
    """The features of files, by their contents."""
    return files.select(*NEEDED).per("content_sha256", sounding, analyses)


@dg.asset(
    key_prefix="content",
    ins={
        "audio_files": dg.AssetIn(["content", "audio_files"]),
        "audio_analyses": dg.AssetIn(["content", "audio_analyses"]),
    },
    metadata=declare(AUDIO_FEATURES, key=["path"]),
)
def audio_features(context: dg.AssetExecutionContext, audio_files: Frame, audio_analyses: Frame) -> Frame:
    """Tempo, key, loudness, timbre and more of each file."""
    rows = of_files(audio_files, audio_analyses).persist()
    context.add_output_metadata(looks(rows))
    return rows


def looks(rows: Frame) -> dict[str, Any]:
    """What one sees of the table at a glance: waveforms, keys, and how features are distributed."""
    told = rows.collect_as(subset(AUDIO_FEATURES, ["path", "key", "mode", "error", *DRAWN.values()]))
    heard = [r for r in told.to_pylist() if r["error"] is None]
    keys = Counter(f"{r['key']} {r['mode']}" for r in heard if r["key"])
    found = {f"{k} {mode}": keys[f"{k} {mode}"] for mode in ("major", "minor") for k in KEYS}
    paths = sorted(r["path"] for r in heard)[:WAVEFORMS]
    peaks = (
        rows.map(partial(among, paths=paths))
        .collect_as(subset(AUDIO_FEATURES, ["path", "waveform"]))
        .sort_by("path")
        .to_pylist()
    )
    shown = {
        "waveforms": waveforms({r["path"]: r["waveform"] for r in peaks}),
        "features": distributions(told),
        "keys": bars(
            "files in each key", {k.replace(" major", "").replace(" minor", "m"): n for k, n in found.items()}
        ),
    }
    return {"files_with_error": len(told) - len(heard), **(shown if heard else {})}


def among(rows: nw.LazyFrame, paths: list[str]) -> nw.LazyFrame:
    """The rows of some files."""
    return rows.filter(nw.col("path").is_in(paths))


checks = [
    checks_of(
        audio_features,
        in_range(RANGES),
        exactly_one_set("duration_s", "error"),
        covers_upstream(dg.AssetKey(["content", "audio_files"]), AUDIO_FILES, "path"),
    )
]
