"""Packs: one file per day with the imported files of the scrobble endpoint.

The scrobble endpoint publishes a file every few seconds, and the landing folder is scanned as often. Without packing,
it would grow by thousands of files a day. A pack has every line of its files, so that a rebuilt lake imports it like
any file. It is not read again before, since the ledger has it before it becomes visible.
"""

import gzip
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import count, groupby
from pathlib import Path

from assets.imports.batch import read_imported_files
from assets.imports.ledger import COUNTS, LANDING_COLUMNS, identify, landing_state, ledger_rows, replace_imports
from resources.folders.landing import Landed, Landing
from resources.frames.filters import RangeFilter, ValuesFilter
from resources.lake.lake import Lake
from resources.scrobble_endpoint.journal import SCROBBLES  # the only landed files that are ours to move

PACK = re.compile(r"\d{4}-\d{2}-\d{2}(?:-\d+)?\.jsonl\.gz")
LOCK = "listens/.packing"  # beside the folder, which the scrobble endpoint locks
MIN_AGE = timedelta(days=2)  # afterwards a new file for the same day is unlikely


class _Busy(Exception):
    """Another process is packing."""


def pack(landing: Landing, lake: Lake, now: datetime) -> Iterator[tuple[Landed, int]]:
    """Pack the days that are old enough. Yield each pack and its number of files.

    If another process is packing, do nothing. A kill at any point loses no line, and the next call resumes.
    """
    remote = landing.store.remote
    if not (remote or Path(landing.place(SCROBBLES)).is_dir()) or not lake.exists("events/imports"):
        return

    def busy() -> None:
        if not remote:  # a bucket's lock must be waited for: only waiting shows that its owner was killed
            raise _Busy

    try:
        with landing.store.lock(LOCK, busy):
            imported = read_imported_files(lake)
            old = (
                f for f in landing.list_files(SCROBBLES) if f.path.endswith(".jsonl") and now - f.modified_at > MIN_AGE
            )
            ready = sorted((f for f in old if f in imported), key=lambda f: (f.modified, f.path))
            for day, files in groupby(ready, key=lambda f: f.modified_at.date()):
                yield from _pack(landing, lake, now, day, list(files))
    except _Busy:
        return


def _pack(
    landing: Landing, lake: Lake, now: datetime, day: date, files: Sequence[Landed]
) -> Iterator[tuple[Landed, int]]:
    """Pack some files of a day, enter the pack in the ledger, and remove the files. Skip files that are deleted."""
    name = f"{SCROBBLES}/{day}.jsonl.gz"
    with landing.copies(files, lambda *_: None) as copies, landing.draft(name) as draft:
        if not copies:
            return
        paths = [path for _, path in copies]
        _write(draft, paths)
        import_id = identify(draft, None)
        name = next(name for name in _names(day) if _is_free(landing, name, import_id))
        entered = Landed.at(draft, name)
        assert entered
        enter_pack(lake, import_id, entered, now)
        packed = landing.publish(draft, name)
        if packed != entered:  # a bucket sets its own times; if killed here, an import recognizes the content
            enter_pack(lake, import_id, packed, now)
        _forget_paths(lake, {f.path for f, _ in copies}, {identify(path, None) for path in paths})
        landing.store.remove(f.path for f, _ in copies)
    yield packed, len(copies)


def _is_free(landing: Landing, name: str, import_id: str) -> bool:
    """Return whether a pack may use a name: no such file exists, or it is this very pack."""
    if landing.state_of(name) is None:
        return True
    with landing.opened(name) as path:
        return identify(path, None) == import_id


def is_pack(landing_path: str) -> bool:
    """Return whether a path in the landing folder is that of a pack."""
    folder, _, name = landing_path.rpartition("/")
    return folder == SCROBBLES and PACK.fullmatch(name) is not None


def enter_pack(lake: Lake, import_id: str, landed: Landed, now: datetime) -> None:
    """Enter a landed pack, or one that is about to land, in the ledger as imported."""
    row = {"import_id": import_id, "file": Path(landed.path).name, "imported_at": now} | dict.fromkeys(COUNTS, 0)
    row |= landing_state(landed)
    replace_imports([row], lake, RangeFilter("import_id", import_id, import_id))


def _write(draft: Path, files: Sequence[Path]) -> None:
    """Write the lines of files into one gzip file. Its bytes depend on the lines only."""
    with draft.open("wb") as out:
        with gzip.GzipFile("", "wb", fileobj=out, mtime=0) as lines:
            for path in files:
                with path.open("rb") as file:
                    shutil.copyfileobj(file, lines)
        out.flush()
        os.fsync(out.fileno())


def _names(day: date) -> Iterator[str]:
    """Yield the possible names of a pack. A day can have several packs, since some listens are late."""
    yield f"{SCROBBLES}/{day}.jsonl.gz"
    yield from (f"{SCROBBLES}/{day}-{n}.jsonl.gz" for n in count(2))


def _forget_paths(lake: Lake, paths: set[str], ids: set[str]) -> None:
    """Remove landing paths from the ledger. The counts of these files stay."""
    batch = ValuesFilter.of("import_id", ids)
    rows = [row for same_id in ledger_rows(lake, batch).values() for row in same_id]
    no_path = dict.fromkeys(LANDING_COLUMNS)
    replace_imports([row | no_path if row["landing_path"] in paths else row for row in rows], lake, batch)
