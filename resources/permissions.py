"""Permissions of the data folder: by default only its owner can read it, since it has what people listened to.

Every process that writes there restricts the files that it creates by its umask: commands, Dagster's processes, and the
workers of engines. So no other code sets permissions, and files of libraries have the same ones.
"""

import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from resources.errors import TuttiError

VARIABLE = "TUTTI_UMASK"
DEFAULT = "077"
PERMISSIONS = 0o777


def configured(environ: Mapping[str, str] = os.environ) -> int:
    """Return the umask: TUTTI_UMASK, by default 077. Raises `TuttiError` if it is invalid."""
    text = environ.get(VARIABLE) or DEFAULT
    if not re.fullmatch("0?0[0-7]{2}", text):
        raise TuttiError(
            f"invalid {VARIABLE}: {text!r}. Expected 077 (only you can read your data), 027 (your group can read it) "
            "or 007 (your group can also write it)"
        )
    return int(text, 8)


def restrict() -> None:
    """Restrict the files that this process and its child processes create. Raises `TuttiError` as `configured` does."""
    os.umask(configured())


def tighten(folder: Path, music: Path) -> int:
    """Remove permissions that the umask excludes from a folder that an earlier version created. Return how many files.

    The folder `music` is left alone, and so is access to it, because other programs may use it. Links are not followed.
    """
    mask = configured()
    changed = 0
    for entry in sorted(folder.iterdir()):
        if entry != music and _is_open(entry, mask):  # if it is not, nobody else reaches the files in it
            changed += _tighten(entry, music, mask)
    return changed + _remove(folder, music, mask)


def _tighten(path: Path, music: Path, mask: int) -> int:
    """Remove permissions from a path, after everything in it. So a killed command resumes."""
    changed = 0
    for place, folders, files in os.walk(path, topdown=True):
        folders[:] = [name for name in folders if Path(place, name) != music]
        changed += sum(_remove(Path(place, name), music, mask) for name in (*files, *folders))
    return changed + _remove(path, music, mask)


def _remove(path: Path, music: Path, mask: int) -> int:
    """Remove permissions from a path. Return the number of files that had any: 0 or 1."""
    if not _is_open(path, mask) or (music.is_relative_to(path) and _is_open(music, mask)):
        return 0
    with suppress(FileNotFoundError, PermissionError):  # removed in the meantime, or another user's
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~mask)
        return int(not path.is_dir())
    return 0


def _is_open(path: Path, mask: int) -> bool:
    """Return whether a path exists and has permissions that the umask excludes; a link never has."""
    with suppress(FileNotFoundError, PermissionError):
        mode = path.lstat().st_mode
        return not stat.S_ISLNK(mode) and bool(mode & mask & PERMISSIONS)
    return False
