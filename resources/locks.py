"""Locks of the data folder: runs and requests share it, an erasure locks everything else out.

Work on the data holds a shared lock; an erasure takes the same lock exclusively. A second lock, the turnstile, keeps
new work out while an erasure waits. The kernel frees the locks of a process when it ends, even if it is killed. A
folder whose tables have another format cannot be locked.
"""

import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from resources import lake_format
from resources.errors import TuttiError
from resources.files import writing_to
from resources.storage import Storage

TURNSTILE, WORK = ".turnstile.lock", ".work.lock"  # in the data folder


class Busy(OSError):
    """Another process holds the exclusive lock, or waits for it."""

    def __init__(self) -> None:
        super().__init__(errno.EBUSY, "a listener's data is being erased")


@dataclass
class _SharedLocks:
    """The shared locks of this process: by folder, the file descriptor and the number of holders in the process."""

    held: dict[Path, tuple[int, int]] = field(default_factory=dict)
    mutex: threading.Lock = field(default_factory=threading.Lock)


_SHARED = _SharedLocks()


@contextmanager
def shared_lock(data: Path, wait: bool = True) -> Iterator[None]:
    """Hold the shared lock of a data folder.

    If an exclusive lock is held or requested, waits, or raises `Busy` unless `wait`.
    """
    acquire_shared(data, wait)
    try:
        yield
    finally:
        release_shared(data)


def acquire_shared(data: Path, wait: bool = True) -> None:
    """Acquire the shared lock of a data folder, until `release_shared`. Raises as `shared_lock` does."""
    with _SHARED.mutex:
        lock, holders = _SHARED.held.get(data, (-1, 0))
        if not holders:
            lake_format.check_local(data)
            turnstile = _lock(data / TURNSTILE, fcntl.LOCK_SH, wait)
            try:
                lock = _lock(data / WORK, fcntl.LOCK_SH, wait)
            finally:
                os.close(turnstile)
        _SHARED.held[data] = lock, holders + 1


def release_shared(data: Path) -> None:
    """Release the shared lock of a data folder once."""
    with _SHARED.mutex:
        lock, holders = _SHARED.held.pop(data)
        if holders > 1:
            _SHARED.held[data] = lock, holders - 1
        else:
            os.close(lock)


def shared_lock_of(place: Storage) -> AbstractContextManager[None]:
    """Hold the shared lock of the data folder that contains a place; do nothing for a place in a bucket."""
    return nullcontext() if place.remote else shared_lock(Path(place).parent)


@contextmanager
def exclusive_lock(data: Path, log: Callable[[str], object]) -> Iterator[None]:
    """Hold the exclusive lock of a data folder, after the work in progress has ended.

    Calls `log` with one line if it has to wait.
    """
    assert data not in _SHARED.held, "this process holds the shared lock and would wait for itself"
    lake_format.check_local(data)
    turnstile = _lock(data / TURNSTILE, fcntl.LOCK_EX, True)
    try:
        try:
            work = _lock(data / WORK, fcntl.LOCK_EX, False)
        except Busy:
            log("waiting for running jobs and requests to end; new ones wait for this command")
            work = _lock(data / WORK, fcntl.LOCK_EX, True)
        try:
            yield
        finally:
            os.close(work)
    finally:
        os.close(turnstile)


def _lock(path: Path, how: int, wait: bool) -> int:
    with writing_to(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.flock(lock, how if wait else how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Busy from None
    except BaseException:
        os.close(lock)
        raise
    return lock


@contextmanager
def one_process(lock_file: Path, busy: str) -> Iterator[None]:
    """Hold a lock file that only one process at a time may hold; the kernel frees it when the process ends.

    Raises `TuttiError` with the text `busy` if another process holds it.
    """
    lock = FileLock(lock_file)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise TuttiError(f"{busy}. Wait until it ends, or stop it.") from error
    try:
        yield
    finally:
        lock.release()
