"""Audio files: the inventory of the music folder, with tags, pictures and properties of each file.

A file with the same path, size and modification time as before is not read again. A moved file is recognized by its
content. A file that cannot be read has a row with the reason. If the music folder is unavailable, the table stays as it
is.
"""

import hashlib
from collections import Counter, defaultdict
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of, error_rate, in_range
from resources.folders.music import FILE_COLUMNS, Music, MusicScan
from resources.frames.frame import Frame
from resources.lake.incremental import batches
from resources.lake.io_manager import LakeIO
from resources.report.markdown import listed
from resources.report.plots import colors, histograms
from resources.schema import INSTANT, column, declare, subset

AUDIO_FILES = pa.schema(
    [
        column("path", pa.string(), "path below the music folder, with slashes"),
        column("content_sha256", pa.string(), "SHA-256 of the file's bytes, in hex; null if unreadable", null=True),
        column("container", pa.string(), "container format: flac, ogg, mp3, mp4, wav, …", null=True),
        column("codec", pa.string(), "audio codec: flac, vorbis, opus, mp3, aac, alac, pcm, …", null=True),
        column("duration_s", pa.float64(), "length according to the file's header", unit="s", null=True),
        column("sample_rate", pa.int64(), "sample rate", unit="Hz", null=True),
        column("channels", pa.int64(), "number of channels", null=True),
        column("bytes", pa.int64(), "size of the file", unit="bytes"),
        column("modified_at", INSTANT, "time of the last write to the file", unit="UTC"),
        column("title", pa.string(), "title, as tagged", null=True),
        column("artist", pa.string(), "artist, as tagged; several are joined by semicolons", null=True),
        column("album", pa.string(), "album, as tagged", null=True),
        column("album_artist", pa.string(), "artist of the album, as tagged", null=True),
        column("track_number", pa.int64(), "track number on the medium", null=True),
        column("date", pa.string(), "release date, as tagged", null=True),
        column("genres", pa.list_(pa.string()), "genres, as tagged"),
        column("isrc", pa.string(), "International Standard Recording Code", null=True),
        column("recording_id", pa.string(), "MusicBrainz recording, if tagged", null=True),
        column("release_id", pa.string(), "MusicBrainz release, if tagged", null=True),
        column("artist_ids", pa.list_(pa.string()), "MusicBrainz artists, in the order of the tags"),
        column("has_lyrics", pa.bool_(), "whether the tags contain lyrics"),
        column("cover_sha256", pa.string(), "SHA-256 of the embedded picture (front cover first), in hex", null=True),
        column("cover_bytes", pa.int64(), "size of the picture", unit="bytes", null=True),
        column("cover_mime", pa.string(), "media type of the picture, for example image/jpeg", null=True),
        column("cover_width", pa.int64(), "width of the picture", unit="pixels", null=True),
        column("cover_height", pa.int64(), "height of the picture", unit="pixels", null=True),
        column("cover_colors", pa.list_(pa.string()), "dominant colors of the picture as #rrggbb, the largest first"),
        column("cover_shares", pa.list_(pa.float64()), "share of the picture of each of these colors, from 0 to 1"),
        column("error", pa.string(), "reason why the file or its tags cannot be read", null=True),
    ]
)
EMPTY_ROW: dict[str, Any] = dict.fromkeys(AUDIO_FILES.names) | {
    "genres": [],
    "artist_ids": [],
    "has_lyrics": False,
    "cover_colors": [],
    "cover_shares": [],
}
RANGES: dict[str, tuple[float, float]] = {
    "bytes": (0, 2**62),
    "duration_s": (0, 10**8),
    "sample_rate": (1, 10**7),
    "channels": (1, 2**16),
}
"""The possible values. A header with a value out of range is wrong, and the value becomes null."""
HEADER = ("container", "codec", "duration_s", "sample_rate", "channels")
STORED = ["path", "content_sha256", "bytes", "modified_at"]
SUMMARIZED = ["path", "container", "codec", "duration_s", "bytes", "album", "recording_id", "error"]
SUMMARIZED += ["cover_sha256", "cover_colors", "cover_shares"]
KEY = dg.AssetKey(["content", "audio_files"])
MAX_SHOWN = 12  # covers, reasons and folders shown in the metadata and the log


def read_files(files: pa.Table, root: str) -> pa.Table:
    """Read each file below `root` once and return a row for each that still exists."""
    rows = [row for file in files.to_pylist() if (row := _read_file(file, root))]
    for row in rows:
        row |= {c: None for c, (low, high) in RANGES.items() if row[c] is not None and not low <= row[c] <= high}
    return pa.Table.from_pylist(rows, AUDIO_FILES)


def failed(files: pa.Table, reason: str) -> pa.Table:
    """Return rows for files on which the worker process crashed or hung."""
    rows = [
        EMPTY_ROW | {c: f[c] for c in ("path", "bytes", "modified_at")} | {"error": reason} for f in files.to_pylist()
    ]
    return pa.Table.from_pylist(rows, AUDIO_FILES)


def existing(files: nw.LazyFrame, paths: nw.LazyFrame) -> nw.LazyFrame:
    """Keep the rows of files with these paths."""
    return files.join(paths, on="path", how="semi")


def _read_file(file: dict[str, Any], root: str) -> dict[str, Any] | None:
    from resources.audio.cover import cover
    from resources.audio.sound import Undecodable
    from resources.audio.tags import tags

    row = EMPTY_ROW | {c: file[c] for c in FILE_COLUMNS.names}
    if file["error"]:
        return row
    path = Path(root, file["path"])
    try:
        with path.open("rb") as stream:
            row["content_sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        return row | {"error": f"cannot be read: {error.strerror}"}
    try:
        if not (tagged := tags(path)):
            return row | _header(path)
    except Undecodable as error:
        try:
            return row | _header(path) | {"error": str(error)}  # the decoder may accept what the tag reader refuses
        except Undecodable:
            return row | {"error": str(error)}
    row |= {name: value for name, value in asdict(tagged).items() if name in AUDIO_FILES.names}
    return row | (asdict(cover(tagged.picture)) if tagged.picture else {})


def _header(path: Path) -> dict[str, Any]:
    """Return the properties that the decoder reports, for a format whose tags are not supported."""
    from resources.audio.sound import Sound

    with Sound(path) as sound:
        return {name: getattr(sound, name) for name in HEADER}


@dg.asset(key=KEY, metadata=declare(AUDIO_FILES, key=["path"]))
def audio_files(context: dg.AssetExecutionContext, music: Music, io_manager: dg.ResourceParam[LakeIO]) -> Frame:
    """Files of the music folder, with their tags, embedded pictures and technical properties."""
    stored = io_manager.open(KEY, AUDIO_FILES)
    before = stored.collect_as(subset(AUDIO_FILES, STORED)).to_pylist()
    look = music.scan()
    if look is None or (before and not look.rows):
        problem = "music folder is unavailable" if look is None else "no audio files in music folder"
        context.log.warning("%s: %s. The table keeps its %s files.", problem, music.root, f"{len(before):,}")
        return stored
    paths, new = _compare(look, before)
    context.log.info("%s: %s audio files, %s of them new or changed", music.root, f"{len(paths):,}", f"{len(new):,}")
    for folder in look.closed[:MAX_SHOWN]:
        context.log.warning("cannot open folder: %s. The table keeps its files.", folder)
    read = partial(read_files, root=music.root)
    rows = 0
    for done in batches(
        new,
        "path",
        lambda files: files.map(read, schema=AUDIO_FILES, kernel="arrow", on_crash=failed),
        io_manager,
        KEY,
        AUDIO_FILES,
        ["bytes"],
    ):
        rows += len(done.rows)
        read_bytes = sum(done.rows["bytes"].to_pylist())
        context.log.info(
            "read %s of %s files, %s MB/s",
            f"{done.files:,}",
            f"{done.total:,}",
            f"{read_bytes / 1e6 / done.seconds:,.0f}",
        )
    if rows < len(new):
        context.log.warning("%s files were deleted before they could be read", f"{len(new) - rows:,}")
    existing_paths = io_manager.engine.engine.from_arrow(paths)
    files = io_manager.open(KEY, AUDIO_FILES).per("path", existing, existing_paths).persist()
    context.add_output_metadata(summary(files))
    return files


def _compare(look: MusicScan, before: list[dict[str, Any]]) -> tuple[pa.Table, pa.Table]:
    """Return the paths to keep (column `path`), and the files that are new or changed.

    Files in folders that cannot be opened are kept. Files that could not be read before count as changed.
    """
    files = look.files
    states = {row["path"]: (row["bytes"], row["modified_at"]) for row in before if row["content_sha256"]}
    new = [
        states.get(f["path"]) != (f["bytes"], f["modified_at"])
        for f in files.select(["path", "bytes", "modified_at"]).to_pylist()
    ]
    hidden = [row["path"] for row in before if look.hidden(row["path"])]
    paths = pa.table({"path": pa.array(sorted({*files["path"].to_pylist(), *hidden}), pa.string())})
    return paths, files.filter(pa.array(new, pa.bool_()))


def summary(files: Frame) -> dict[str, Any]:
    """Return the metadata of the table: formats, errors, lengths and the colors of covers."""
    rows = files.collect_as(subset(AUDIO_FILES, SUMMARIZED)).to_pylist()
    formats: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    covers: dict[str, tuple[str, list[str], list[float]]] = {}
    for row in sorted(rows, key=lambda r: r["path"]):
        formats[row["container"] or "?", row["codec"] or "?"].append(row)
        if row["cover_colors"]:  # the files of an album share one cover
            cover = row["album"] or row["path"], row["cover_colors"], row["cover_shares"]
            covers.setdefault(row["cover_sha256"], cover)
    listing = [
        (*form, len(members), f"{_hours(members):,.1f}", f"{sum(r['bytes'] for r in members) / 1e6:,.1f}")
        for form, members in sorted(formats.items(), key=lambda item: -len(item[1]))
    ]
    errors = Counter(r["error"] for r in rows if r["error"])
    lengths = [r["duration_s"] / 60 for r in rows if r["duration_s"]]
    return {
        "hours": round(_hours(rows), 3),
        "files_with_recording_id": sum(r["recording_id"] is not None for r in rows),
        "files_with_cover": sum(r["cover_sha256"] is not None for r in rows),
        "files_with_error": errors.total(),
        "formats": listed(("container", "codec", "files", "hours", "MB"), listing),
        **({"errors": listed(("error", "files"), errors.most_common(MAX_SHOWN))} if errors else {}),
        **({"lengths": histograms({"length (minutes)": lengths})} if lengths else {}),
        **({"covers": colors(list(covers.values())[:MAX_SHOWN])} if covers else {}),
    }


def _hours(rows: list[dict[str, Any]]) -> float:
    return sum(r["duration_s"] or 0 for r in rows) / 3600


checks = [checks_of(audio_files, in_range(RANGES), error_rate("error", 0.1))]
