"""The journal: listens on disk before anybody is told that they are, in files that appear in the landing folder whole.

A file is open under a hidden name while lines are appended. After a few seconds or megabytes it is renamed to a visible
one and never changed again. What a killed server left hidden becomes visible when the next one starts: all whole lines,
among them every line that was acknowledged. A line cut short never was, and is dropped.
"""

import json
import os
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from resources.errors import TuttiError
from resources.files import sync
from resources.locks import Busy, acquire_shared, release_shared

SCROBBLES = "listens/scrobbles"  # where the files are, in the landing folder
SECONDS = 2.0  # a listen should be in the lake within a minute, and the landing sensor needs most of it
BYTES = 8_000_000  # an import of many years is several files, each read in a moment


@dataclass
class _Open:
    """The file that lines are appended to."""

    path: Path
    descriptor: int
    since: float
    size: int = 0  # bytes that are on disk for good


class Journal:
    """The files of one server. Not safe for several threads: whoever shares it takes turns."""

    def __init__(
        self, folder: Path, *, seconds: float = SECONDS, size: int = BYTES, shared: Path | None = None
    ) -> None:
        """Take a folder for this server alone, making what is missing of it, and recover what lies there hidden.

        While lines are hidden, nobody is alone with the data in the folder `shared`.
        """
        self.folder, self._seconds, self._size = folder, seconds, size
        self._file: _Open | None = None
        self._left: list[Path] = []  # files with more in them than was acknowledged, which the disk would not let go
        _make(folder)
        self._lock = FileLock(folder / ".lock", mode=0o600, thread_local=False)  # closed by another thread
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise TuttiError(
                f"an intake serves {folder} already: end that one first, or give this one a TUTTI_DATA_DIR of its own"
            ) from None
        self._shared, self._sharing = shared, False
        self.recovered, self.torn = 0, 0  # files that became visible at the start, and lines dropped from them
        try:
            self._share()
        except Busy as busy:
            self._lock.release()
            raise TuttiError(f"{busy.strerror}: start the intake again once that has ended") from None
        for path in sorted(folder.glob(".*.jsonl")):
            self._recover(path)
        self._settle()

    def append(self, lines: bytes) -> None:
        """Append whole lines. They are on disk when this returns; OSError if they are not, and then none is kept."""
        self._share()
        try:
            self._append(lines)
        finally:
            self._settle()

    def due(self) -> float | None:
        """In how many seconds `publish` has something to do; None if there is nothing to publish."""
        if self._left:
            return 0.0
        if not self._file or not self._file.size:
            return None
        if self._file.size >= self._size:
            return 0.0
        return max(0.0, self._file.since + self._seconds - time.monotonic())

    def publish(self) -> None:
        """Make visible what was appended; OSError if the disk refuses, and then a later call does it."""
        while self._left:
            self._recover(self._left[0])
            del self._left[0]
        if self._file and self._file.size:
            file = self._file
            _show(file.path)
            self._file = None
            os.close(file.descriptor)
            sync(self.folder)
        self._settle()

    def close(self) -> None:
        """Publish, and leave the folder to others."""
        try:
            self.publish()
            if self._file:  # and nothing in it
                self._file.path.unlink()
        finally:
            if self._file:
                os.close(self._file.descriptor)
                self._file = None
            self._lock.release()
            if self._sharing and self._shared:
                release_shared(self._shared)
                self._sharing = False

    def _share(self) -> None:
        """Keep whoever must be alone waiting; raises `Busy` while somebody is."""
        if self._shared and not self._sharing:
            acquire_shared(self._shared, wait=False)
            self._sharing = True

    def _settle(self) -> None:
        """Keep nobody waiting once nothing is hidden."""
        hidden = self._left or (self._file and self._file.size)
        if self._sharing and self._shared and not hidden:
            release_shared(self._shared)
            self._sharing = False

    def _append(self, lines: bytes) -> None:
        file = self._file or self._start()
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(file.descriptor, rest) :]
            os.fsync(file.descriptor)
        except OSError:
            self._undo(file)
            raise
        if not file.size:
            file.since = time.monotonic()
        file.size += len(lines)

    def _start(self) -> _Open:
        """A new hidden file that outlives a power cut."""
        name = f".{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:8]}.jsonl"
        path = self.folder / name
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            sync(self.folder)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        self._file = _Open(path, descriptor, time.monotonic())
        return self._file

    def _undo(self, file: _Open) -> None:
        """Cut off what was written since the last line on disk; a file that cannot be cut is given up for another."""
        try:
            os.ftruncate(file.descriptor, file.size)
        except OSError:
            self._file = None
            self._left.append(file.path)
            os.close(file.descriptor)

    def _recover(self, path: Path) -> None:
        """Make a hidden file visible as far as its lines are whole."""
        with path.open("r+b") as file:
            kept, torn = 0, False
            for line in file:
                torn = not _whole(line)
                if torn:
                    break
                kept += len(line)
            if kept:
                file.truncate(kept)
                file.flush()
                os.fsync(file.fileno())
        if kept:
            _show(path)
        else:
            path.unlink()
        sync(self.folder)
        self.recovered, self.torn = self.recovered + bool(kept), self.torn + torn


def _whole(line: bytes) -> bool:
    """Whether a line was written to its end; after a power cut it may hold anything in the right length."""
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _show(path: Path) -> None:
    path.rename(path.with_name(path.name.removeprefix(".")))


def _make(folder: Path) -> None:
    """Make a folder, and those above it, so that they outlive a power cut."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)
