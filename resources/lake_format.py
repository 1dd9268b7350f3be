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

FORMAT = 1
FILE = "format"  # in the lake's folder


def check(lake: Path) -> None:
    """Raise `TuttiError` if a lake has tables of another format, or of none."""
    found = None
    with suppress(FileNotFoundError, NotADirectoryError):
        found = " ".join((lake / FILE).read_text(errors="replace").split())[:10]
    if found == str(FORMAT) or (found is None and not any(lake.glob("*/*/_delta_log"))):
        return
    raise TuttiError(
        f"the tables in {lake} have {f'format {found}' if found else 'no format number'}, and this version of Tutti "
        f"reads format {FORMAT}: move {lake.parent} away and import again"
    )


def claim(lake: Path) -> None:
    """Give a new lake its number. Raises `TuttiError` as `check` does."""
    check(lake)
    if (lake / FILE).exists():
        return
    lake.mkdir(parents=True, exist_ok=True)
    draft, name = tempfile.mkstemp(prefix=f".{FILE}.", dir=lake)  # of its own: several processes may begin at once
    try:
        with os.fdopen(draft, "w") as file:
            file.write(f"{FORMAT}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, lake / FILE)
    except BaseException:
        os.unlink(name)
        raise
    sync(lake)
