"""The landing folder: files from outside, one folder a kind, on this machine's disk or in a bucket.

Readers take paths. `opened`, `copies` and `files` give the file itself if it is on disk, and a temporary copy of one in
a bucket. Names in a bucket come from outside as well: none of them becomes part of a path on this machine. Files on
disk whose names are not in UTF-8 are left out, since no table can hold such a name.
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
from resources.sources.readers.archive import Unreadable, shown
from resources.storage import Storage, Stored

ARRIVING = ("app_events", "listens", "social")
"""The folders whose files are imported as they arrive. The content of a file decides its kind, not its folder."""
AT_ONCE = 16  # copies from a bucket: each waits for an answer most of the time

T = TypeVar("T", "Landed", str)


class Landing(dg.ConfigurableResource):
    """Landed files by kind ("listens", "app_events", "social", "recordings", "lyrics", ...).

    Files are named by their path below the folder. A name that begins with a dot is hidden: such a file is unfinished.
    In a bucket, objects in hidden folders and empty objects, which stand for folders, are left out as well.
    """

    root: str  # a folder, or s3://bucket/folder
    staging: str | None = None  # the folder on this machine for what has not landed yet; `root` if that is on disk

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Landing"]:
        """Give itself to a run, during which no erasure can start."""
        with shared_lock(self.local.parent):
            yield self

    @property
    def store(self) -> Storage:
        """The place of the files."""
        return Storage.at(self.root)

    @property
    def local(self) -> Path:
        """The folder on this machine for what has not landed yet; the landing folder itself if that is on disk."""
        return Path(self.staging or self.store)

    def place(self, name: str) -> str:
        """Return the path or address of a file."""
        return str(self.store / name)

    def name(self, place: str) -> str | None:
        """Return the name of a file, existing or not, by its path or address; None if it is not in the folder."""
        if self.store.remote:
            return place.removeprefix(f"{self.store}/") if place.startswith(f"{self.store}/") else None
        path, root = Path(place).expanduser().absolute(), Path(self.root).absolute()
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else None

    def files(self, kind: str) -> Iterator[tuple[str, Path]]:
        """Yield the files of a kind in the order of their names, each with a path that is valid until the next.

        Objects that are removed meanwhile are left out.
        """
        if self.store.remote:
            names = sorted((file.path for file in self._objects(kind)), key=lambda name: name.split("/"))
            for n in range(0, len(names), AT_ONCE):
                with self.copies(names[n : n + AT_ONCE], lambda *_: None) as found:
                    yield from found
            return
        folder = Path(self.root, kind)
        for path in sorted(f for f in folder.rglob("*") if f.is_file() and not f.name.startswith(".")):
            if _in_utf8(name := path.relative_to(self.root).as_posix()):
                yield name, path

    def lying(self, *kinds: str, warn: Callable[[str], object] = lambda _: None) -> "list[Landed]":
        """List the files of some kinds, without opening one; some may be gone the next moment.

        `warn` is called with a line about each file that is left out because its name is not in UTF-8.
        """
        if self.store.remote:
            return [file for kind in kinds for file in self._objects(kind)]
        found = []
        for place, folders, files in chain(*(os.walk(Path(self.root, kind), followlinks=True) for kind in kinds)):
            folders.sort()
            below = Path(place).relative_to(self.root).as_posix()
            for name in files:
                if name.startswith(".") or not (landed := Landed.at(f"{place}/{name}", f"{below}/{name}")):
                    continue
                if _in_utf8(landed.path):
                    found.append(landed)
                else:
                    text = os.fsencode(landed.path).decode(errors="backslashreplace")
                    warn(f"{shown(text)} is left out: {UNREADABLE_NAME}")
        return found

    def look(self, name: str) -> "Landed | None":
        """Return the present state of a file, or None if it does not exist, or `lying` would leave it out."""
        if self.store.remote:
            found = self.store.find(name)
            return Landed.stored(found) if found and _visible(found) else None
        return Landed.at(f"{self.root}/{name}", name) if _in_utf8(name) else None

    @contextmanager
    def opened(self, file: T) -> Iterator[Path]:
        """Give a path of a file. Raises `FileNotFoundError` if a bucket does not have it any more, or as `copies`."""

        def fail(_: T, error: Exception) -> None:
            raise error

        with self.copies([file], fail) as ((_, path),):
            yield path

    @contextmanager
    def copies(self, files: Sequence[T], leave_out: Callable[[T, Exception], object]) -> Iterator[list[tuple[T, Path]]]:
        """Give paths of some files; those of a bucket are copied to the disk together.

        `leave_out` is called with a file that a bucket does not have any more, or not in the state `Landed`.
        """
        if not self.store.remote:
            yield [(file, Path(self.root, file if isinstance(file, str) else file.path)) for file in files]
            return
        with TemporaryDirectory(prefix="tutti-") as folder:
            found = []
            with ThreadPoolExecutor(AT_ONCE) as pool:
                copying = [pool.submit(self._copy, file, Path(folder, str(n))) for n, file in enumerate(files)]
                try:
                    for file, copy in zip(files, copying, strict=True):
                        try:
                            found.append((file, copy.result()))
                        except (FileNotFoundError, Unreadable) as error:
                            leave_out(file, error)
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
            yield found

    @contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        """Give the path of a hidden file to write, from which `publish` makes the file `name`."""
        if self.store.remote:
            with TemporaryDirectory(prefix="tutti-") as folder:
                yield Path(folder, "draft")
        else:
            path = Path(self.root, name)
            yield path.with_name(f".{path.name}")

    def publish(self, draft: Path, name: str) -> "Landed":
        """Make a draft visible, whole or not at all."""
        if self.store.remote:
            self.store.write(name, draft)
        else:
            path = Path(self.root, name)
            draft.rename(path)
            sync(path.parent)
        landed = self.look(name)
        assert landed
        return landed

    def _objects(self, kind: str) -> "Iterator[Landed]":
        return (Landed.stored(file) for file in self.store.objects(kind) if _visible(file))

    def _copy(self, file: "Landed | str", path: Path) -> Path:
        name = file if isinstance(file, str) else file.path
        with writing_to(path.parent):
            found = self.store.fetch(name, path)
        if not isinstance(file, str) and Landed.stored(found) != file:
            raise Unreadable("it was written to meanwhile")
        return path


@dataclass(frozen=True)
class Landed:
    """A landed file in one of its states: after it is written to, it is another."""

    path: str  # below the landing folder
    bytes: int
    modified: int  # microseconds since 1970

    @classmethod
    def at(cls, path: str | Path, name: str) -> "Landed | None":
        """Read the present state of a file on disk, or None if it does not exist or is not a regular file."""
        try:
            found = os.stat(path)
        except OSError:
            return None
        return cls(name, found.st_size, modified(found)) if stat.S_ISREG(found.st_mode) else None

    @classmethod
    def told(cls, path: str, bytes: int, modified_at: datetime) -> "Landed":
        """Name the state that a file had when it was last written to."""
        return cls(path, bytes, (modified_at - EPOCH) // timedelta(microseconds=1))

    @classmethod
    def stored(cls, file: Stored) -> "Landed":
        """Name the state of an object.

        A bucket notes whole seconds. Microseconds from the content's tag tell versions of the same second apart.
        """
        micros = int.from_bytes(sha256(file.tag.encode()).digest()[:8]) % 1_000_000
        return cls(file.name, file.bytes, int(file.modified) * 1_000_000 + micros)

    @property
    def modified_at(self) -> datetime:
        """Return the time of the last change."""
        return EPOCH + timedelta(microseconds=self.modified)


def _in_utf8(name: str) -> bool:
    """Whether tables can hold a name: Python reads other bytes than UTF-8 as halves of characters."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _visible(file: Stored) -> bool:
    return file.bytes > 0 and not any(part.startswith(".") for part in file.name.split("/"))
