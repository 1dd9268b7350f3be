"""Packs: what an intake handed over in a day, in one file, once it was taken in.

An intake makes a file visible every few seconds, and the landing folder is looked through as often: left alone, it
would grow by thousands of files a day. Nothing is lost: a pack has every line, and is taken in as any file where the
lake is made anew. Until then it is not read again, since the ledger is told of it before it can be seen.
"""

import gzip
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import count, groupby
from pathlib import Path

from filelock import FileLock, Timeout

from assets.imports.batch import seen
from assets.imports.ledger import COUNTS, LYING, identify, known, lying, replace_imports
from resources.files import sync
from resources.folders.landing import Landed, Landing
from resources.frames.filters import RangeFilter, ValuesFilter
from resources.lake.lake import Lake

INTAKE = "listens/intake"  # in the landing folder: the only files that are ours to move
PACK = re.compile(r"\d{4}-\d{2}-\d{2}(?:-\d+)?\.jsonl\.gz")
YOUNG = timedelta(days=2)  # a day is packed once nobody is likely to add to it


def pack(landing: Landing, lake: Lake, now: datetime) -> Iterator[tuple[Landed, int]]:
    """Pack the days that are over: each pack, and of how many files. While another does it, nothing.

    Killed at any point it loses no line, and the next one makes up for it.
    """
    folder = Path(landing.root, INTAKE)
    if not folder.is_dir() or not lake.exists("events/imports"):
        return
    lock = FileLock(folder / ".packing")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return
    try:
        taken = seen(lake)
        handed = (f for f in landing.lying(INTAKE) if f.path.endswith(".jsonl") and now - f.modified_at > YOUNG)
        ready = sorted((f for f in handed if f in taken), key=lambda f: (f.modified, f.path))
        for day, files in groupby(ready, key=lambda f: f.modified_at.date()):
            yield _pack(landing, lake, now, day, list(files))
    finally:
        lock.release()


def _pack(landing: Landing, lake: Lake, now: datetime, day: date, files: Sequence[Landed]) -> tuple[Landed, int]:
    """Pack some files of a day, tell the ledger, and remove them."""
    paths = [Path(landing.root, f.path) for f in files]
    hidden = Path(landing.root, INTAKE, f".{day}.jsonl.gz")
    _write(hidden, paths)
    id = identify(hidden, None)
    path = next(p for p in _names(hidden.parent, day) if not p.exists() or identify(p, None) == id)
    enter_pack(lake, hidden, path.relative_to(landing.root).as_posix(), now)
    hidden.rename(path)
    sync(path.parent)
    _forget(lake, {f.path for f in files}, {identify(p, None) for p in paths})
    for file in paths:
        file.unlink()
    packed = landing.look(path)
    assert packed
    return packed, len(files)


def is_pack(landed: str) -> bool:
    """Whether a place in the landing folder is one of a pack."""
    folder, _, name = landed.rpartition("/")
    return folder == INTAKE and PACK.fullmatch(name) is not None


def enter_pack(lake: Lake, file: Path, landed: str, now: datetime) -> None:
    """Tell the ledger of a pack that lies, or is about to, at a place in the landing folder: its records are in."""
    told, id = file.stat(), identify(file, None)
    row = {"import_id": id, "file": Path(landed).name, "imported_at": now} | dict.fromkeys(COUNTS, 0)
    row |= lying(Landed(landed, told.st_size, told.st_mtime_ns // 1000))
    replace_imports([row], lake, RangeFilter("import_id", id, id))


def _write(hidden: Path, files: Sequence[Path]) -> None:
    """Write the lines of some files into one, which is the same whenever it is written."""
    with hidden.open("wb") as out:
        with gzip.GzipFile("", "wb", fileobj=out, mtime=0) as lines:
            for file in files:
                with file.open("rb") as found:
                    shutil.copyfileobj(found, lines)
        out.flush()
        os.fsync(out.fileno())


def _names(folder: Path, day: date) -> Iterator[Path]:
    """What a pack may be called: a day can have several, since listens are late."""
    yield folder / f"{day}.jsonl.gz"
    yield from (folder / f"{day}-{n}.jsonl.gz" for n in count(2))


def _forget(lake: Lake, gone: set[str], ids: set[str]) -> None:
    """The ledger still says what was in some files, but no longer where they lie."""
    slice = ValuesFilter.of("import_id", ids)
    rows = [row for found in known(lake, slice).values() for row in found]
    replace_imports([row | dict.fromkeys(LYING) if row["landed"] in gone else row for row in rows], lake, slice)
