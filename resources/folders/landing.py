"""The landing folder: where files from outside lie until they are read, one folder per kind."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

import dagster as dg

from resources.dates import EPOCH
from resources.locks import sharing

ARRIVING = ("app_events", "listens", "social")
"""The folders whose files are taken in as they arrive. A folder is a place; what is in a file, its content tells."""


class Landing(dg.ConfigurableResource):
    """Files by kind ("listens", "app_events", "social", "recordings", "lyrics", ...), as they were handed in."""

    root: str

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Landing"]:
        """Give itself to a run, which nobody who must be alone with the data comes between."""
        with sharing(Path(self.root).parent):
            yield self

    def files(self, kind: str) -> list[Path]:
        """The files of a kind, in the order of their names; half-written ones are named with a leading dot."""
        folder = Path(self.root, kind)
        return sorted(f for f in folder.rglob("*") if f.is_file() and not f.name.startswith("."))

    def lying(self, *kinds: str) -> "list[Landed]":
        """The files of some kinds as they lie there now, without opening one; some may be gone the next moment."""
        found = []
        for place, folders, files in chain(*(os.walk(Path(self.root, kind), followlinks=True) for kind in kinds)):
            folders.sort()
            for name in files:
                if not name.startswith(".") and (landed := self.look(Path(place, name))):
                    found.append(landed)
        return found

    def look(self, path: Path) -> "Landed | None":
        """A file of the landing folder as it lies there now; None for what is gone, is no file or lies elsewhere."""
        if not self.holds(path):
            return None
        try:
            told = path.stat()
        except OSError:
            return None
        if not stat.S_ISREG(told.st_mode):
            return None
        return Landed(
            path.absolute().relative_to(Path(self.root).absolute()).as_posix(), told.st_size, told.st_mtime_ns // 1000
        )

    def holds(self, path: Path) -> bool:
        """Whether a file, there or not, would lie in the landing folder."""
        return path.absolute().is_relative_to(Path(self.root).absolute())


@dataclass(frozen=True)
class Landed:
    """A file of the landing folder as its folder tells of it: one written to again is another."""

    path: str  # below the landing folder
    bytes: int
    modified: int  # microseconds since 1970

    @classmethod
    def told(cls, path: str, bytes: int, modified_at: datetime) -> "Landed":
        """A file of which it is told when it was last written to."""
        return cls(path, bytes, (modified_at - EPOCH) // timedelta(microseconds=1))

    @property
    def modified_at(self) -> datetime:
        """When it was last written to."""
        return EPOCH + timedelta(microseconds=self.modified)
