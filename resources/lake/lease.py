"""Leases: a job's claim on files that it has written but not yet committed to the log.

A lease is a locked file. The kernel frees the lock when the job's process ends, even if it is killed. So files of a
killed job can be distinguished from those that a running job is about to publish, however long jobs take.
"""

import fcntl
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.files import writing_to

FOLDER = "_leases"  # in the table's folder: readers of Delta ignore names that begin with an underscore
FILE = re.compile(r"([0-9a-f]{32})-[0-9a-f]{32}\.parquet")


@contextmanager
def lease(table: Path) -> Iterator[str]:
    """Hold a new lease on files in a table's folder until the block ends, and yield its id."""
    folder, lease_id = table / FOLDER, uuid.uuid4().hex
    with writing_to(folder):
        folder.mkdir(exist_ok=True)
        lock = _lock(folder / lease_id)
    try:
        yield lease_id
    finally:
        (folder / lease_id).unlink(missing_ok=True)
        os.close(lock)


def new_file(lease: str) -> str:
    """Return an unused name for a file under a lease."""
    return f"{lease}-{uuid.uuid4().hex}.parquet"


def lease_of(file: str) -> str | None:
    """Return the id of the lease under which a file was written; None if another program wrote it."""
    return match[1] if (match := FILE.fullmatch(file)) else None


def held(table: Path) -> set[str]:
    """Return the ids of the leases that running processes hold, and remove the files of all other leases."""
    held_ids = set()
    for path in (table / FOLDER).glob("*"):
        try:
            lock = os.open(path, os.O_RDWR)  # network file systems lock only what can be written to
        except FileNotFoundError:
            continue  # released just now
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            held_ids.add(path.name)
        finally:
            os.close(lock)
    return held_ids


def _lock(path: Path) -> int:
    """Create a file and lock it; retry if `held` removed it between the two."""
    while True:
        lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return lock
        os.close(lock)
