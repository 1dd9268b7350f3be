"""A folder of files for artifacts: read, replace, list, remove and lock, by name. Another store can take its place."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from resources.files import publish

LOCK = ".lock"


class Store(Protocol):
    """Files by name ("derived/recommender/serving.json")."""

    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises `FileNotFoundError`."""

    def write(self, name: str, content: bytes) -> None:
        """Write or replace a file, so that it is there whole or not at all."""

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of all files below a folder, sorted; drafts that killed writers left, too."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, in this order. Files that are absent are skipped."""

    def lock(self, prefix: str) -> AbstractContextManager[object]:
        """Hold a folder against other writers. The lock of a killed process is free."""


@dataclass(frozen=True)
class LocalFolder:
    """A folder on this machine's disk."""

    root: Path

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        publish(self.root / name, [content])

    def names(self, prefix: str = "") -> list[str]:
        files = (path for path in (self.root / prefix).rglob("*") if path.is_file() and path.name != LOCK)
        return sorted(path.relative_to(self.root).as_posix() for path in files)

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            path = self.root / name
            path.unlink(missing_ok=True)
            for folder in path.relative_to(self.root).parents[:-1]:
                try:
                    (self.root / folder).rmdir()
                except OSError:  # it has other files
                    break

    def lock(self, prefix: str) -> AbstractContextManager[object]:
        folder = self.root / prefix
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / LOCK)
