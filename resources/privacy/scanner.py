"""The scanner: find all places below some folders that name a listener, in any format.

It is the proof of an erasure, so it decodes all files itself: Parquet, table logs, zip and tar, compressed files,
SQLite with the bytes of deleted rows, JSON, CSV and text. `person` defines what counts as a name. It reads every file,
visible or hidden, including files that are no longer part of a table.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, cast

from resources import archives
from resources.archives import Allowance, Damaged, Peeked, Readable, Refused, Truncated
from resources.privacy import database, files
from resources.privacy.person import Person
from resources.privacy.pieces import UNDECIDED, may_be_in, pieces

LOG = "_delta_log"
UNSEARCHED = "cannot be searched"


@dataclass(frozen=True)
class Trace:
    """A place that names a listener."""

    path: Path
    where: str  # a member, column or line of the file

    def __str__(self) -> str:
        return f"{self.path} ({self.where})"


MUSIC = "music"  # the folder of audio files: reading them takes hours, and they contain no listens


@dataclass(frozen=True)
class Scanner:
    """A search for a listener in the data folder and Dagster's home, given the personal columns of tables."""

    person: Person
    data: Path
    history: Path
    personal: Mapping[str, frozenset[str]]  # by table, "events/listens"

    def traces(self) -> Iterator[Trace]:
        """Yield every place in the two folders that names the listener, without audio files."""
        roots = [self.data] if self.history.is_relative_to(self.data) else [self.data, self.history]
        for root in roots:
            for place, folders, names in os.walk(root):
                folders[:] = sorted(folders) if Path(place) != self.data else sorted({*folders} - {MUSIC})
                pulls = Path(place).parent == self.data / "landing" / "listens"
                if pulls and self.person.folder in folders:
                    yield Trace(Path(place, self.person.folder), "its name")
                for name in sorted(names):
                    yield from self.of_file(Path(place, name))

    def of_file(self, path: Path) -> Iterator[Trace]:
        """Yield every place in a file that names the listener."""
        if path.parent == self.data / "exports" and path.name.lstrip(".").startswith(f"{self.person.folder}."):
            yield Trace(path, "its name")
        try:
            with path.open("rb") as stream:
                if stream.read(len(database.MAGIC)) == database.MAGIC:
                    places = database.traces(path, self.person, self._of_history(path))
                else:
                    stream.seek(0)
                    places = self._stream(stream, path, files.allowance_of(stream))
                for where in places:
                    yield Trace(path, where)
        except FileNotFoundError:
            return  # removed in the meantime
        except (Refused, Damaged) as error:
            yield Trace(path, f"{UNSEARCHED}: it {error}")
        except files.DAMAGED as error:
            if self._raw(path):
                yield Trace(path, f"the file cannot be read: {type(error).__name__}")

    def _raw(self, path: Path) -> bool:
        with path.open("rb") as stream:
            return may_be_in(stream, self.person)

    def _stream(self, stream: IO[bytes], path: Path, allowance: Allowance) -> Iterator[str]:
        """Scan a stream. Raises Refused for an archive that cannot be searched completely."""
        head = stream.read(archives.HEAD_BYTES)
        stream.seek(0)
        if head.startswith(files.PARQUET):
            yield from self._parquet(stream, path)
        elif head.startswith(database.MAGIC):
            yield from self._database(stream, path)
        elif magic := archives.compression_of(head):
            with allowance:
                yield from self._packed(stream, path, magic, allowance)
        elif archives.is_tar(head):
            with allowance:
                yield from self._tar(cast(Readable, stream), path, allowance)
        elif archives.is_zip(stream, head):
            with allowance:
                yield from self._zip(stream, path, allowance)
        elif not path.name.endswith(database.BESIDE):  # those are scanned with their database
            yield from self._text(stream, path)

    def _packed(self, stream: IO[bytes], path: Path, magic: bytes, allowance: Allowance) -> Iterator[str]:
        unpacked = Peeked(archives.unpack(stream, magic, allowance), archives.HEAD_BYTES)
        if archives.is_tar(unpacked.head):
            yield from self._tar(unpacked, path, allowance)
        else:
            yield from self._copy(unpacked, path, allowance)

    def _copy(self, stream: Readable, path: Path, allowance: Allowance) -> Iterator[str]:
        """Scan a copy of a stream. If its end is damaged, other programs may still read the listener's name there."""
        plain, damage = archives.spooled(stream)
        with plain:
            try:
                yield from self._stream(plain, path, allowance)
            except files.DAMAGED as error:
                plain.seek(0)
                if may_be_in(plain, self.person):
                    yield f"the file cannot be read: {type(error).__name__}"
        if damage and not isinstance(damage, Truncated):
            yield f"{UNSEARCHED} to its end: it {damage}"

    def _zip(self, stream: IO[bytes], path: Path, allowance: Allowance) -> Iterator[str]:
        with archives.open_zip(stream) as archive:
            for entry in archive.infolist():
                content = archives.open_entry(archive, entry, allowance)
                yield from (f"{entry.filename}: {where}" for where in self._copy(content, path, allowance))

    def _tar(self, stream: Readable, path: Path, allowance: Allowance) -> Iterator[str]:
        entries = archives.tar_entries(stream, allowance, past_end=True)
        while True:
            try:
                entry = next(entries, None)
            except Damaged:
                yield from (f"after the damage: {where}" for where in self._copy(stream, path, allowance))
                return
            if entry is None:
                return
            yield from (f"{entry.info.name}: {where}" for where in self._copy(entry.content, path, allowance))

    def _database(self, stream: IO[bytes], path: Path) -> Iterator[str]:
        """Scan a database inside another file."""
        with TemporaryDirectory() as folder:
            copy = Path(folder, "copy.db")
            with copy.open("wb") as file:
                shutil.copyfileobj(stream, file)
            yield from database.traces(copy, self.person, self._of_history(path))

    def _parquet(self, stream: IO[bytes], path: Path) -> Iterator[str]:
        import pyarrow.parquet as pq

        file = pq.ParquetFile(stream)
        columns = self._columns(path)
        named_columns: set[str] = set()
        for batch in file.iter_batches():
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                if name in named_columns or (columns is not None and name not in columns):
                    continue
                exact = columns is not None
                if any(self._names(leaf, text, exact) for leaf, text in _texts(column, name)):
                    named_columns.add(name)
        yield from (f"column {name}" for name in sorted(named_columns))

    def _names(self, leaf: str, texts: Any, exact: bool) -> bool:
        """Return whether a text of a column names the listener."""
        import pyarrow.compute as pc

        candidates = pc.unique(texts.filter(self.person.candidates(texts)))
        return any(
            (exact and value == self.person.name) or self.person.without(value, leaf) != value
            for value in candidates.to_pylist()
        )

    def _columns(self, path: Path) -> frozenset[str] | None:
        """Return the personal columns of a table's file; None if all columns of a file must be scanned."""
        lake = self.data / "lake"
        if not path.is_relative_to(lake) or LOG in path.parts:
            return None
        return self.personal.get("/".join(path.relative_to(lake).parts[:2]))

    def _text(self, stream: IO[bytes], path: Path) -> Iterator[str]:
        if not may_be_in(stream, self.person):
            return
        if self._of_history(path):
            for number, line in enumerate(stream, 1):
                text = line.decode(errors="surrogateescape")
                if self.person.redact_history(text) != text:
                    yield f"line {number}"
            return
        for piece in pieces(stream, self.person):
            if piece.undecided:
                yield f"{piece.where}, which {UNDECIDED}"
            elif piece.left != piece.source:
                yield piece.where

    def _of_history(self, path: Path) -> bool:
        return path.is_relative_to(self.history)


def _texts(column: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the texts in a column at any depth, each with the name of the field that contains it."""
    import pyarrow as pa

    data_type = column.type
    if pa.types.is_dictionary(data_type):
        yield from _texts(column.dictionary, name)
    elif pa.types.is_struct(data_type):
        for field, inner in zip(data_type, column.flatten(), strict=True):
            yield from _texts(inner, field.name)
    elif pa.types.is_map(data_type):
        yield from _texts(column.keys, name)
        yield from _texts(column.items, name)
    elif pa.types.is_list(data_type) or pa.types.is_large_list(data_type):
        yield from _texts(column.flatten(), name)
    elif pa.types.is_string(data_type) or pa.types.is_large_string(data_type):
        yield name, column
