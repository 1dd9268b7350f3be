"""Format: the number of the layout of a lake's tables, so that no version misreads or spoils the tables of another.

The number is in a file beside the tables, written before the first of them. Raise it when stored columns change in a
way that old rows cannot follow.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from resources.errors import TuttiError
from resources.files import sync
from resources.storage import Storage

FORMAT = 2
FILE = "format"  # in the lake's folder


def lake_of(data: Path) -> Storage:
    """Name the lake of a data folder: the place in a bucket that TUTTI_LAKE_URL gives, else the folder `lake`."""
    return Storage.chosen("TUTTI_LAKE_URL", data / "lake")


def check_local(data: Path) -> None:
    """Check the lake of a data folder unless it is in a bucket. There, each scan and each write checks it.

    The scrobble endpoint must not depend on the object store.
    """
    if not (lake := lake_of(data)).remote:
        check(lake)


def check(lake: Storage) -> bool:
    """Return whether a lake has a number. Raises `TuttiError` if it has tables of another format, or of none."""
    found = None
    with suppress(FileNotFoundError, NotADirectoryError):
        found = " ".join(lake.read(FILE).decode(errors="replace").split())[:10]
    if found == str(FORMAT) or (found is None and not _filled(lake)):
        return found is not None
    where = f"use another place than {lake}" if lake.remote else f"move {Path(lake).parent} away"
    raise TuttiError(
        f"the tables in {lake} have {f'format {found}' if found else 'no format number'}, and this version of Tutti "
        f"reads format {FORMAT}: {where} and import again"
    )


def claim(lake: Storage) -> None:
    """Give a new lake its number. Raises `TuttiError` as `check` does."""
    if check(lake):
        return
    if lake.remote:
        lake.write(FILE, f"{FORMAT}\n".encode())
        return
    folder = Path(lake)
    folder.mkdir(parents=True, exist_ok=True)
    draft, name = tempfile.mkstemp(prefix=f".{FILE}.", dir=folder)  # of its own: several processes may begin at once
    try:
        with os.fdopen(draft, "w") as file:
            file.write(f"{FORMAT}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, folder / FILE)
    except BaseException:
        os.unlink(name)
        raise
    sync(folder)


def _filled(lake: Storage) -> bool:
    """Return whether a lake has a table, or the beginning of one."""
    folders = (lake / layer / name for layer in lake.folders() for name in (lake / layer).folders())
    return any("_delta_log" in folder.folders() for folder in folders)
