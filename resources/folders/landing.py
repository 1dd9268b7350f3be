"""The landing folder: files to import, with one folder per kind, on this machine's disk or in a bucket.

Readers take paths. `opened`, `copies` and `files` yield the path of a file on disk, or of a temporary copy of an object
in a bucket. Names in a bucket are untrusted: none becomes part of a path on this machine. Files on disk whose names are
not in UTF-8 are skipped, because tables cannot store such names.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import dagster as dg

from resources.dates import EPOCH
from resources.files import sync, writing_to
from resources.folders.music import UNREADABLE_NAME, modified
from resources.locks import shared_lock
from resources.sources.readers.archive import Unreadable
from resources.storage import Storage, Stored
from resources.text.printable import printable

ARRIVING = ("app_events", "listens", "social")
"""The folders whose files are imported as they arrive. A file's content decides its format, not its folder."""
CONCURRENT_COPIES = 16  # from a bucket: each mostly waits for an answer

T = TypeVar("T", "Landed", str)


class Landing(dg.ConfigurableResource):
    """Landed files by kind ("listens", "app_events", "social", "recordings", "lyrics", ...).

    A file's name is its path below the folder. Files whose names begin with a dot are hidden, because they are
    unfinished. In a bucket, objects in hidden folders and empty objects, which represent folders, are skipped as well.
    """

    root: str  # a folder, or s3://bucket/folder
    staging: str | None = None  # folder on this machine for files that have not landed; `root` if that is on disk

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Landing"]:
        """Yield itself to a run, during which no erasure can start."""
        with shared_lock(self.local.parent):
            yield self

    @property
    def store(self) -> Storage:
        """Return the handle of the folder."""
        return Storage.at(self.root)

    @property
    def local(self) -> Path:
        """Return the folder on this machine for files that have not landed; the landing folder itself if on disk."""
        return Path(self.staging or self.store)

    def place(self, name: str) -> str:
        """Return the path or address of a file."""
        return str(self.store / name)

    def name(self, place: str) -> str | None:
        """Return the name of a file with this path or address, existing or not; None if it is outside the folder."""
        if self.store.remote:
            return place.removeprefix(f"{self.store}/") if place.startswith(f"{self.store}/") else None
        path, root = Path(place).expanduser().absolute(), Path(self.root).absolute()
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else None

    def files(self, kind: str) -> Iterator[tuple[str, Path]]:
        """Yield the names of the files of a kind in order, each with a path that is valid until the next file.

        Objects that are removed in the meantime are skipped.
        """
        if self.store.remote:
            names = sorted((file.path for file in self._objects(kind)), key=lambda name: name.split("/"))
            for n in range(0, len(names), CONCURRENT_COPIES):
                with self.copies(names[n : n + CONCURRENT_COPIES], lambda *_: None) as copies:
                    yield from copies
            return
        folder = Path(self.root, kind)
        for path in sorted(f for f in folder.rglob("*") if f.is_file() and not f.name.startswith(".")):
            if _in_utf8(name := path.relative_to(self.root).as_posix()):
                yield name, path

    def list_files(self, *kinds: str, warn: Callable[[str], object] = lambda _: None) -> "list[Landed]":
        """List the files of some kinds without opening them.

        `warn` is called with a line about each file that is skipped because its name is not in UTF-8.
        """
        if self.store.remote:
            return [file for kind in kinds for file in self._objects(kind)]
        landed_files = []
        for place, folders, files in chain(*(os.walk(Path(self.root, kind), followlinks=True) for kind in kinds)):
            folders.sort()
            below = Path(place).relative_to(self.root).as_posix()
            for name in files:
                if name.startswith(".") or not (landed := Landed.at(f"{place}/{name}", f"{below}/{name}")):
                    continue
                if _in_utf8(landed.path):
                    landed_files.append(landed)
                else:
                    text = os.fsencode(landed.path).decode(errors="backslashreplace")
                    warn(f"{printable(text)} is skipped: {UNREADABLE_NAME}")
        return landed_files

    def state_of(self, name: str) -> "Landed | None":
        """Return the present state of a file, or None if it does not exist or `list_files` would skip it."""
        if self.store.remote:
            entry = self.store.find(name)
            return Landed.stored(entry) if entry and _visible(entry) else None
        return Landed.at(f"{self.root}/{name}", name) if _in_utf8(name) else None

    @contextmanager
    def opened(self, file: T) -> Iterator[Path]:
        """Yield the path of a file or of its copy.

        Raises `FileNotFoundError` if an object no longer exists, and `Unreadable` if it is not in the state `Landed`.
        """

        def fail(_: T, error: Exception) -> None:
            raise error

        with self.copies([file], fail) as ((_, path),):
            yield path

    @contextmanager
    def copies(self, files: Sequence[T], leave_out: Callable[[T, Exception], object]) -> Iterator[list[tuple[T, Path]]]:
        """Yield the paths of some files; objects in a bucket are copied to the disk together.

        `leave_out` is called with a file and an error if the object no longer exists, or is not in the state `Landed`.
        """
        if not self.store.remote:
            yield [(file, Path(self.root, file if isinstance(file, str) else file.path)) for file in files]
            return
        with TemporaryDirectory(prefix="tutti-") as folder:
            paths = []
            with ThreadPoolExecutor(CONCURRENT_COPIES) as pool:
                copying = [pool.submit(self._copy, file, Path(folder, str(n))) for n, file in enumerate(files)]
                try:
                    for file, copy in zip(files, copying, strict=True):
                        try:
                            paths.append((file, copy.result()))
                        except (FileNotFoundError, Unreadable) as error:
                            leave_out(file, error)
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
            yield paths

    @contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        """Yield the path of a hidden draft to write, which `publish` turns into the file `name`."""
        if self.store.remote:
            with TemporaryDirectory(prefix="tutti-") as folder:
                yield Path(folder, "draft")
        else:
            path = Path(self.root, name)
            yield path.with_name(f".{path.name}")

    def publish(self, draft: Path, name: str) -> "Landed":
        """Make a draft visible atomically, and return its state."""
        if self.store.remote:
            self.store.write(name, draft)
        else:
            path = Path(self.root, name)
            draft.rename(path)
            sync(path.parent)
        landed = self.state_of(name)
        assert landed
        return landed

    def _objects(self, kind: str) -> "Iterator[Landed]":
        return (Landed.stored(file) for file in self.store.objects(kind) if _visible(file))

    def _copy(self, file: "Landed | str", path: Path) -> Path:
        name = file if isinstance(file, str) else file.path
        with writing_to(path.parent):
            entry = self.store.fetch(name, path)
        if not isinstance(file, str) and Landed.stored(entry) != file:
            raise Unreadable("it changed in the meantime")
        return path


@dataclass(frozen=True)
class Landed:
    """A landed file in one state: name, size and time of the last change."""

    path: str  # below the landing folder
    bytes: int
    modified: int  # microseconds since 1970

    @classmethod
    def at(cls, path: str | Path, name: str) -> "Landed | None":
        """Read the present state of a file on disk, or None if it does not exist or is not a regular file."""
        try:
            status = os.stat(path)
        except OSError:
            return None
        return cls(name, status.st_size, modified(status)) if stat.S_ISREG(status.st_mode) else None

    @classmethod
    def recorded(cls, path: str, size: int, modified_at: datetime) -> "Landed":
        """Return the state of a file from stored columns."""
        return cls(path, size, (modified_at - EPOCH) // timedelta(microseconds=1))

    @classmethod
    def stored(cls, file: Stored) -> "Landed":
        """Return the state of an object in a bucket.

        Buckets store whole seconds. Microseconds from a hash of the content's tag distinguish versions of one second.
        """
        micros = int.from_bytes(sha256(file.tag.encode()).digest()[:8]) % 1_000_000
        return cls(file.name, file.bytes, int(file.modified) * 1_000_000 + micros)

    @property
    def modified_at(self) -> datetime:
        """Return the time of the last change."""
        return EPOCH + timedelta(microseconds=self.modified)


def _in_utf8(name: str) -> bool:
    """Return whether tables can store a name: Python reads bytes that are not UTF-8 as halves of characters."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _visible(file: Stored) -> bool:
    return file.bytes > 0 and not any(part.startswith(".") for part in file.name.split("/"))
