"""The format number of a lake: it keeps one version of Tutti from misreading or damaging another version's tables.

The number is in a file beside the tables, written before the first table. Raise `FORMAT` when stored columns change so
that old rows no longer fit.
"""

import os
import tempfile
from pathlib import Path

from resources import permissions
from resources.errors import TuttiError
from resources.files import sync
from resources.storage import Storage

FORMAT = 2
FILE = "format"  # in the lake's folder


def lake_of(data: Path) -> Storage:
    """Return the place of a data folder's lake: TUTTI_LAKE_URL, by default its folder `lake`."""
    return Storage.from_environment("TUTTI_LAKE_URL", data / "lake")


def check_local(data: Path) -> None:
    """Check the lake of a data folder if it is on disk. Raises `TuttiError` as `check` does.

    A lake in a bucket is checked by each scan and each write instead: the scrobble endpoint, which calls this too, must
    not depend on the object store.
    """
    if not (lake := lake_of(data)).remote:
        check(lake)


def check(lake: Storage) -> bool:
    """Return whether a lake has a format number.

    Raises `TuttiError` if the number is not `FORMAT`, or if there are tables without a number.
    """
    stored = None
    try:
        stored = " ".join(lake.read(FILE).decode(errors="replace").split())[:10]
    except (FileNotFoundError, NotADirectoryError):
        pass
    except IsADirectoryError:
        raise TuttiError(
            f"{lake / FILE} is a folder, but Tutti stores the format number in a file of this name. Move it away."
        ) from None
    if stored == str(FORMAT) or (stored is None and not _has_tables(lake)):
        return stored is not None
    stated = f"format {stored}" if stored else "no format number"
    raise TuttiError(
        f"the tables in {lake} have {stated}, but this version of Tutti reads format {FORMAT}. {_advice(lake, stored)}."
    )


def _advice(lake: Storage, stored: str | None) -> str:
    """Return what to do about tables of another format."""
    if stored is not None and not (stored.isascii() and stored.isdecimal()):
        return f"The file {lake / FILE} is damaged. Check it, or restore it from a backup"
    if stored and int(stored) > FORMAT:
        return "A newer version wrote them. Update Tutti"
    return f"{f'Use another place than {lake}' if lake.remote else f'Move {Path(lake).parent} away'} and import again"


def claim(lake: Storage) -> None:
    """Write the format number of a new lake. Raises `TuttiError` as `check` does."""
    if check(lake):
        return
    if lake.remote:
        lake.write(FILE, f"{FORMAT}\n".encode())
        return
    folder = Path(lake)
    folder.mkdir(parents=True, exist_ok=True)
    # Each process uses a draft of its own: several may create the lake at the same time.
    draft, name = tempfile.mkstemp(prefix=f".{FILE}.", dir=folder)
    try:
        with os.fdopen(draft, "w") as file:
            os.fchmod(draft, 0o666 & ~permissions.configured())  # `mkstemp` excludes a group that may share the lake
            file.write(f"{FORMAT}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, folder / FILE)
    except BaseException:
        os.unlink(name)
        raise
    sync(folder)


def _has_tables(lake: Storage) -> bool:
    """Return whether a lake has a table, even an unfinished one."""
    folders = (lake / layer / name for layer in lake.folders() for name in (lake / layer).folders())
    return any("_delta_log" in folder.folders() for folder in folders)
