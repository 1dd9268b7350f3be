"""Audio analyses: what listening to each content of the music folder told.

A content is listened to once for each version of the analysis, in however many files and wherever it lies. Analyses of
files that are gone stay, so that nothing is done again when a drive comes back.
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
from resources.report.plots import histograms, listed
from resources.schema import INSTANT, column, declare, subset

KINDS = {float: pa.float64(), int: pa.int64(), str: pa.string(), list[float]: pa.list_(pa.float64())}
"""The type of a column by that of a feature."""


def columns() -> list[pa.Field]:
    """The features, each as a column; null where a file has none."""
    hints = get_type_hints(Features)
    found = []
    for feature in fields(Features):
        kind = next(t for k, t in KINDS.items() if hints[feature.name] in (k, k | None))
        description = feature.metadata["description"]
        found.append(
            column(
                feature.name, kind, description[0].lower() + description[1:], unit=feature.metadata["unit"], null=True
            )
        )
    return found


FEATURES = columns()
AUDIO_ANALYSES = pa.schema(
    [
        column("content_sha256", pa.string(), "SHA-256 of the bytes that were listened to, in hex"),
        *FEATURES,
        column("version", pa.int64(), "version of the analysis"),
        column("error", pa.string(), "why there are no features", null=True),
    ]
)
RANGES: dict[str, tuple[float, float]] = {
    "duration_s": (0, 10**8),
    "tempo_bpm": (20, 400),
    "tempo_confidence": (0, 1),
    "loudness_lufs": (-71, 30),  # its gate lies at -70; files of floats may be louder than full scale
    "loudness_range_lu": (0, 150),
    "danceability": (0, 1_000),  # music has up to three, a tone that never changes any
    "energy": (0, 1),
    "onset_rate": (0, 1_000),
}
"""What a feature can be at all. What lies beyond is the analysis' mistake, or that of a header."""
DRAWN = {  # what histograms show, by what they call it
    "tempo (beats per minute)": "tempo_bpm",
    "loudness (LUFS)": "loudness_lufs",
    "danceability": "danceability",
    "energy": "energy",
    "onsets per second": "onset_rate",
    "length (s)": "duration_s",
}
KEY = dg.AssetKey(["content", "audio_analyses"])
NEEDED = ["path", "content_sha256", "bytes", "modified_at"]
SHOWN = 12  # reasons


class Again(dg.Config):
    """Whether to listen once more to files in which nothing could be heard."""

    retry_failed: bool = Field(default=False, description="analyze files again that could not be decoded before")


def analyzed(files: pa.Table, root: str) -> pa.Table:
    """Listen to each file that is as the inventory has it; of others there is no row."""
    rows = [_analyzed(file, root) for file in files.to_pylist()]
    return pa.Table.from_pylist([row for row in rows if row], AUDIO_ANALYSES)


def lost(files: pa.Table, reason: str) -> pa.Table:
    """Rows of files that nobody came back from."""
    rows = [{"content_sha256": h, "version": VERSION, "error": reason} for h in files["content_sha256"].to_pylist()]
    return pa.Table.from_pylist(rows, AUDIO_ANALYSES)


def _analyzed(file: dict[str, Any], root: str) -> dict[str, Any] | None:
    from resources.audio.features import features  # what it computes with takes a second to load

    path = Path(root, file["path"])
    row = {"content_sha256": file["content_sha256"], "version": VERSION}
    if not _unchanged(path, file):
        return None
    found: dict[str, Any]
    try:
        found = asdict(features(path))
    except Undecodable as error:
        found = {"error": str(error)}
    if not _unchanged(path, file):  # since it was opened
        return None
    if odd := [f"{c} {found[c]:g}" for c, (low, high) in RANGES.items() if not _possible(found.get(c), low, high)]:
        return row | {"error": f"no recording sounds like this: {', '.join(odd)}"}
    return row | found


def _possible(value: float | None, low: float, high: float) -> bool:
    return value is None or low <= value <= high


def _unchanged(path: Path, file: dict[str, Any]) -> bool:
    """Whether a file is still what the inventory tells of."""
    try:
        told = path.stat()
    except OSError:
        return False
    return told.st_size == file["bytes"] and modified(told) == pa.scalar(file["modified_at"], INSTANT).value


def owed(files: pa.Table, done: pa.Table, retry_failed: bool = False) -> pa.Table:
    """The files to listen to, one of each content that has no analysis of this version."""
    known = {
        content
        for content, version, error in zip(
            *(done[c].to_pylist() for c in ("content_sha256", "version", "error")), strict=True
        )
        if version == VERSION and not (retry_failed and error)
    }
    first: dict[str, int] = {}
    for place, content in enumerate(files["content_sha256"].to_pylist()):
        if content is not None and content not in known:
            first.setdefault(content, place)
    return files.take(pa.array(first.values(), pa.int64()))


@dg.asset(
    key=KEY,
    ins={"audio_files": dg.AssetIn(["content", "audio_files"])},
    metadata=declare(AUDIO_ANALYSES, key=["content_sha256"]),
)
def audio_analyses(
    context: dg.AssetExecutionContext,
    config: Again,
    audio_files: Frame,
    music: Music,
    io_manager: dg.ResourceParam[LakeIO],
) -> dg.MaterializeResult:
    """What each content sounds like, listened to once."""
    files = audio_files.collect_as(subset(AUDIO_FILES, NEEDED)).sort_by("path")
    before = io_manager.open(KEY, AUDIO_ANALYSES).collect_as(
        subset(AUDIO_ANALYSES, ["content_sha256", "version", "error"])
    )
    todo = owed(files, before, config.retry_failed)
    context.log.info("%s contents to listen to, %s were before", f"{len(todo):,}", f"{len(before):,}")
    if not io_manager.lake.exists("content/audio_analyses"):
        with io_manager.lake.writing("content/audio_analyses", AUDIO_ANALYSES):
            pass  # a table without rows, where nothing can be heard
    listen = partial(analyzed, root=music.root)
    seconds = heard = 0.0
    wrong: Counter[str] = Counter()
    made = 0
    for done in batches(
        todo,
        "content_sha256",
        lambda batch: batch.map(listen, schema=AUDIO_ANALYSES, kernel="arrow", on_crash=lost),
        io_manager,
        KEY,
        AUDIO_ANALYSES,
        ["duration_s", "error"],
    ):
        now = sum(s or 0 for s in done.rows["duration_s"].to_pylist())
        made, heard, seconds = made + len(done.rows), heard + now, seconds + done.seconds
        wrong.update(e for e in done.rows["error"].to_pylist() if e)
        speed = f"{now / done.seconds:,.0f} times real time" if now else "none of the last with sound"
        context.log.info("listened to %s of %s files, %s", f"{done.files:,}", f"{done.total:,}", speed)
    if made < len(todo):
        context.log.warning(
            "%s files were gone or changed: they are listened to the next time", f"{len(todo) - made:,}"
        )
    all_heard = io_manager.open(KEY, AUDIO_ANALYSES).collect_as(subset(AUDIO_ANALYSES, list(DRAWN.values())))
    looks = {"features": distributions(all_heard)} if len(all_heard) else {}
    total = {"dagster/row_count": len(all_heard)}
    return dg.MaterializeResult(metadata={**total, **looks, **told(made, heard, seconds, wrong)})


def distributions(rows: pa.Table) -> dg.MetadataValue:
    """How tempo, loudness and others are distributed."""
    return histograms({says: rows[name].drop_null().to_pylist() for says, name in DRAWN.items()})


def told(made: int, heard: float, seconds: float, wrong: Counter[str]) -> dict[str, Any]:
    """What Dagster is told of a run: how much was listened to, how fast, and what could not be."""
    return {
        "rows_written": made,
        "hours_analyzed": round(heard / 3600, 3),
        "files_with_error": wrong.total(),
        **({"times_real_time": round(heard / seconds, 1)} if heard else {}),
        **({"errors": listed(("error", "files"), wrong.most_common(SHOWN))} if wrong else {}),
    }


checks = [checks_of(audio_analyses, in_range(RANGES), exactly_one_set("duration_s", "error"), error_rate("error", 0.1))]
