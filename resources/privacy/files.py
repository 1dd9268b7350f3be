"""Remove a listener from files: JSON, JSON lines, CSV, Parquet, also compressed or in archives, with any file name.

Records about the listener are removed, and others stay as they were written. A file without remaining records is
removed; otherwise it is replaced atomically. A file in another format stays unchanged, and the scanner reports its
traces.
"""

import bz2
import gzip
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

from resources import archives
from resources.archives import Allowance, Damaged, Peeked, Readable, Refused, spooled
from resources.files import sync
from resources.privacy.person import Person
from resources.privacy.pieces import may_be_in, pieces

BLOCK_BYTES = 1 << 20
DRAFT = ".without"  # suffix of the hidden draft that replaces a file
PARQUET = b"PAR1"
DAMAGED = (OSError, EOFError, ValueError, RuntimeError)


def remove_listener(path: Path, person: Person) -> str | None:
    """Remove a listener from a file. Return "removed" or "rewritten", or None if the file is unchanged.

    A refused archive stays unchanged, and the scanner reports it.
    """
    draft = path.with_name(f".{path.name.lstrip('.')}{DRAFT}")
    with path.open("rb") as source:
        try:
            with draft.open("wb") as sink:
                os.fchmod(sink.fileno(), path.stat().st_mode & 0o777)
                changed, left = without(source, sink, person)
                sink.flush()
                os.fsync(sink.fileno())
            if not changed:
                return None
            if left:
                os.replace(draft, path)
            else:
                path.unlink()
            path.with_name(f".{path.name}.crc").unlink(missing_ok=True)  # Hadoop's checksum of the old file
            sync(path.parent)
            return "rewritten" if left else "removed"
        except Refused:
            return None
        finally:
            draft.unlink(missing_ok=True)


def is_draft(path: Path) -> bool:
    """Return whether a file is an unfinished draft of `remove_listener`."""
    return path.name.startswith(".") and path.name.endswith(DRAFT)


def without(
    source: IO[bytes], sink: IO[bytes], person: Person, allowance: Allowance | None = None
) -> tuple[bool, bool]:
    """Copy `source` without the listener's records.

    Return whether anything was left out, and whether anything was copied. Raises Refused for an archive that cannot be
    searched completely.
    """
    allowance, head = allowance or allowance_of(source), source.read(archives.HEAD_BYTES)
    source.seek(0)
    if head.startswith(PARQUET):
        return _parquet(source, sink, person)
    if magic := archives.compression_of(head):
        with allowance:
            return _packed(source, sink, person, magic, allowance)
    if archives.is_tar(head):
        with allowance:
            return _tarred(cast(Readable, source), sink, person, allowance)
    if archives.is_zip(source, head):
        with allowance:
            return _zipped(source, sink, person, allowance)
    return _text(source, sink, person)


def allowance_of(source: IO[bytes]) -> Allowance:
    """Return what may be unpacked of a file, at whose beginning it stays."""
    packed_bytes = source.seek(0, os.SEEK_END)
    source.seek(0)
    return Allowance(packed_bytes, archives.MAX_TAR_BYTES)


def _pack_zstd(sink: IO[bytes]) -> Any:
    from zstandard import ZstdCompressor

    return ZstdCompressor().stream_writer(sink, closefd=False)


PACKERS: dict[bytes, Callable[[Any], Any]] = {
    archives.GZIP: lambda sink: gzip.GzipFile(filename="", mode="wb", fileobj=sink),
    archives.BZIP2: lambda sink: bz2.BZ2File(sink, "w"),
    archives.XZ: lambda sink: lzma.LZMAFile(sink, "w"),  # noqa: SIM115 (the caller closes it)
    archives.ZSTD: _pack_zstd,
}


def _packed(
    source: IO[bytes], sink: IO[bytes], person: Person, magic: bytes, allowance: Allowance
) -> tuple[bool, bool]:
    unpacked = Peeked(archives.unpack(source, magic, allowance), archives.HEAD_BYTES)
    with PACKERS[magic](sink) as packed:
        if archives.is_tar(unpacked.head):  # it is not copied to the disk as a whole
            return _tarred(unpacked, packed, person, allowance)
        plain, _ = spooled(unpacked)
        with plain:
            return without(plain, packed, person, allowance)


def _zipped(source: IO[bytes], sink: IO[bytes], person: Person, allowance: Allowance) -> tuple[bool, bool]:
    changed = left = False
    with archives.open_zip(source) as old, zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.is_dir():
                continue
            plain, _ = spooled(archives.open_entry(old, entry, allowance))
            with plain, SpooledTemporaryFile(archives.MEMORY_BYTES) as copy:
                differs, stays = without(plain, copy, person, allowance)
                changed, left = changed or differs, left or stays
                if stays or not differs:
                    copy.seek(0)
                    with new.open(zipfile.ZipInfo(entry.filename, entry.date_time), "w", force_zip64=True) as place:
                        _copy(copy, place)
    return changed, left


def _tarred(source: Readable, sink: IO[bytes], person: Person, allowance: Allowance) -> tuple[bool, bool]:
    """Copy a tar. If it is damaged, what follows the damage is left out when it names the listener."""
    changed = left = False
    with tarfile.open(fileobj=sink, mode="w") as new:
        entries = archives.tar_entries(source, allowance, past_end=True)
        while True:
            try:
                entry = next(entries, None)
            except Damaged:
                rest, _ = spooled(source)
                with rest:
                    return changed or may_be_in(rest, person), left
            if entry is None:
                return changed, left
            plain, _ = spooled(entry.content)
            with plain, SpooledTemporaryFile(archives.MEMORY_BYTES) as copy:
                differs, stays = without(plain, copy, person, allowance)
                changed, left = changed or differs, left or stays
                if stays or not differs:
                    entry.info.size = copy.tell()
                    copy.seek(0)
                    new.addfile(entry.info, copy)


def _parquet(source: IO[bytes], sink: IO[bytes], person: Person) -> tuple[bool, bool]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    file = pq.ParquetFile(source)
    schema = file.schema_arrow
    personal = [f.name for f in schema if person.identifies(f.name)]
    changed = left = False
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group)
            remaining = rows
            for name in personal:
                remaining = remaining.filter(pc.invert(pa.array(matches(remaining[name], person.name))))
            changed, left = changed or len(remaining) < len(rows), left or len(remaining) > 0
            if len(remaining):
                writer.write_table(remaining)
    return changed, left


def matches(column: Any, name: str) -> Any:
    """Return a mask of the values of a column that are the name, or a list that contains it."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        if not pa.types.is_string(column.type.value_type):
            return np.zeros(len(column), bool)
        in_lists = np.zeros(len(column), bool)
        hits = pc.equal(pc.list_flatten(column), name)
        in_lists[pc.list_parent_indices(column).filter(hits).to_numpy()] = True
        return in_lists
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return np.zeros(len(column), bool)
    return pc.fill_null(pc.equal(column, name), False).to_numpy(zero_copy_only=False)


def _text(source: IO[bytes], sink: IO[bytes], person: Person) -> tuple[bool, bool]:
    if not may_be_in(source, person):
        return False, _copy(source, sink) > 0
    changed = left = False
    for piece in pieces(source, person):
        sink.write(piece.left)
        if piece.left != piece.source:
            changed = True
            person.redacted_records += bool(piece.left)
        left = left or piece.content
    return changed, left


def _copy(source: IO[bytes], sink: IO[bytes]) -> int:
    size = 0
    while block := source.read(BLOCK_BYTES):
        size += sink.write(block)
    return size
