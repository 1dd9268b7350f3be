"""The music folder: audio files of one's own, which are read where they lie and never written to."""

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
"""What a name ends with that is taken for audio. A folder of music also has pictures, playlists and logs."""
LYING = pa.schema([("path", pa.string()), ("bytes", pa.int64()), ("modified_at", INSTANT), ("error", pa.string())])
EARLIEST, LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999  # microseconds: the years 1 to 9999
UNREADABLE_NAME = "its name is not in UTF-8: rename it"


@dataclass
class Look:
    """What one look into the folder found."""

    rows: list[tuple[str, int, int, str | None]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)  # folders below it that could not be looked into

    @property
    def files(self) -> pa.Table:
        """The files by path: how each lies there, and what keeps it from being read, where that is plain already."""
        rows = {row[0]: row for row in sorted(self.rows, key=lambda r: (r[0], r[3] is None))}  # one by each name
        columns = zip(*rows.values(), strict=True) if rows else [[] for _ in LYING]
        return pa.table([pa.array(c, f.type) for c, f in zip(columns, LYING, strict=True)], LYING)

    def hidden(self, path: str) -> bool:
        """Whether a file would lie in a folder that could not be looked into."""
        return any(path.startswith(f"{folder}/") for folder in self.closed)


class Music(dg.ConfigurableResource):
    """Audio files by their paths below one folder."""

    root: str

    def look(self, suffixes: Set[str] = SUFFIXES) -> Look | None:
        """The files that lie there now and end so, without opening one; None where the folder is not there.

        Links are followed, but no folder is entered twice by them. What begins with a dot is left out.
        """
        found, seen = Look(), set[tuple[int, int]]()
        starts = [Path(self.root)]
        if not starts[0].is_dir():
            return None
        closed: list[str] = []
        for start in starts:  # the folder itself, then those that links in it lead to
            for place, folders, names in os.walk(start, onerror=lambda error: closed.append(str(error.filename))):
                if not _new(place, seen) and start is not starts[0]:
                    folders.clear()
                    continue
                folders[:] = sorted(f for f in folders if not f.startswith("."))
                starts += [Path(place, f) for f in folders if os.path.islink(os.path.join(place, f))]
                found.rows += self._ending(place, names, suffixes)
        if self.root in closed:
            return None
        found.closed = [_below(self.root, folder)[0] for folder in closed]
        return found

    def _ending(self, place: str, names: list[str], suffixes: Set[str]) -> Iterator[tuple[str, int, int, str | None]]:
        """The files of a folder whose names end so; some may be gone by now."""
        for name in names:
            if name.startswith(".") or os.path.splitext(name)[1].lower() not in suffixes:
                continue
            path = os.path.join(place, name)
            try:
                told = os.stat(path)
            except OSError:
                continue
            if stat.S_ISREG(told.st_mode):
                below, plain = _below(self.root, path)
                yield below, told.st_size, modified(told), None if plain else UNREADABLE_NAME


def modified(told: os.stat_result) -> int:
    """When a file was last written to, in microseconds since 1970, in a year that calendars have."""
    return min(max(told.st_mtime_ns // 1000, EARLIEST), LATEST)


def _new(folder: str, seen: set[tuple[int, int]]) -> bool:
    """Whether a folder was not seen before, under whatever name."""
    try:
        told = os.stat(folder)
    except OSError:
        return False
    key = (told.st_dev, told.st_ino)
    if key in seen:
        return False
    seen.add(key)
    return True


def _below(root: str, path: str) -> tuple[str, bool]:
    """A path below the folder as text, and whether it leads to the file: other bytes than UTF-8 are spelled out."""
    below = Path(path).relative_to(root).as_posix()
    text = os.fsencode(below).decode(errors="backslashreplace")
    return text, text == below
