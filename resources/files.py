"""The local disk: atomic writes that survive a power cut, and clear errors when it is full or read-only."""

import errno
import os
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from resources.errors import TuttiError

DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}
# With less free space, an I/O error of a database means a full disk, not a damaged one.
MIN_FREE_BYTES = 1_000_000


def sync(folder: Path) -> None:
    """Flush a folder to the disk, so that new, renamed and removed names in it survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Write a file atomically and durably: until the block ends, `path` keeps its old content.

    Only one process at a time may write a path. It overwrites the hidden draft that a killed process left.
    """
    draft = path.with_name(f".{path.name.lstrip('.')}.draft")
    with draft.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    sync(path.parent)


def publish(path: Path, parts: Iterable[bytes]) -> Path:
    """Create a file's folder if it does not exist, write the file with `atomic_write` and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.writelines(parts)
    return path


def clear_drafts(folder: Path) -> None:
    """Remove the drafts that killed processes left in a folder. No other process may be writing there."""
    for draft in folder.glob(".*.draft"):
        draft.unlink()


@contextmanager
def writing_to(folder: "str | os.PathLike[str]") -> Iterator[None]:
    """Raise `TuttiError` if the disk is full or the folder is not writable."""
    try:
        yield
    except TuttiError:
        raise
    except Exception as error:
        number = _errno(error, Path(str(folder)))
        if number in DISK_FULL:
            raise TuttiError(
                f"the disk of {folder} is full; stored data is unchanged. Free some space (`make maintenance` removes "
                "files that are no longer needed) and run this again."
            ) from error
        if number in NO_PERMISSION:
            raise TuttiError(
                f"no permission to write to {folder}; stored data is unchanged. Change its permissions, or set "
                "TUTTI_DATA_DIR to a folder of your own."
            ) from error
        raise


def _errno(error: BaseException, folder: Path) -> int | None:
    """Return the errno of an error or of its cause, or None. Errors from Rust have it in their text."""
    if isinstance(error, sqlite3.Error):
        return _sqlite_errno(error.sqlite_errorcode & 0xFF, folder)  # the upper bits are details
    if isinstance(error, OSError):
        match = re.search(r"os error (\d+)", str(error))
        return int(match[1]) if match else error.errno
    return _errno(error.__cause__, folder) if error.__cause__ else None


def _sqlite_errno(code: int, folder: Path) -> int | None:
    """Return the errno that matches an error code of SQLite, in which Dagster stores its runs, or None."""
    if code == sqlite3.SQLITE_IOERR and shutil.disk_usage(folder).free < MIN_FREE_BYTES:
        return errno.ENOSPC
    return {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_READONLY: errno.EROFS}.get(code)
