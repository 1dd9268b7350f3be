"""Leases: how a job says that files which the log does not name yet are its own.

A lease is a locked file. The kernel frees the lock when the process that holds it ends, however it ends, so that what
a killed job left behind can be told from what a running one is about to publish, without asking how long jobs take.
"""

import fcntl
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.files import writing_to

FOLDER = "_leases"  # in that of the table: readers of Delta pass over what begins with an underscore
FILE = re.compile(r"([0-9a-f]{32})-[0-9a-f]{32}\.parquet")


@contextmanager
def lease(table: Path) -> Iterator[str]:
    """Hold a new lease on files in a table's folder until the block ends; its id."""
    folder, id = table / FOLDER, uuid.uuid4().hex
    with writing_to(folder):
        folder.mkdir(exist_ok=True)
        lock = _lock(folder / id)
    try:
        yield id
    finally:
        (folder / id).unlink(missing_ok=True)
        os.close(lock)


def new_file(lease: str) -> str:
    """A name for a file under a lease that nobody has used before."""
    return f"{lease}-{uuid.uuid4().hex}.parquet"


def lease_of(file: str) -> str | None:
    """The lease under which a file was written; none for files of others."""
    return found[1] if (found := FILE.fullmatch(file)) else None


def held(table: Path) -> set[str]:
    """The leases in a table's folder that running processes hold; what is left of the others is removed."""
    found = set()
    for path in (table / FOLDER).glob("*"):
        try:
            lock = os.open(path, os.O_RDWR)  # network file systems lock only what can be written to
        except FileNotFoundError:
            continue  # given back just now
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            found.add(path.name)
        finally:
            os.close(lock)
    return found


def _lock(path: Path) -> int:
    """Make a file and lock it; again if `held` came between the two, and took it for one left behind."""
    while True:
        lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return lock
        os.close(lock)
