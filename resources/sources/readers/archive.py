"""Open an export in place: a plain or compressed file, or each file of a zip or tar.

Layouts are recognized by content, not by name. A tar is read as a stream, compressed or not: the public dumps are tars
and too large to unpack to disk. Archives come from outside, so each entry is checked before it is read: names that
leave the folder, links, encryption, nested archives and too many files are refused. Unpacked bytes are counted while
reading, because a zip's directory can declare false sizes. Of a damaged file the records before the damage are read.
"""

import bz2
import copy
import gzip
import hashlib
import io
import lzma
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from resources.errors import TuttiError

MAX_FILES = 10_000  # an export has one per month or 16 MB
MAX_UNPACKED_BYTES = 20 << 30  # ten times the largest known export
MAX_TAR_BYTES = 2 << 40  # unpacked: a streamed tar needs no disk space
MAX_RATIO = 200  # unpacked to packed size: exports reach 30, deflate 1,032
FREE_BYTES = 64 << 20  # the ratio does not apply to fewer unpacked bytes

ZIP, GZIP, BZIP2, XZ, ZSTD = b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
TAR = slice(257, 262), b"ustar"
MAX_MEMORY_BYTES = 128 << 20  # for unpacking: the need of xz -9 and zstd --long
BLOCK_BYTES = 1 << 16  # read of a compressed file at once
MAX_NAME_BYTES = 1 << 16  # of a tar header that extends another
ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", GZIP, b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")
CLIMBS_OUT = re.compile(r"^/|^[A-Za-z]:|[\\\x00]|(?:^|/)\.\.(?:/|$)")
DOCUMENTS = (".md", ".rst", ".html", ".htm", ".pdf")  # documentation beside exports, which may quote records
TOO_MANY = f"contains more than {MAX_FILES:,} files"
DAMAGE_ERRORS = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)
MAX_ENTRY_BYTES = 2_048  # of a file in a zip's directory: 46, its name and its extra fields
DOWNLOAD = "download it again"
DAMAGED = f"the file is damaged at or shortly before this record: {DOWNLOAD}"


class UnsupportedFile(TuttiError):
    """Raised for a file from which nothing can be imported unless its content changes."""


class Unreadable(TuttiError):
    """Raised for a file that cannot be opened at present."""


class Member:
    """One file to read. If it is damaged its bytes end early and `damage` describes the damage."""

    def __init__(
        self,
        name: str,
        stream: io.BufferedIOBase | IO[bytes],
        allowance: "_Allowance",
        crc: int | None = None,
        damage: str | None = None,
        path: Path | None = None,
    ):
        self.name, self.damage = name, damage
        self.path = path  # of the same bytes, if they are a file on disk
        self._stream, self._allowance = stream, allowance
        self._expected, self._crc = crc, 0
        self._peeked = b""

    def peek(self, size: int) -> bytes:
        """Return the first bytes without consuming them."""
        while len(self._peeked) < size and (block := self._read(size - len(self._peeked))):
            self._peeked += block
        return self._peeked[:size]

    def read1(self, size: int, /) -> bytes:
        if self._peeked:
            block, self._peeked = self._peeked[:size], self._peeked[size:]
            return block
        return self._read(size)

    def read(self, size: int, /) -> bytes:
        """Read exactly `size` bytes, or fewer at the end."""
        parts = []
        while size > 0 and (block := self.read1(size)):
            parts.append(block)
            size -= len(block)
        return b"".join(parts)

    def _read(self, size: int) -> bytes:
        try:
            block: bytes = self._stream.read1(size)  # type: ignore[union-attr]
        except DAMAGE_ERRORS:
            self.damage = DAMAGED
            return b""
        self._allowance.spend(len(block))
        self._crc = zlib.crc32(block, self._crc)
        if not block and self._expected not in (None, self._crc):
            self.damage = f"the checksum of the file does not match, so some records may be wrong: {DOWNLOAD}"
        return block


class _Allowance:
    """The bytes that may still be unpacked."""

    def __init__(self, name: str, packed_bytes: int, max_bytes: int = MAX_UNPACKED_BYTES) -> None:
        self._refusal = UnsupportedFile(f"{name} unpacks to far more bytes than any export: {DOWNLOAD} from its source")
        self._left = min(max_bytes, max(FREE_BYTES, MAX_RATIO * packed_bytes))

    def check(self, size: int) -> None:
        if size > self._left:
            raise self._refusal

    def spend(self, size: int) -> None:
        self.check(size)
        self._left -= size


def members(path: Path, name: str | None = None) -> Iterator[Member]:
    """Yield the files of an export, each to be read before the next is requested.

    `name` replaces the name of `path` in messages. Documentation in folders and archives is left out. Raises
    UnsupportedFile if an archive is refused, Unreadable if the file cannot be opened.
    """
    name = name or printable(path.name)
    if path.is_dir():
        for inner in files_in(path):
            yield from members(inner, f"{name}/{printable(str(inner.relative_to(path)))}")
        return
    with open_file(path) as file:
        magic, packed_bytes = file.read(6), path.stat().st_size
        unpack = next((unpacker for start, unpacker in UNPACKERS.items() if magic.startswith(start)), None)
        is_zip = magic.startswith(ZIP) or (not unpack and not _is_tar(file) and zipfile.is_zipfile(file))
        file.seek(0)
        if is_zip:
            yield from _zip_members(name, file, packed_bytes)
            return
        # The bytes of a tar's files are counted here, as bytes of the tar.
        allowance = _Allowance(name, packed_bytes if unpack else 1 << 60, MAX_TAR_BYTES)
        unpacked = Member(name, unpack(file) if unpack else file, allowance, path=None if unpack else path)
        if unpacked.peek(512)[TAR[0]] == TAR[1]:
            yield from _tar_members(name, unpacked)
        else:
            yield unpacked


def _is_tar(file: io.BufferedReader) -> bool:
    file.seek(0)
    return file.read(512)[TAR[0]] == TAR[1]


class _Zstd:
    """The unpacked bytes of a zstd file. Raises OSError if it is damaged, like the other unpackers."""

    def __init__(self, file: io.BufferedReader) -> None:
        from zstandard import ZstdDecompressor

        self._stream = ZstdDecompressor(max_window_size=MAX_MEMORY_BYTES).stream_reader(file, read_across_frames=True)

    def read1(self, size: int) -> bytes:
        from zstandard import ZstdError

        try:
            return self._stream.read1(size)
        except ZstdError as error:
            raise OSError(str(error)) from None


class _Xz:
    """The unpacked bytes of an xz file, within MAX_MEMORY_BYTES, which `lzma.open` does not limit."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._unpacked = lzma.LZMADecompressor(memlimit=MAX_MEMORY_BYTES)

    def read1(self, size: int) -> bytes:
        while True:
            packed = b""
            if self._unpacked.eof:  # another stream may follow, after zeros
                packed = self._unpacked.unused_data.lstrip(b"\0") or self._file.read(BLOCK_BYTES).lstrip(b"\0")
                if not packed:
                    return b""
                self._unpacked = lzma.LZMADecompressor(memlimit=MAX_MEMORY_BYTES)
            elif self._unpacked.needs_input and not (packed := self._file.read(BLOCK_BYTES)):
                raise EOFError("truncated xz file")
            if block := self._unpacked.decompress(packed, size):
                return block


UNPACKERS: Mapping[bytes, Callable[[io.BufferedReader], Any]] = {
    GZIP: lambda file: gzip.GzipFile(fileobj=file),
    BZIP2: bz2.BZ2File,
    XZ: _Xz,
    ZSTD: _Zstd,
}


class _Entry(tarfile.TarInfo):
    """A file in a tar. Its extension headers must be short, because the library reads them into memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type in EXTENSION_TYPES and self.size > MAX_NAME_BYTES:
            raise UnsupportedFile(f"the tar has an oversized file header: {DOWNLOAD} from its source")
        return super()._proc_member(archive)  # type: ignore[misc]


EXTENSION_TYPES = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


def _tar_members(name: str, unpacked: Member) -> Iterator[Member]:
    """Yield the files of a streamed tar. Raises UnsupportedFile when it reaches a refused one."""
    unlimited = _Allowance(name, 1 << 60, 1 << 60)
    try:
        with tarfile.open(fileobj=unpacked, mode="r|", tarinfo=_Entry) as archive:  # type: ignore[call-overload]
            for number, entry in enumerate(archive):
                if problem := _problem_in_tar(number, entry):
                    raise UnsupportedFile(
                        f"{name} {problem}: {DOWNLOAD} from its source, or unpack it and name the files"
                    )
                archive.members = []  # the library collects all entries otherwise
                if not _is_document(entry.name) and (stream := archive.extractfile(entry)):
                    yield Member(f"{name}/{printable(entry.name)}", stream, unlimited)
    except (*DAMAGE_ERRORS, LookupError, OverflowError, struct.error):
        unpacked.damage = DAMAGED
    if unpacked.damage:
        yield Member(name, io.BytesIO(), unlimited, damage=unpacked.damage)


def _is_document(name: str) -> bool:
    """Return whether the name is that of documentation."""
    return name.lower().endswith(DOCUMENTS)


def _problem_in_tar(number: int, entry: tarfile.TarInfo) -> str | None:
    if number >= MAX_FILES:
        return TOO_MANY
    if CLIMBS_OUT.search(entry.name):
        return f"contains a file whose name leads out of the archive ({printable(entry.name)[:100]})"
    if not (entry.isfile() or entry.isdir()) or entry.issparse():
        return f"contains a link or a device ({printable(entry.name)[:100]})"
    return None


def _zip_members(name: str, file: io.BufferedReader, packed_bytes: int) -> Iterator[Member]:
    allowance = _Allowance(name, packed_bytes)
    try:
        _check_directory_size(name, file, packed_bytes)
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error):
        raise UnsupportedFile(f"{name} is a truncated or damaged zip: {DOWNLOAD}") from None
    with archive:
        entries = archive.infolist()
        for entry in entries:
            if problem := _problem(archive, entry):
                raise UnsupportedFile(f"{name} {problem}: {DOWNLOAD} from its source, or unpack it and name the files")
        allowance.check(sum(entry.file_size for entry in entries))
        for entry in entries:
            if not (entry.is_dir() or _is_document(entry.filename)):
                yield _member(archive, f"{name}/{printable(entry.filename)}", entry, allowance)


def _check_directory_size(name: str, file: io.BufferedReader, packed_bytes: int) -> None:
    """Raise UnsupportedFile if a zip's directory would fill the memory: the library reads all of it."""
    file.seek(max(0, packed_bytes - 65_657))  # the longest comment, and the two records before it
    tail = file.read()
    end = tail.rindex(b"PK\x05\x06")
    size: int = struct.unpack_from("<I", tail, end + 12)[0]
    if tail[max(0, end - 20) :].startswith(b"PK\x06\x07"):  # a zip64 record of 56 bytes precedes this one
        size = struct.unpack_from("<Q", tail, end - 36)[0]
    if size > MAX_FILES * MAX_ENTRY_BYTES:
        raise UnsupportedFile(f"{name} {TOO_MANY}: {DOWNLOAD} from its source, or unpack it and name the files")


def _problem(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str | None:
    """Return why a file in a zip is refused, from its directory entry and first bytes, or None."""
    path, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
    if len(archive.filelist) > MAX_FILES:
        return TOO_MANY
    if CLIMBS_OUT.search(path):
        return f"contains a file whose name leads out of the archive ({printable(path)[:100]})"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return f"contains a link ({printable(path)[:100]})"
    if entry.flag_bits & 0x1:
        return "is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "uses an unsupported compression method"
    try:
        with archive.open(_unchecked(entry)) as stream:
            if stream.read(6).startswith(ARCHIVES):
                return f"contains another archive ({printable(path)[:100]})"
    except DAMAGE_ERRORS:
        pass  # reported when the file is read
    return None


def _member(archive: zipfile.ZipFile, name: str, entry: zipfile.ZipInfo, allowance: "_Allowance") -> Member:
    try:
        return Member(name, archive.open(_unchecked(entry)), allowance, entry.CRC)
    except DAMAGE_ERRORS:
        return Member(name, io.BytesIO(), allowance, damage=DAMAGED)


def _unchecked(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Return the entry without its checksum, so that damaged files yield their bytes. `Member` compares it instead."""
    entry = copy.copy(entry)
    del entry.CRC
    return entry


def open_file(path: Path) -> io.BufferedReader:
    """Open a file for reading bytes. Raises Unreadable if it is missing, not a file or not permitted."""
    name = printable(str(path))
    if path.exists() and not path.is_file():
        raise Unreadable(f"{name} is not a file: name the files of the export")
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise Unreadable(f"no such file: {name}. Check the path.") from None
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "invalid name"
        raise Unreadable(f"cannot read {name} ({problem}): check the path and its permissions") from None


def files_in(folder: Path) -> list[Path]:
    """Return the files of a folder and its subfolders, sorted by path.

    Links, documentation and names that begin with a dot are left out.
    """
    paths = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        candidates = (Path(parent, n) for n in names if not (n.startswith(".") or _is_document(n)))
        paths += [p for p in candidates if p.is_file() and not p.is_symlink()]
    return sorted(paths)


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, or of the names and bytes of a folder's files, in hex."""
    if path.is_dir():
        entries = (f"{inner.relative_to(path)}\x1f{fingerprint(inner)}\n" for inner in files_in(path))
        return hashlib.sha256("".join(entries).encode(errors="surrogateescape")).hexdigest()
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def printable(name: str) -> str:
    """Escape a name so that it fits on one line of any terminal and table."""
    return name if name.isprintable() else ascii(name)[1:-1]
