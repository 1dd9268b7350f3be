"""Batches: the only way to import files. A thousand small files in a batch cost as few commits as one file.

Each file is imported completely or not at all, and identified by its content. A single file is a batch of one, and the
stream of landed files passes its micro-batches through here. This module decides which files are new and which are
left out. `ledger` writes the tables.

If Tutti fails on a file, the batch is split until that file is alone, so that the others are still imported.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from assets.imports.ledger import (
    IMPORTS,
    LANDING_COLUMNS,
    ReportDays,
    Unexpected,
    identify,
    ignore_days,
    landed_file,
    landing_state,
    ledger_rows,
    refusal,
    replace_imports,
    unexpected_errors,
    write,
)
from resources.folders.landing import Landed, Landing
from resources.frames.filters import ValuesFilter
from resources.lake.lake import Lake
from resources.sources import exports
from resources.sources.readers.archive import Unreadable, UnsupportedFile, files_in
from resources.sources.records.listen import RecordResult
from resources.text.printable import printable

MAX_FILES = 1_000  # in one batch
MAX_BYTES = 32_000_000  # in one batch; a larger file has its own, and is never in memory as a whole
MAX_NAMED = 5  # files that an error names; the log has a line for each


@dataclass(frozen=True)
class Incoming:
    """A file to import: where it is, its name in tables, and its state in the landing folder if it is there."""

    path: Path
    name: str
    landed: Landed | None = None
    copied: bool = False  # whether `path` is a private copy
    state: tuple[tuple[int, ...], ...] = ()  # of a named file or folder, before it is identified

    @classmethod
    def named(cls, path: Path, name: str) -> "Incoming":
        """Return a file or folder that the user named, in its present state."""
        return cls(path, name, state=_state(path))

    @classmethod
    def of(cls, file: Landed, path: Path, copied: bool = False) -> "Incoming":
        """Return a file of the landing folder."""
        return cls(path, Path(file.path).name, file, copied)

    @property
    def alone(self) -> bool:
        """Whether it is imported in its own batch, chunk by chunk. A named archive may be huge."""
        return self.landed is None or self.landed.bytes > MAX_BYTES


Imported: TypeAlias = tuple[dict[str, Any], bool]
"""A file's row of `imports`, and whether the file is new."""
Write: TypeAlias = Callable[[Mapping[str, Incoming]], dict[str, dict[str, Any]]]
"""Writes the records of files, by import_id, and returns the counts and days of each readable file for `imports`."""
LeaveOut: TypeAlias = Callable[[Incoming, Exception], object]
"""Called with a file that is not imported now, and the reason. If it raises, no file of the batch is imported."""


def read_imported_files(lake: Lake) -> set[Landed]:
    """Return the landed files that were imported or rejected, in their state at that time."""
    rows = lake.scan("events/imports", IMPORTS).select(LANDING_COLUMNS).table().drop_null()
    return {landed for row in rows.to_pylist() if (landed := landed_file(row))}


def import_file(
    path: Path,
    listener: str | None,
    lake: Lake,
    now: datetime,
    report: ReportDays = ignore_days,
    *,
    name: str | None = None,
) -> Imported:
    """Import one file. Tables show `name` if given, else the file's own name.

    Raises `UnsupportedFile`, `Unreadable` (also if the file changes during the import) or `Unexpected`.
    """

    def refuse(_: Incoming, error: Exception) -> None:
        raise error

    (imported,) = Batch(listener, lake, now, report, refuse).take([Incoming.named(path, printable(name or path.name))])
    return imported


def import_landed(
    landing: Landing,
    files: Sequence[Landed],
    listener: str | None,
    lake: Lake,
    now: datetime,
    report: ReportDays,
    warn: Callable[[str], object],
) -> Iterator[Imported]:
    """Import files of the landing folder. A record without a listener belongs to `listener`.

    An unsupported file is quarantined as a whole, and not tried again until its content changes. A file that is
    deleted, cannot be opened or changes during the import is left for the next import. So is a file on which Tutti
    fails: `Unexpected` is raised after the others are imported.
    """
    left_out: dict[Landed | None, Exception] = {}

    def leave_out(file: Landed | None, error: Exception) -> None:
        if file not in left_out:  # a batch that is split meets it again
            warn(f"not imported, the next import tries again: {printable(file.path) if file else 'a file'}: {error}")
        left_out[file] = error

    batch = Batch(listener, lake, now, report, lambda file, error: leave_out(file.landed, error))
    for group in _groups(files):
        with landing.copies(group, leave_out) as copies:
            yield from batch.take([Incoming.of(file, path, landing.store.remote) for file, path in copies])
    if failures := [error for error in left_out.values() if isinstance(error, Unexpected)]:
        more = [f"{len(failures) - MAX_NAMED:,} more files"] if len(failures) > MAX_NAMED else []
        raise Unexpected("; ".join([*map(str, failures[:MAX_NAMED]), *more])) from failures[0].__cause__


def _groups(files: Iterable[Landed]) -> Iterator[list[Landed]]:
    """Split files into batches."""
    group: list[Landed] = []
    size = 0
    for file in files:
        if group and (len(group) == MAX_FILES or size + file.bytes > MAX_BYTES):
            yield group
            group, size = [], 0
        group.append(file)
        size += file.bytes
    if group:
        yield group


@dataclass(frozen=True)
class Batch:
    """Imports files for one listener into one lake.

    `report` gets the days of each table that changed, `leave_out` the files that are not imported.
    """

    listener: str | None
    lake: Lake
    now: datetime
    report: ReportDays
    leave_out: LeaveOut

    def take(self, files: Sequence[Incoming]) -> list[Imported]:
        """Import some files with one commit per table."""
        return self._take(dict(self._identified(files)))

    def _take(self, ids: dict[Incoming, str]) -> list[Imported]:
        """Import files by import_id. If that fails unexpectedly, import each half alone until one file is left out."""
        try:
            return self.enter(ids, self._write)
        except Unexpected as error:
            if len(ids) == 1:
                ((file, import_id),) = ids.items()
                # Remove what is already written: by the next import the content, and so the id, may have changed.
                write([], self.lake, ValuesFilter.of("import_id", [import_id]), self.now, self.report)
                self.leave_out(file, _naming(file, error))
                return []
            half, items = len(ids) // 2, list(ids.items())
            return self._take(dict(items[:half])) + self._take(dict(items[half:]))

    def enter(self, ids: dict[Incoming, str], write: Write) -> list[Imported]:
        """Enter files in the ledger, by import_id, after `write` has written the records of the new ones.

        A file counts as imported once the ledger has it. A killed import is repeated completely.
        """
        if not ids:
            return []
        batch = ValuesFilter.of("import_id", ids.values())
        entered = ledger_rows(self.lake, batch)
        # Of files with equal content, the first is the new one.
        new = {import_id: file for file, import_id in reversed(ids.items()) if import_id not in entered}
        written = write(new) if new else {}
        rows: list[Imported] = []
        for file, import_id in ids.items():
            place = landing_state(file.landed) if file.landed else dict.fromkeys(LANDING_COLUMNS)
            entry = {"import_id": import_id, "file": file.name, "listener": self.listener, "imported_at": self.now}
            entry |= place
            if import_id in written:
                rows.append((entry | written[import_id], new[import_id] == file))
            elif import_id in entered:  # the very file, or the same content at another path or written again
                same = next((row for row in entered[import_id] if landed_file(row) == file.landed), None)
                rows.append((same or entered[import_id][0] | (entry if file.landed else {}), False))
        old = [row for same_id in entered.values() for row in same_id]
        if any(row not in old for row, _ in rows):
            places = {(row["import_id"], row["landing_path"]) for row, _ in rows}
            unchanged_rows = [row for row in old if (row["import_id"], row["landing_path"]) not in places]
            replace_imports(unchanged_rows + [row for row, _ in rows], self.lake, batch)
        return rows

    def _identified(self, files: Sequence[Incoming]) -> Iterator[tuple[Incoming, str]]:
        for file in files:
            try:
                with unexpected_errors():
                    import_id = identify(file.path, self.listener)
            except (Unreadable, FileNotFoundError) as error:
                self.leave_out(file, error)
            except Unexpected as error:
                self.leave_out(file, _naming(file, error))
            else:
                yield file, import_id

    def _write(self, files: Mapping[str, Incoming]) -> dict[str, dict[str, Any]]:
        """Write the records of new files, by import_id. Return the counts and days of each readable file."""
        batch = ValuesFilter.of("import_id", files)
        try:
            return write(self._reads(files), self.lake, batch, self.now, self.report)
        except (UnsupportedFile, Unreadable, FileNotFoundError) as error:
            if len(files) > 1:  # only a file that is alone is read lazily, so that reading fails during writing
                raise
            ((import_id, file),) = files.items()
            if not (rejected := self._reject(file, error)):
                return {}
            return write([(import_id, rejected)], self.lake, batch, self.now, self.report)

    def _reads(self, files: Mapping[str, Incoming]) -> Iterator[tuple[str, Iterable[RecordResult]]]:
        """Yield the import_id and the records of each file that can be read."""
        for import_id, file in files.items():
            if file.alone:
                yield import_id, self._until_changed(file)
                continue
            try:
                records = list(exports.read(file.path, self.listener, self.now, file.name))
            except (UnsupportedFile, Unreadable, FileNotFoundError) as error:
                if not (records := self._reject(file, error)):
                    continue
            if unchanged(file):
                yield import_id, records
            else:
                self.leave_out(file, _changed(file))

    def _until_changed(self, file: Incoming) -> Iterator[RecordResult]:
        """Yield the records of a file. Raises `Unreadable` at the end, before any row is published, if it changed."""
        yield from exports.read(file.path, self.listener, self.now, file.name)
        if not unchanged(file):
            raise _changed(file)

    def _reject(self, file: Incoming, error: Exception) -> list[RecordResult]:
        """Return the quarantine record of an unsupported landed file. Leave any other file out, and return nothing."""
        if isinstance(error, UnsupportedFile):
            if not unchanged(file):  # the unsupported content is not the identified one
                error = _changed(file)
            elif file.landed:
                return refusal(file.name, error)
        self.leave_out(file, error)
        return []


def unchanged(file: Incoming) -> bool:
    """Return whether a file is still in the state that it had before it was identified."""
    if file.copied:
        return True
    if not file.landed:
        return _state(file.path) == file.state
    return Landed.at(file.path, file.landed.path) == file.landed


def _state(path: Path) -> tuple[tuple[int, ...], ...]:
    """Return size, modification time and inode of a file, or of each file in a folder. Empty if it does not exist."""
    try:
        states = [os.stat(file) for file in (files_in(path) if path.is_dir() else [path])]
    except (OSError, ValueError):
        return ()
    return tuple((state.st_size, state.st_mtime_ns, state.st_ino) for state in states)


def _changed(file: Incoming) -> Unreadable:
    if file.landed:
        return Unreadable("the file changed while it was read")
    return Unreadable(f"{printable(file.name)} changed while it was read. Import it again.")


def _naming(file: Incoming, error: Unexpected) -> Unexpected:
    named = Unexpected(f"{printable(file.landed.path if file.landed else file.name)}: {error}")
    named.__cause__ = error.__cause__
    return named
