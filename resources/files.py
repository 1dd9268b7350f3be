"""The disk: names that outlive a power cut, and what it refuses, told in one line with what to do about it."""

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

FULL = {errno.ENOSPC, errno.EDQUOT}
CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
ROOM = 1_000_000  # bytes: with less, a database that cannot read or write has a full disk, not a broken one


def sync(folder: Path) -> None:
    """Write down the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that is there whole or not at all, and outlives a power cut; until then what was there stays.

    One at a time may write it: the next takes the place of what a killed one left hidden.
    """
    draft = path.with_name(f".{path.name.lstrip('.')}.draft")
    with draft.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    sync(path.parent)


def publish(path: Path, parts: Iterable[bytes]) -> Path:
    """Write a file as `whole` does, and the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as file:
        file.writelines(parts)
    return path


def clear_drafts(folder: Path) -> None:
    """Remove what killed writers of `whole` left hidden in a folder. Nobody else may be writing there."""
    for draft in folder.glob(".*.draft"):
        draft.unlink()


@contextmanager
def writing_to(folder: "str | os.PathLike[str]") -> Iterator[None]:
    """Raise `TuttiError` where the disk is full or the folder may not be written to."""
    try:
        yield
    except TuttiError:
        raise
    except Exception as error:
        refused = _number(error, Path(str(folder)))
        if refused in FULL:
            raise TuttiError(
                f"the disk of {folder} is full: make room (`make maintenance` removes what no reader needs) and run it "
                "again; what was stored stands as it was"
            ) from error
        if refused in CLOSED:
            raise TuttiError(
                f"no permission to write to {folder}; stored data is unchanged. Change its permissions, or set "
                "TUTTI_DATA_DIR to a folder of your own."
            ) from error
        raise


def _number(error: BaseException, folder: Path) -> int | None:
    """The system's number of an error, or of that which caused it; Rust tells it in the text."""
    if isinstance(error, sqlite3.Error):
        return _of_database(error.sqlite_errorcode & 0xFF, folder)  # the rest are details
    if isinstance(error, OSError):
        told = re.search(r"os error (\d+)", str(error))
        return int(told[1]) if told else error.errno
    return _number(error.__cause__, folder) if error.__cause__ else None


def _of_database(code: int, folder: Path) -> int | None:
    """The system's number for what SQLite, in which Dagster keeps its runs, could not do."""
    if code == sqlite3.SQLITE_IOERR and shutil.disk_usage(folder).free < ROOM:
        return errno.ENOSPC
    return {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_READONLY: errno.EROFS}.get(code)
