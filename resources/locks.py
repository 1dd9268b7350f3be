"""Alone: how work that bears no other beside it keeps the rest of the platform waiting.

Whoever works on the data holds a lock that many share; whoever must be alone takes it for itself. Nobody gets a lock of
a folder whose tables have another format. The kernel frees the locks of a process that ends, however it ends. A
turnstile before the lock lets nobody past whoever waits to be alone.
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
    """Whoever must be alone is at work, or waits for it."""

    def __init__(self) -> None:
        super().__init__(errno.EBUSY, "a person's data are being erased")


@dataclass
class _Shares:
    """The locks that this process shares, by folder, and how often; a second time it need not ask."""

    held: dict[Path, tuple[int, int]] = field(default_factory=dict)
    turn: threading.Lock = field(default_factory=threading.Lock)


_SHARES = _Shares()


@contextmanager
def sharing(data: Path, wait: bool = True) -> Iterator[None]:
    """Work on a data folder beside others; if somebody must be alone there, wait, or raise `Busy`."""
    begin(data, wait)
    try:
        yield
    finally:
        end(data)


def begin(data: Path, wait: bool = True) -> None:
    """Begin to work beside others, until `end`."""
    with _SHARES.turn:
        lock, times = _SHARES.held.get(data, (-1, 0))
        if not times:
            lake_format.check_local(data)
            turnstile = _lock(data / TURNSTILE, fcntl.LOCK_SH, wait)
            try:
                lock = _lock(data / WORK, fcntl.LOCK_SH, wait)
            finally:
                os.close(turnstile)
        _SHARES.held[data] = lock, times + 1


def end(data: Path) -> None:
    """Work no more."""
    with _SHARES.turn:
        lock, times = _SHARES.held.pop(data)
        if times > 1:
            _SHARES.held[data] = lock, times - 1
        else:
            os.close(lock)


def sharing_with(place: Storage) -> AbstractContextManager[None]:
    """Work beside others on the data folder that a place is in; a place in a bucket is in none."""
    return nullcontext() if place.remote else sharing(Path(place).parent)


@contextmanager
def alone(data: Path, tell: Callable[[str], object]) -> Iterator[None]:
    """Work on a data folder while nobody else does; who is at it already is waited for."""
    assert data not in _SHARES.held, "this process shares the folder, and would wait for itself"
    lake_format.check_local(data)
    turnstile = _lock(data / TURNSTILE, fcntl.LOCK_EX, True)
    try:
        try:
            work = _lock(data / WORK, fcntl.LOCK_EX, False)
        except Busy:
            tell("waits until the runs and requests that are at work have ended; new ones wait for this one")
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
        lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
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
    """Hold a lock file, which the kernel frees when the process ends. Raises `TuttiError`, `busy`, if another holds it.

    What it guards would be done twice by two processes.
    """
    lock = FileLock(lock_file)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise TuttiError(f"{busy}: wait until it ends, or stop it") from error
    try:
        yield
    finally:
        lock.release()
