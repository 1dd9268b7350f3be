"""The journal: stores listens on disk before they are acknowledged, in files that land complete.

A file has a hidden name while lines are appended. After a few seconds or megabytes it is renamed to a visible name and
never changes again. When a server starts, it publishes the hidden files of a killed server: all complete lines, which
include every acknowledged line. An incomplete line was never acknowledged and is dropped.
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

SCROBBLES = "listens/scrobbles"  # the files' folder in the landing folder
PUBLISH_S = 2.0  # a listen should be in the lake within a minute, most of which the landing sensor needs
PUBLISH_BYTES = 8_000_000  # so that an import of many years is several files, each read in a moment


@dataclass
class _Open:
    """The file to which lines are appended."""

    path: Path
    descriptor: int
    since: float
    size: int = 0  # bytes that are safely on disk


class Journal:
    """The files of one server. Not safe for several threads at once."""

    def __init__(
        self, folder: Path, *, seconds: float = PUBLISH_S, size: int = PUBLISH_BYTES, shared: Path | None = None
    ) -> None:
        """Lock a folder for this server, create it if necessary, and publish hidden files of a killed server.

        While lines are hidden, the journal holds the shared lock of the data folder `shared`. A file is due after
        `seconds` or `size` bytes. Raises `TuttiError` if another server uses the folder, or during an erasure.
        """
        self.folder, self._seconds, self._size = folder, seconds, size
        self._file: _Open | None = None
        self._left: list[Path] = []  # files with unacknowledged bytes that could not be cut off
        _make(folder)
        self._lock = FileLock(folder / ".lock", thread_local=False)  # closed by another thread
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise TuttiError(
                f"another scrobble endpoint uses {folder}. Stop it first, or set TUTTI_DATA_DIR to another folder."
            ) from None
        self._shared, self._sharing = shared, False
        self.recovered, self.torn = 0, 0  # files published at the start, and lines dropped from them
        try:
            self._acquire_lock()
        except Busy as busy:
            self._lock.release()
            raise TuttiError(f"{busy.strerror}. Start the scrobble endpoint again after that.") from None
        for path in sorted(folder.glob(".*.jsonl")):
            self._recover(path)
        self._release_lock_if_idle()

    def append(self, lines: bytes) -> None:
        """Append whole lines and return once they are on disk. Raises `OSError` if the disk refuses all of them."""
        self._acquire_lock()
        try:
            self._append(lines)
        finally:
            self._release_lock_if_idle()

    def due(self) -> float | None:
        """Return the seconds until a file should be published; None if there is nothing to publish."""
        if self._left:
            return 0.0
        if not self._file or not self._file.size:
            return None
        if self._file.size >= self._size:
            return 0.0
        return max(0.0, self._file.since + self._seconds - time.monotonic())

    def publish(self) -> None:
        """Publish the appended lines. Raises `OSError` if the disk refuses; a later call then publishes them."""
        while self._left:
            self._recover(self._left[0])
            del self._left[0]
        if self._file and self._file.size:
            file = self._file
            _show(file.path)
            self._file = None
            os.close(file.descriptor)
            sync(self.folder)
        self._release_lock_if_idle()

    def close(self) -> None:
        """Publish the appended lines and release the folder."""
        try:
            self.publish()
            if self._file:  # it is empty
                self._file.path.unlink()
        finally:
            if self._file:
                os.close(self._file.descriptor)
                self._file = None
            self._lock.release()
            if self._sharing and self._shared:
                release_shared(self._shared)
                self._sharing = False

    def _acquire_lock(self) -> None:
        """Hold the shared lock of the data folder. Raises `Busy` during an erasure."""
        if self._shared and not self._sharing:
            acquire_shared(self._shared, wait=False)
            self._sharing = True

    def _release_lock_if_idle(self) -> None:
        """Release the shared lock if no line is hidden."""
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
        """Create a hidden file that survives a power cut."""
        name = f".{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:8]}.jsonl"
        path = self.folder / name
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o666)
        try:
            sync(self.folder)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        self._file = _Open(path, descriptor, time.monotonic())
        return self._file

    def _undo(self, file: _Open) -> None:
        """Cut off the bytes written after the last acknowledged line; if that fails, continue with another file."""
        try:
            os.ftruncate(file.descriptor, file.size)
        except OSError:
            self._file = None
            self._left.append(file.path)
            os.close(file.descriptor)

    def _recover(self, path: Path) -> None:
        """Publish the complete lines of a hidden file."""
        with path.open("r+b") as file:
            size, torn = 0, False
            for line in file:
                torn = not _is_complete(line)
                if torn:
                    break
                size += len(line)
            if size:
                file.truncate(size)
                file.flush()
                os.fsync(file.fileno())
        if size:
            _show(path)
        else:
            path.unlink()
        sync(self.folder)
        self.recovered, self.torn = self.recovered + bool(size), self.torn + torn


def _is_complete(line: bytes) -> bool:
    """Return whether a line is complete; after a power cut it may have the right length with any content."""
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _show(path: Path) -> None:
    path.rename(path.with_name(path.name.removeprefix(".")))


def _make(folder: Path) -> None:
    """Create a folder and its parents so that they survive a power cut."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)
