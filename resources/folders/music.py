"""The music folder: the operator's audio files, which are read in place and never written to."""

import os
import stat
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pyarrow as pa

from resources.schema import INSTANT

SUFFIXES = frozenset(
    {".aac", ".aif", ".aifc", ".aiff", ".ape", ".au", ".caf", ".dff", ".dsf", ".flac", ".m4a", ".m4b", ".mka", ".mp+"}
    | {".mp2", ".mp3", ".mp4", ".mpc", ".oga", ".ogg", ".opus", ".rf64", ".snd", ".spx", ".tta", ".w64", ".wav"}
    | {".wave", ".webm", ".wma", ".wv"}
)
"""The suffixes of audio files. A music folder also contains pictures, playlists and logs."""
FILE_COLUMNS = pa.schema(
    [("path", pa.string()), ("bytes", pa.int64()), ("modified_at", INSTANT), ("error", pa.string())]
)
EARLIEST, LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999  # microseconds: the years 1 to 9999
UNREADABLE_NAME = "its name is not in UTF-8. Rename it."


@dataclass
class MusicScan:
    """The result of one scan of the music folder."""

    rows: list[tuple[str, int, int, str | None]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)  # subfolders that could not be read

    @property
    def files(self) -> pa.Table:
        """Return the files by path: size, time of the last change, and an error if the name cannot be used."""
        rows = {row[0]: row for row in sorted(self.rows, key=lambda r: (r[0], r[3] is None))}  # one row per name
        columns = zip(*rows.values(), strict=True) if rows else [[] for _ in FILE_COLUMNS]
        return pa.table([pa.array(c, f.type) for c, f in zip(columns, FILE_COLUMNS, strict=True)], FILE_COLUMNS)

    def hidden(self, path: str) -> bool:
        """Return whether a path is below a subfolder that could not be read."""
        return any(path.startswith(f"{folder}/") for folder in self.closed)


class Music(dg.ConfigurableResource):
    """Audio files by their paths below one folder."""

    root: str

    def scan(self, suffixes: Set[str] = SUFFIXES) -> MusicScan | None:
        """List the files with these suffixes without opening them. Returns None if the folder does not exist.

        Links are followed, but no folder is entered twice. Names that begin with a dot are skipped.
        """
        result, seen = MusicScan(), set[tuple[int, int]]()
        starts = [Path(self.root)]
        if not starts[0].is_dir():
            return None
        closed: list[str] = []
        for start in starts:  # the folder itself, then the targets of links
            for place, folders, names in os.walk(start, onerror=lambda error: closed.append(str(error.filename))):
                if not _new(place, seen) and start is not starts[0]:
                    folders.clear()
                    continue
                folders[:] = sorted(f for f in folders if not f.startswith("."))
                starts += [Path(place, f) for f in folders if os.path.islink(os.path.join(place, f))]
                result.rows += self._with_suffix(place, names, suffixes)
        if self.root in closed:
            return None
        result.closed = [_below(self.root, folder)[0] for folder in closed]
        return result

    def _with_suffix(
        self, place: str, names: list[str], suffixes: Set[str]
    ) -> Iterator[tuple[str, int, int, str | None]]:
        """Yield the files of a folder with these suffixes; files that no longer exist are skipped."""
        for name in names:
            if name.startswith(".") or os.path.splitext(name)[1].lower() not in suffixes:
                continue
            path = os.path.join(place, name)
            try:
                status = os.stat(path)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                below, plain = _below(self.root, path)
                yield below, status.st_size, modified(status), None if plain else UNREADABLE_NAME


def modified(status: os.stat_result) -> int:
    """Return the time of a file's last change in microseconds since 1970, limited to the years 1 to 9999."""
    return min(max(status.st_mtime_ns // 1000, EARLIEST), LATEST)


def _new(folder: str, seen: set[tuple[int, int]]) -> bool:
    """Return whether a folder was not seen before under any name, and add it to `seen`."""
    try:
        status = os.stat(folder)
    except OSError:
        return False
    key = (status.st_dev, status.st_ino)
    if key in seen:
        return False
    seen.add(key)
    return True


def _below(root: str, path: str) -> tuple[str, bool]:
    """Return a path below the folder as text, and whether it is the file's real path.

    Bytes that are not UTF-8 are escaped.
    """
    below = Path(path).relative_to(root).as_posix()
    text = os.fsencode(below).decode(errors="backslashreplace")
    return text, text == below
