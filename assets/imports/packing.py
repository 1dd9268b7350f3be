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

from assets.imports.batch import seen
from assets.imports.ledger import COUNTS, LYING, identify, known, lying, replace_imports
from resources.folders.landing import Landed, Landing
from resources.frames.filters import RangeFilter, ValuesFilter
from resources.lake.lake import Lake
from resources.scrobble_endpoint.journal import SCROBBLES  # the only landed files that are ours to move

PACK = re.compile(r"\d{4}-\d{2}-\d{2}(?:-\d+)?\.jsonl\.gz")
LOCK = "listens/.packing"  # beside it: the folder itself is locked by the intake
YOUNG = timedelta(days=2)  # a day is packed once nobody is likely to add to it


class _Busy(Exception):
    """Another process packs."""


def pack(landing: Landing, lake: Lake, now: datetime) -> Iterator[tuple[Landed, int]]:
    """Pack the days that are over: each pack, and of how many files. While another does it, nothing.

    Killed at any point it loses no line, and the next one makes up for it.
    """
    remote = landing.store.remote
    if not (remote or Path(landing.place(SCROBBLES)).is_dir()) or not lake.exists("events/imports"):
        return

    def busy() -> None:
        if not remote:  # in a bucket only who waits learns that a process was killed and its lock is free
            raise _Busy

    try:
        with landing.store.lock(LOCK, busy):
            taken = seen(lake)
            handed = (
                f for f in landing.list_files(SCROBBLES) if f.path.endswith(".jsonl") and now - f.modified_at > YOUNG
            )
            ready = sorted((f for f in handed if f in taken), key=lambda f: (f.modified, f.path))
            for day, files in groupby(ready, key=lambda f: f.modified_at.date()):
                yield from _pack(landing, lake, now, day, list(files))
    except _Busy:
        return


def _pack(
    landing: Landing, lake: Lake, now: datetime, day: date, files: Sequence[Landed]
) -> Iterator[tuple[Landed, int]]:
    """Pack some files of a day, enter the pack in the ledger, and remove them. Files that are gone are left out."""
    name = f"{SCROBBLES}/{day}.jsonl.gz"
    with landing.copies(files, lambda *_: None) as found, landing.draft(name) as hidden:
        if not found:
            return
        paths = [path for _, path in found]
        _write(hidden, paths)
        id = identify(hidden, None)
        name = next(name for name in _names(day) if _free(landing, name, id))
        entered = Landed.at(hidden, name)
        assert entered
        enter_pack(lake, id, entered, now)
        packed = landing.publish(hidden, name)
        if packed != entered:  # a bucket has its own times; if killed here, an import finds the content known
            enter_pack(lake, id, packed, now)
        _forget(lake, {f.path for f, _ in found}, {identify(path, None) for path in paths})
        landing.store.remove(f.path for f, _ in found)
    yield packed, len(found)


def _free(landing: Landing, name: str, id: str) -> bool:
    """Whether a pack may have a name: there is no such file, or it is this very pack."""
    if landing.state_of(name) is None:
        return True
    with landing.opened(name) as path:
        return identify(path, None) == id


def is_pack(landed: str) -> bool:
    """Whether a place in the landing folder is one of a pack."""
    folder, _, name = landed.rpartition("/")
    return folder == SCROBBLES and PACK.fullmatch(name) is not None


def enter_pack(lake: Lake, id: str, landed: Landed, now: datetime) -> None:
    """Enter a pack that has landed, or is about to, in the ledger: its records are imported."""
    row = {"import_id": id, "file": Path(landed.path).name, "imported_at": now} | dict.fromkeys(COUNTS, 0)
    row |= lying(landed)
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


def _names(day: date) -> Iterator[str]:
    """Yield the names that a pack may have: a day can have several, since listens are late."""
    yield f"{SCROBBLES}/{day}.jsonl.gz"
    yield from (f"{SCROBBLES}/{day}-{n}.jsonl.gz" for n in count(2))


def _forget(lake: Lake, gone: set[str], ids: set[str]) -> None:
    """The ledger still says what was in some files, but no longer where they lie."""
    slice = ValuesFilter.of("import_id", ids)
    rows = [row for found in known(lake, slice).values() for row in found]
    replace_imports([row | dict.fromkeys(LYING) if row["landing_path"] in gone else row for row in rows], lake, slice)
