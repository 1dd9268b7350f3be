"""Audio files: what lies in the music folder, and what each file says about itself.

A file with the path, size and time of last writing that it had is taken to be what it was, and is not opened. One that
moved is known again by its content. What cannot be read is a row with the reason; a folder that is away leaves the
table as it is.
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
from resources.report.plots import colors, histograms, listed
from resources.schema import INSTANT, column, declare, subset

AUDIO_FILES = pa.schema(
    [
        column("path", pa.string(), "where it lies below the music folder, with slashes"),
        column("content_sha256", pa.string(), "SHA-256 of its bytes, in hex; null where it cannot be read", null=True),
        column("container", pa.string(), "flac, ogg, mp3, mp4, wav, ...", null=True),
        column("codec", pa.string(), "flac, vorbis, opus, mp3, aac, alac, pcm, ...", null=True),
        column("duration_s", pa.float64(), "length, as its header has it", unit="s", null=True),
        column("sample_rate", pa.int64(), "samples of a channel in a second", unit="Hz", null=True),
        column("channels", pa.int64(), "channels", null=True),
        column("bytes", pa.int64(), "size", unit="bytes"),
        column("modified_at", INSTANT, "when it was last written to", unit="UTC"),
        column("title", pa.string(), "title, as tagged", null=True),
        column("artist", pa.string(), "artist, as tagged; several are joined by semicolons", null=True),
        column("album", pa.string(), "album, as tagged", null=True),
        column("album_artist", pa.string(), "artist of the album, as tagged", null=True),
        column("track_number", pa.int64(), "place on its medium", null=True),
        column("date", pa.string(), "when it was released, as tagged", null=True),
        column("genres", pa.list_(pa.string()), "genres, as tagged"),
        column("isrc", pa.string(), "International Standard Recording Code", null=True),
        column("recording_id", pa.string(), "MusicBrainz recording, where the tags name one", null=True),
        column("release_id", pa.string(), "MusicBrainz release, where the tags name one", null=True),
        column("artist_ids", pa.list_(pa.string()), "MusicBrainz artists that the tags name, in their order"),
        column("has_lyrics", pa.bool_(), "whether lyrics are in its tags"),
        column("cover_sha256", pa.string(), "SHA-256 of the picture in it, the front cover first, in hex", null=True),
        column("cover_bytes", pa.int64(), "size of the picture", unit="bytes", null=True),
        column("cover_mime", pa.string(), "kind of picture, as image/jpeg", null=True),
        column("cover_width", pa.int64(), "width of the picture", unit="pixels", null=True),
        column("cover_height", pa.int64(), "height of the picture", unit="pixels", null=True),
        column("cover_colors", pa.list_(pa.string()), "its dominant colors as #rrggbb, the largest first"),
        column("cover_shares", pa.list_(pa.float64()), "which share of the picture each of these has"),
        column("error", pa.string(), "why it, or what it says, cannot be read", null=True),
    ]
)
NOTHING: dict[str, Any] = dict.fromkeys(AUDIO_FILES.names) | {
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
"""What can be at all; a header that says otherwise says nothing."""
HEADER = ("container", "codec", "duration_s", "sample_rate", "channels")
KNOWN_BY = ["path", "content_sha256", "bytes", "modified_at"]
SEEN = ["path", "container", "codec", "duration_s", "bytes", "album", "recording_id", "error"]
SEEN += ["cover_sha256", "cover_colors", "cover_shares"]
KEY = dg.AssetKey(["content", "audio_files"])
SHOWN = 12  # covers, and reasons


def described(files: pa.Table, root: str) -> pa.Table:
    """A row for each file that is still there, of what is in it. Opens it, and reads it once as a whole."""
    rows = [row for file in files.to_pylist() if (row := _described(file, root))]
    for row in rows:
        row |= {c: None for c, (low, high) in RANGES.items() if row[c] is not None and not low <= row[c] <= high}
    return pa.Table.from_pylist(rows, AUDIO_FILES)


def lost(files: pa.Table, reason: str) -> pa.Table:
    """Rows of files whose reader did not come back."""
    rows = [
        NOTHING | {c: f[c] for c in ("path", "bytes", "modified_at")} | {"error": reason} for f in files.to_pylist()
    ]
    return pa.Table.from_pylist(rows, AUDIO_FILES)


def lying(files: nw.LazyFrame, there: nw.LazyFrame) -> nw.LazyFrame:
    """The rows of files that are there."""
    return files.join(there, on="path", how="semi")


def _described(file: dict[str, Any], root: str) -> dict[str, Any] | None:
    from resources.audio.cover import cover
    from resources.audio.sound import Undecodable
    from resources.audio.tags import tags

    row = NOTHING | {c: file[c] for c in FILE_COLUMNS.names}
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
        if not (told := tags(path)):
            return row | _header(path)
    except Undecodable as broken:
        try:
            return row | _header(path) | {"error": str(broken)}  # a decoder may still make sense of it
        except Undecodable:
            return row | {"error": str(broken)}
    row |= {name: value for name, value in asdict(told).items() if name in AUDIO_FILES.names}
    return row | (asdict(cover(told.picture)) if told.picture else {})


def _header(path: Path) -> dict[str, Any]:
    """What the decoder says of a format whose tags nobody reads."""
    from resources.audio.sound import Sound

    with Sound(path) as sound:
        return {name: getattr(sound, name) for name in HEADER}


@dg.asset(key=KEY, metadata=declare(AUDIO_FILES, key=["path"]))
def audio_files(context: dg.AssetExecutionContext, music: Music, io_manager: dg.ResourceParam[LakeIO]) -> Frame:
    """The files of the music folder, with their tags, pictures and properties."""
    stored = io_manager.open(KEY, AUDIO_FILES)
    known = stored.collect_as(subset(AUDIO_FILES, KNOWN_BY)).to_pylist()
    look = music.scan()
    if look is None or (known and not look.rows):
        what = "is not there" if look is None else "has no audio file in it"
        context.log.warning("%s %s: the %s files known stay as they are", music.root, what, f"{len(known):,}")
        return stored
    there, new = _compared(look, known)
    context.log.info("%s: %s audio files, %s of them new or changed", music.root, f"{len(there):,}", f"{len(new):,}")
    for folder in look.closed[:SHOWN]:
        context.log.warning("%s cannot be looked into: what was known of it stays", folder)
    read = partial(described, root=music.root)
    made = 0
    for done in batches(
        new,
        "path",
        lambda files: files.map(read, schema=AUDIO_FILES, kernel="arrow", on_crash=lost),
        io_manager,
        KEY,
        AUDIO_FILES,
        ["bytes"],
    ):
        made += len(done.rows)
        read_bytes = sum(done.rows["bytes"].to_pylist())
        context.log.info(
            "read %s of %s files, %s MB/s",
            f"{done.files:,}",
            f"{done.total:,}",
            f"{read_bytes / 1e6 / done.seconds:,.0f}",
        )
    if made < len(new):
        context.log.warning("%s files were gone before they could be read", f"{len(new) - made:,}")
    files = io_manager.open(KEY, AUDIO_FILES).per("path", lying, io_manager.engine.engine.from_arrow(there)).persist()
    context.add_output_metadata(looks(files))
    return files


def _compared(look: MusicScan, known: list[dict[str, Any]]) -> tuple[pa.Table, pa.Table]:
    """The paths that are there, and the files that are not what was known of them."""
    files = look.files
    lay = {k["path"]: (k["bytes"], k["modified_at"]) for k in known if k["content_sha256"]}  # others are tried again
    new = [
        lay.get(f["path"]) != (f["bytes"], f["modified_at"])
        for f in files.select(["path", "bytes", "modified_at"]).to_pylist()
    ]
    hidden = [k["path"] for k in known if look.hidden(k["path"])]
    there = pa.table({"path": pa.array(sorted({*files["path"].to_pylist(), *hidden}), pa.string())})
    return there, files.filter(pa.array(new, pa.bool_()))


def looks(files: Frame) -> dict[str, Any]:
    """What one sees of the table at a glance: formats, what is wrong, lengths and the colors of covers."""
    rows = files.collect_as(subset(AUDIO_FILES, SEEN)).to_pylist()
    formats: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    covers: dict[str, tuple[str, list[str], list[float]]] = {}
    for row in sorted(rows, key=lambda r: r["path"]):
        formats[row["container"] or "?", row["codec"] or "?"].append(row)
        if row["cover_colors"]:  # an album has one on each of its files
            told = row["album"] or row["path"], row["cover_colors"], row["cover_shares"]
            covers.setdefault(row["cover_sha256"], told)
    listing = [
        (*form, len(found), f"{_hours(found):,.1f}", f"{sum(r['bytes'] for r in found) / 1e6:,.1f}")
        for form, found in sorted(formats.items(), key=lambda item: -len(item[1]))
    ]
    wrong = Counter(r["error"] for r in rows if r["error"])
    lengths = [r["duration_s"] / 60 for r in rows if r["duration_s"]]
    return {
        "hours": round(_hours(rows), 3),
        "files_with_recording_id": sum(r["recording_id"] is not None for r in rows),
        "files_with_cover": sum(r["cover_sha256"] is not None for r in rows),
        "files_with_error": wrong.total(),
        "formats": listed(("container", "codec", "files", "hours", "MB"), listing),
        **({"errors": listed(("error", "files"), wrong.most_common(SHOWN))} if wrong else {}),
        **({"lengths": histograms({"length (minutes)": lengths})} if lengths else {}),
        **({"covers": colors(list(covers.values())[:SHOWN])} if covers else {}),
    }


def _hours(rows: list[dict[str, Any]]) -> float:
    return sum(r["duration_s"] or 0 for r in rows) / 3600


checks = [checks_of(audio_files, in_range(RANGES), error_rate("error", 0.1))]
