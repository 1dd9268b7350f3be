"""Files of the landing folder, taken in together: a thousand small ones cost as few commits as a large one.

Each is still taken in whole or not at all, and known by its content. What nobody can read is entered in quarantine as a
whole, so that it holds up no other; what is gone, cannot be opened now or was written to meanwhile is left for later.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from assets.imports.ledger import IMPORTS, LYING, Tell, enter, identify, lay, lying, refusal, write
from resources.folders.landing import Landed, Landing
from resources.frames.filters import ValuesFilter
from resources.lake.lake import Lake
from resources.sources import exports
from resources.sources.readers.archive import Unreadable, UnsupportedFile
from resources.sources.records.listen import Read

FILES, BYTES = (
    1_000,
    32_000_000,
)  # in one commit, at most; a larger file goes alone, and is never in memory whole

Write: TypeAlias = Callable[[Mapping[str, Landed]], dict[str, dict[str, Any]]]
"""Writes the records of files by import_id, and tells what the ledger says of those that could be read."""


def seen(lake: Lake) -> set[Landed]:
    """The landed files that were taken in, or refused, as they lay there then."""
    found = lake.scan("events/imports", IMPORTS).select(LYING).table().drop_null()
    return {landed for row in found.to_pylist() if (landed := lay(row))}


def take_landed(
    landing: Landing,
    files: Sequence[Landed],
    listener: str | None,
    lake: Lake,
    now: datetime,
    tell: Tell,
    warn: Callable[[str], object],
) -> Iterator[tuple[dict[str, Any], bool]]:
    """Take in files of the landing folder: their rows of `imports`, of now or of then, and whether they are new.

    `listener` is whose they are, if they do not say so themselves.
    """
    batch = Batch(landing, listener, lake, now, tell, warn)
    held: list[Landed] = []
    for file in files:
        if held and (len(held) == FILES or sum(f.bytes for f in held) + file.bytes > BYTES):
            yield from batch.take(held)
            held = []
        held.append(file)
    if held:
        yield from batch.take(held)


@dataclass(frozen=True)
class Batch:
    """Where files lie, whose they are, where they go and who is told."""

    landing: Landing
    listener: str | None
    lake: Lake
    now: datetime
    tell: Tell
    warn: Callable[[str], object]

    def take(self, files: Sequence[Landed]) -> list[tuple[dict[str, Any], bool]]:
        """Take in some files in one commit a table."""
        return self.enter(dict(self._identified(files)), self._write)

    def enter(self, ids: dict[Landed, str], write: Write) -> list[tuple[dict[str, Any], bool]]:
        """Enter files in the ledger, by import_id, once `write` has written the records of those that are new."""
        if not ids:
            return []
        slice = ValuesFilter.of("import_id", ids.values())
        entered = known(self.lake, slice)
        new = {id: file for file, id in reversed(ids.items()) if id not in entered}  # of equal ones the first
        told = write(new) if new else {}
        rows: list[tuple[dict[str, Any], bool]] = []
        for file, id in ids.items():
            entry: dict[str, Any] = {
                "import_id": id,
                "file": Path(file.path).name,
                "listener": self.listener,
                "imported_at": self.now,
            }
            entry |= lying(file)
            if id in told:
                rows.append((entry | told[id], new[id] == file))
            elif id in entered:  # the same content in another place, or written once more, if not the very file
                same = next((row for row in entered[id] if lay(row) == file), None)
                rows.append((same or entered[id][0] | entry, False))
        old = [row for found in entered.values() for row in found]
        places = {(id, file.path) for file, id in ids.items()}
        kept = [row for row in old if (row["import_id"], row["landed"]) not in places]
        if any(row not in old for row, _ in rows):
            enter(kept + [row for row, _ in rows], self.lake, slice)
        return rows

    def _identified(self, files: Sequence[Landed]) -> Iterator[tuple[Landed, str]]:
        for file in files:
            try:
                yield file, identify(Path(self.landing.root, file.path), self.listener)
            except (Unreadable, FileNotFoundError) as error:
                self._later(file, error)

    def _write(self, files: Mapping[str, Landed]) -> dict[str, dict[str, Any]]:
        """Write the records of new files; what the ledger says of those that could be read."""
        slice = ValuesFilter.of("import_id", files)
        try:
            return write(self._reads(files), self.lake, slice, self.now, self.tell)
        except UnsupportedFile as error:  # of a large file, after some records
            whole = [(id, refusal(Path(file.path).name, error)) for id, file in files.items()]
            return write(whole, self.lake, slice, self.now, self.tell)

    def _reads(self, files: Mapping[str, Landed]) -> Iterator[tuple[str, Iterable[Read]]]:
        """The records of each file that can be read."""
        for id, file in files.items():
            path = Path(self.landing.root, file.path)
            if file.bytes > BYTES:
                yield id, exports.read(path, self.listener, self.now)
                continue
            try:
                found = list(exports.read(path, self.listener, self.now))
            except UnsupportedFile as error:
                found = refusal(path.name, error)
            except (Unreadable, FileNotFoundError) as error:
                self._later(file, error)
                continue
            if self.landing.look(path) == file:
                yield id, found
            else:
                self._later(file, "it was written to while it was read")

    def _later(self, file: Landed, why: object) -> None:
        self.warn(f"{file.path} is left for the next time: {why}")


def known(lake: Lake, slice: ValuesFilter) -> dict[str, list[dict[str, Any]]]:
    """The rows of the ledger, by import_id."""
    import pyarrow.compute as pc

    found = lake.scan("events/imports", IMPORTS, slice).table()
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in found.filter(pc.is_in(found["import_id"], pa.array(slice.values))).to_pylist():
        rows.setdefault(row["import_id"], []).append(row)
    return rows
