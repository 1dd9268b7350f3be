"""The one way into the ledger: files are imported in batches, so that a thousand small ones cost as few commits as one.

Each file is imported whole or not at all, and known by its content. A single file is a batch of one; the stream of
landed files enters its micro-batches here as well. What belongs here is which files are new and which are left out;
`ledger` has the tables and writes them.

A file on which this program fails does not hold up the others: the batch is split until that file is alone.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from assets.imports.ledger import (
    IMPORTS,
    LYING,
    Tell,
    Unexpected,
    explained,
    identify,
    known,
    lay,
    lying,
    refusal,
    replace_imports,
    untold,
    write,
)
from resources.folders.landing import Landed, Landing
from resources.frames.filters import ValuesFilter
from resources.lake.lake import Lake
from resources.sources import exports
from resources.sources.readers.archive import Unreadable, UnsupportedFile, files_in, printable
from resources.sources.records.listen import RecordResult

FILES, BYTES = 1_000, 32_000_000  # in one commit, at most; a larger file is alone, and never in memory whole
NAMED = 5  # files that an error names: the log has a line for each


@dataclass(frozen=True)
class Incoming:
    """A file to import: where it is, its name in tables, and its state in the landing folder if it is there."""

    path: Path
    name: str
    landed: Landed | None = None
    copied: bool = False  # whether `path` is a copy, which nobody writes to
    state: tuple[tuple[int, ...], ...] = ()  # of a file or folder that a person names, before it is identified

    @classmethod
    def named(cls, path: Path, name: str) -> "Incoming":
        """Name a file or folder that a person names, in its present state."""
        return cls(path, name, state=_state(path))

    @classmethod
    def of(cls, file: Landed, path: Path, copied: bool = False) -> "Incoming":
        """Name a file of the landing folder."""
        return cls(path, Path(file.path).name, file, copied)

    @property
    def alone(self) -> bool:
        """Whether it is imported in a batch of its own, chunk by chunk: an archive that a person names may be huge."""
        return self.landed is None or self.landed.bytes > BYTES


Imported: TypeAlias = tuple[dict[str, Any], bool]
"""A file's row of `imports`, from now or from before, and whether the file is new."""
Write: TypeAlias = Callable[[Mapping[str, Incoming]], dict[str, dict[str, Any]]]
"""Writes the records of files by import_id, and returns what the ledger says of those that could be read."""
LeaveOut: TypeAlias = Callable[[Incoming, Exception], object]
"""Called with a file that is not imported now, and why. It may raise: then no file of the batch is imported."""


def seen(lake: Lake) -> set[Landed]:
    """Return the landed files that were imported or refused, in the state in which they were."""
    found = lake.scan("events/imports", IMPORTS).select(LYING).table().drop_null()
    return {landed for row in found.to_pylist() if (landed := lay(row))}


def import_file(
    path: Path, listener: str | None, lake: Lake, now: datetime, tell: Tell = untold, *, name: str | None = None
) -> Imported:
    """Import one file, which tables call by `name` if not by its own.

    Raises `UnsupportedFile`, `Unreadable`, also if it is written to meanwhile, or `Unexpected`.
    """

    def refuse(_: Incoming, error: Exception) -> None:
        raise error

    (imported,) = Batch(listener, lake, now, tell, refuse).take([Incoming.named(path, printable(name or path.name))])
    return imported


def import_landed(
    landing: Landing,
    files: Sequence[Landed],
    listener: str | None,
    lake: Lake,
    now: datetime,
    tell: Tell,
    warn: Callable[[str], object],
) -> Iterator[Imported]:
    """Import files of the landing folder, for `listener` where they do not name theirs.

    An unsupported file is quarantined as a whole, so that it holds up no other and is not tried again until its content
    changes. A file that is gone, cannot be opened now or was written to meanwhile is left for the next time. So is one
    on which this program fails: `Unexpected` is raised after the others are imported.
    """
    left: dict[Landed | None, Exception] = {}

    def leave(file: Landed | None, error: Exception) -> None:
        if file not in left:  # a batch that is split meets it again
            warn(f"{printable(file.path) if file else 'a file'} is left for the next time: {error}")
        left[file] = error

    batch = Batch(listener, lake, now, tell, lambda file, error: leave(file.landed, error))
    for group in _groups(files):
        with landing.copies(group, leave) as found:
            yield from batch.take([Incoming.of(file, path, landing.store.remote) for file, path in found])
    if failures := [error for error in left.values() if isinstance(error, Unexpected)]:
        more = [f"{len(failures) - NAMED:,} more"] if len(failures) > NAMED else []
        raise Unexpected("; ".join([*map(str, failures[:NAMED]), *more])) from failures[0].__cause__


def _groups(files: Iterable[Landed]) -> Iterator[list[Landed]]:
    """Split files into batches."""
    held: list[Landed] = []
    size = 0
    for file in files:
        if held and (len(held) == FILES or size + file.bytes > BYTES):
            yield held
            held, size = [], 0
        held.append(file)
        size += file.bytes
    if held:
        yield held


@dataclass(frozen=True)
class Batch:
    """Whose files are imported when and into which lake, and who is told of days and of files left out."""

    listener: str | None
    lake: Lake
    now: datetime
    tell: Tell
    leave_out: LeaveOut

    def take(self, files: Sequence[Incoming]) -> list[Imported]:
        """Import some files in one commit a table."""
        return self._take(dict(self._identified(files)))

    def _take(self, ids: dict[Incoming, str]) -> list[Imported]:
        """Import files by import_id. If that fails unexpectedly, import each half of them, so that one is left out."""
        try:
            return self.enter(ids, self._write)
        except Unexpected as error:
            if len(ids) == 1:
                ((file, id),) = ids.items()
                # Part of it may be written. The next time its content, and so its id, may be another.
                write([], self.lake, ValuesFilter.of("import_id", [id]), self.now, self.tell)
                self.leave_out(file, _naming(file, error))
                return []
            half, all = len(ids) // 2, list(ids.items())
            return self._take(dict(all[:half])) + self._take(dict(all[half:]))

    def enter(self, ids: dict[Incoming, str], write: Write) -> list[Imported]:
        """Enter files in the ledger, by import_id, after `write` has written the records of the new ones.

        Until the ledger names a file none of its records count: a killed import is repeated whole.
        """
        if not ids:
            return []
        slice = ValuesFilter.of("import_id", ids.values())
        entered = known(self.lake, slice)
        new = {id: file for file, id in reversed(ids.items()) if id not in entered}  # of equal files the first
        said = write(new) if new else {}
        rows: list[Imported] = []
        for file, id in ids.items():
            place = lying(file.landed) if file.landed else dict.fromkeys(LYING)
            entry = {"import_id": id, "file": file.name, "listener": self.listener, "imported_at": self.now} | place
            if id in said:
                rows.append((entry | said[id], new[id] == file))
            elif id in entered:  # the same content in another place, or written once more, if not the very file
                same = next((row for row in entered[id] if lay(row) == file.landed), None)
                rows.append((same or entered[id][0] | (entry if file.landed else {}), False))
        old = [row for found in entered.values() for row in found]
        if any(row not in old for row, _ in rows):
            places = {(row["import_id"], row["landing_path"]) for row, _ in rows}
            kept = [row for row in old if (row["import_id"], row["landing_path"]) not in places]
            replace_imports(kept + [row for row, _ in rows], self.lake, slice)
        return rows

    def _identified(self, files: Sequence[Incoming]) -> Iterator[tuple[Incoming, str]]:
        for file in files:
            try:
                with explained():
                    id = identify(file.path, self.listener)
            except (Unreadable, FileNotFoundError) as error:
                self.leave_out(file, error)
            except Unexpected as error:
                self.leave_out(file, _naming(file, error))
            else:
                yield file, id

    def _write(self, files: Mapping[str, Incoming]) -> dict[str, dict[str, Any]]:
        """Write the records of new files; what the ledger says of those that could be read."""
        slice = ValuesFilter.of("import_id", files)
        try:
            return write(self._reads(files), self.lake, slice, self.now, self.tell)
        except (UnsupportedFile, Unreadable, FileNotFoundError) as error:
            if len(files) > 1:  # not of a file that is read while it is written
                raise
            ((id, file),) = files.items()
            if not (refused := self._refused(file, error)):
                return {}
            return write([(id, refused)], self.lake, slice, self.now, self.tell)

    def _reads(self, files: Mapping[str, Incoming]) -> Iterator[tuple[str, Iterable[RecordResult]]]:
        """The records of each file that can be read."""
        for id, file in files.items():
            if file.alone:
                yield id, self._until_changed(file)
                continue
            try:
                found = list(exports.read(file.path, self.listener, self.now, file.name))
            except (UnsupportedFile, Unreadable, FileNotFoundError) as error:
                if not (found := self._refused(file, error)):
                    continue
            if unchanged(file):
                yield id, found
            else:
                self.leave_out(file, _changed(file))

    def _until_changed(self, file: Incoming) -> Iterator[RecordResult]:
        """Yield the records of a file. Raises `Unreadable` at the end, before a row is published, if it changed."""
        yield from exports.read(file.path, self.listener, self.now, file.name)
        if not unchanged(file):
            raise _changed(file)

    def _refused(self, file: Incoming, error: Exception) -> list[RecordResult]:
        """The record that stands for a landed file in quarantine; none for a file that is left out."""
        if isinstance(error, UnsupportedFile):
            if not unchanged(file):  # other content is unsupported than was identified
                error = _changed(file)
            elif file.landed:
                return refusal(file.name, error)
        self.leave_out(file, error)
        return []


def unchanged(file: Incoming) -> bool:
    """Whether a file is in the state in which it was before it was identified."""
    if file.copied:
        return True
    if not file.landed:
        return _state(file.path) == file.state
    return Landed.at(file.path, file.landed.path) == file.landed


def _state(path: Path) -> tuple[tuple[int, ...], ...]:
    """Return the size, the last change and the number of a file, or of each in a folder; nothing if it is gone."""
    try:
        found = [os.stat(file) for file in (files_in(path) if path.is_dir() else [path])]
    except (OSError, ValueError):
        return ()
    return tuple((each.st_size, each.st_mtime_ns, each.st_ino) for each in found)


def _changed(file: Incoming) -> Unreadable:
    if file.landed:
        return Unreadable("it was written to while it was read")
    return Unreadable(f"{printable(file.name)} was written to while it was read: import it again")


def _naming(file: Incoming, error: Unexpected) -> Unexpected:
    named = Unexpected(f"{printable(file.landed.path if file.landed else file.name)}: {error}")
    named.__cause__ = error.__cause__
    return named
