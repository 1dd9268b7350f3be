"""Opens an export in place: a plain or packed file, or each file of a zip or tar; recognized by content, not by name.

A tar is read as it streams, packed or not: the public dumps come so and are larger than any disk should have to hold
twice. An archive comes from outside, so its directory is checked before anything is read: names that climb out, links,
encryption, archives inside it, too many files. Sizes are counted while reading, since a directory can lie. A damaged
file gives what precedes the damage.
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

MOST_FILES = 10_000  # an export has one per month or 16 MB
MOST_BYTES = 20 << 30  # unpacked: ten times the largest export we were told of
MOST_OF_A_DUMP = 2 << 40  # unpacked, of a tar: nothing of it is kept while it streams
MOST_RATIO = 200  # unpacked to packed: exports reach 30, deflate 1,032
HARMLESS = 64 << 20  # unpacked bytes below which no ratio matters

ZIP, GZIP, BZIP2, XZ, ZSTD = b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
TAR = slice(257, 262), b"ustar"
MOST_MEMORY = 128 << 20  # bytes that unpacking may need: what xz -9 and zstd --long ask for
BLOCK = 1 << 16  # bytes read of a packed file at once
LONGEST_NAME = 1 << 16  # bytes of what a tar says of a file beside its name
ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", GZIP, b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")
CLIMBS_OUT = re.compile(r"^/|^[A-Za-z]:|[\\\x00]|(?:^|/)\.\.(?:/|$)")
DOCUMENTS = (".md", ".rst", ".html", ".htm", ".pdf")  # beside exports, to be read by people: they may show a record
TOO_MANY = f"holds more than {MOST_FILES:,} files"
DAMAGES = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)
DIRECTORY_ENTRY = 2_048  # bytes, at most, of a file in a zip's directory: 46, its name and extra fields
DOWNLOAD = "download it again"
DAMAGED = f"the file is damaged here or shortly before: {DOWNLOAD} to have it whole"


class UnsupportedFile(TuttiError):
    """A file that gives nothing, for good: its content would have to change."""


class Unreadable(TuttiError):
    """A file that cannot be opened, now at least."""


class Member:
    """One file to read: its bytes end early where it is damaged, and `damage` then says so."""

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
        self.path = path  # of the bytes as they are, where they lie in a file of their own
        self._stream, self._allowance = stream, allowance
        self._expected, self._crc = crc, 0
        self._peeked = b""

    def peek(self, size: int) -> bytes:
        """The first bytes, to be read all the same."""
        while len(self._peeked) < size and (block := self._read(size - len(self._peeked))):
            self._peeked += block
        return self._peeked[:size]

    def read1(self, size: int, /) -> bytes:
        if self._peeked:
            block, self._peeked = self._peeked[:size], self._peeked[size:]
            return block
        return self._read(size)

    def read(self, size: int, /) -> bytes:
        """As many bytes, but for the end."""
        parts = []
        while size > 0 and (block := self.read1(size)):
            parts.append(block)
            size -= len(block)
        return b"".join(parts)

    def _read(self, size: int) -> bytes:
        try:
            block: bytes = self._stream.read1(size)  # type: ignore[union-attr]
        except DAMAGES:
            self.damage = DAMAGED
            return b""
        self._allowance.spend(len(block))
        self._crc = zlib.crc32(block, self._crc)
        if not block and self._expected not in (None, self._crc):
            self.damage = f"the checksum of the file does not match, some of it may be wrong: {DOWNLOAD}"
        return block


class _Allowance:
    """How much may still be unpacked."""

    def __init__(self, name: str, packed: int, most: int = MOST_BYTES) -> None:
        self._refusal = UnsupportedFile(f"{name} unpacks to far more than any export does: {DOWNLOAD} from its source")
        self._left = min(most, max(HARMLESS, MOST_RATIO * packed))

    def check(self, size: int) -> None:
        if size > self._left:
            raise self._refusal

    def spend(self, size: int) -> None:
        self.check(size)
        self._left -= size


def members(path: Path, name: str | None = None) -> Iterator[Member]:
    """The files in an export, each to be read before the next is asked for; `name` is what it is called.

    Of a folder those that lie in it and below; of several, those that are no documents.
    """
    name = name or shown(path.name)
    if path.is_dir():
        for inner in within(path):
            yield from members(inner, f"{name}/{shown(str(inner.relative_to(path)))}")
        return
    with opened(path) as file:
        magic, packed = file.read(6), path.stat().st_size
        unpack = next((how for start, how in PACKED.items() if magic.startswith(start)), None)
        is_zip = magic.startswith(ZIP) or (not unpack and not _is_tar(file) and zipfile.is_zipfile(file))
        file.seek(0)
        if is_zip:
            yield from _zipped(name, file, packed)
            return
        # A tar spends for its files, which are counted once.
        allowance = _Allowance(name, packed if unpack else 1 << 60, MOST_OF_A_DUMP)
        whole = Member(name, unpack(file) if unpack else file, allowance, path=None if unpack else path)
        if whole.peek(512)[TAR[0]] == TAR[1]:
            yield from _tarred(name, whole)
        else:
            yield whole


def _is_tar(file: io.BufferedReader) -> bool:
    file.seek(0)
    return file.read(512)[TAR[0]] == TAR[1]


class _Zstd:
    """What a zstd file unpacks to; where it is damaged, raises what other ways of packing do."""

    def __init__(self, file: io.BufferedReader) -> None:
        from zstandard import ZstdDecompressor

        self._stream = ZstdDecompressor(max_window_size=MOST_MEMORY).stream_reader(file, read_across_frames=True)

    def read1(self, size: int) -> bytes:
        from zstandard import ZstdError

        try:
            return self._stream.read1(size)
        except ZstdError as error:
            raise OSError(str(error)) from None


class _Xz:
    """What an xz file unpacks to, within MOST_MEMORY, which `lzma.open` does not bound."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._unpacked = lzma.LZMADecompressor(memlimit=MOST_MEMORY)

    def read1(self, size: int) -> bytes:
        while True:
            given = b""
            if self._unpacked.eof:  # another may follow, after zeros
                given = self._unpacked.unused_data.lstrip(b"\0") or self._file.read(BLOCK).lstrip(b"\0")
                if not given:
                    return b""
                self._unpacked = lzma.LZMADecompressor(memlimit=MOST_MEMORY)
            elif self._unpacked.needs_input and not (given := self._file.read(BLOCK)):
                raise EOFError("it was cut")
            if block := self._unpacked.decompress(given, size):
                return block


PACKED: Mapping[bytes, Callable[[io.BufferedReader], Any]] = {
    GZIP: lambda file: gzip.GzipFile(fileobj=file),
    BZIP2: bz2.BZ2File,
    XZ: _Xz,
    ZSTD: _Zstd,
}


class _Entry(tarfile.TarInfo):
    """A file in a tar. What is said of it beside its name is read whole, so it must be short."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type in BESIDE and self.size > LONGEST_NAME:
            raise UnsupportedFile(f"a tar that says more of its files than any does: {DOWNLOAD} from its source")
        return super()._proc_member(archive)  # type: ignore[misc]


BESIDE = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


def _tarred(name: str, whole: Member) -> Iterator[Member]:
    """The files of a tar as it streams by: what is wrong with one of them shows when it is reached."""
    free = _Allowance(name, 1 << 60, 1 << 60)
    try:
        with tarfile.open(fileobj=whole, mode="r|", tarinfo=_Entry) as archive:  # type: ignore[call-overload]
            for number, entry in enumerate(archive):
                if problem := _problem_in_tar(number, entry):
                    raise UnsupportedFile(
                        f"{name} {problem}: {DOWNLOAD} from its source, or unpack it and name the files"
                    )
                archive.members = []  # else it remembers all that went by
                if not _is_document(entry.name) and (stream := archive.extractfile(entry)):
                    yield Member(f"{name}/{shown(entry.name)}", stream, free)
    except (*DAMAGES, LookupError, OverflowError, struct.error):
        whole.damage = DAMAGED
    if whole.damage:
        yield Member(name, io.BytesIO(), free, damage=whole.damage)


def _is_document(name: str) -> bool:
    """Whether a file that lies among others is there to be read by people, as its name says."""
    return name.lower().endswith(DOCUMENTS)


def _problem_in_tar(number: int, entry: tarfile.TarInfo) -> str | None:
    if number >= MOST_FILES:
        return TOO_MANY
    if CLIMBS_OUT.search(entry.name):
        return f"holds a file whose name leads out of it ({shown(entry.name)[:100]})"
    if not (entry.isfile() or entry.isdir()) or entry.issparse():
        return f"holds a link or a device ({shown(entry.name)[:100]})"
    return None


def _zipped(name: str, file: io.BufferedReader, packed: int) -> Iterator[Member]:
    allowance = _Allowance(name, packed)
    try:
        _check_size_of_directory(name, file, packed)
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error):
        raise UnsupportedFile(f"{name} is a zip that was cut or damaged: {DOWNLOAD}") from None
    with archive:
        entries = archive.infolist()
        for entry in entries:
            if problem := _problem(archive, entry):
                raise UnsupportedFile(f"{name} {problem}: {DOWNLOAD} from its source, or unpack it and name the files")
        allowance.check(sum(entry.file_size for entry in entries))
        for entry in entries:
            if not (entry.is_dir() or _is_document(entry.filename)):
                yield _member(archive, f"{name}/{shown(entry.filename)}", entry, allowance)


def _check_size_of_directory(name: str, file: io.BufferedReader, packed: int) -> None:
    """Refuses a directory that would fill the memory: the library reads it whole."""
    file.seek(max(0, packed - 65_657))  # the longest comment, and the two records before it
    tail = file.read()
    end = tail.rindex(b"PK\x05\x06")
    size: int = struct.unpack_from("<I", tail, end + 12)[0]
    if tail[max(0, end - 20) :].startswith(b"PK\x06\x07"):  # a 64-bit record of 56 bytes stands before this one
        size = struct.unpack_from("<Q", tail, end - 36)[0]
    if size > MOST_FILES * DIRECTORY_ENTRY:
        raise UnsupportedFile(f"{name} {TOO_MANY}: {DOWNLOAD} from its source, or unpack it and name the files")


def _problem(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str | None:
    """What is wrong with a file in a zip, as far as its directory and first bytes tell."""
    path, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
    if len(archive.filelist) > MOST_FILES:
        return TOO_MANY
    if CLIMBS_OUT.search(path):
        return f"holds a file whose name leads out of it ({shown(path)[:100]})"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return f"holds a link ({shown(path)[:100]})"
    if entry.flag_bits & 0x1:
        return "is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed in an unusual way"
    try:
        with archive.open(_unchecked(entry)) as stream:
            if stream.read(6).startswith(ARCHIVES):
                return f"holds another archive ({shown(path)[:100]})"
    except DAMAGES:
        pass  # told when it is read
    return None


def _member(archive: zipfile.ZipFile, name: str, entry: zipfile.ZipInfo, allowance: "_Allowance") -> Member:
    try:
        return Member(name, archive.open(_unchecked(entry)), allowance, entry.CRC)
    except DAMAGES:
        return Member(name, io.BytesIO(), allowance, damage=DAMAGED)


def _unchecked(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """The entry without its checksum, for which the library would hold back the bytes; `Member` compares it."""
    entry = copy.copy(entry)
    del entry.CRC
    return entry


def opened(path: Path) -> io.BufferedReader:
    """A file to read its bytes; Unreadable if it cannot be."""
    name = shown(str(path))
    if path.exists() and not path.is_file():
        raise Unreadable(f"{name} is a folder or a device: name the files of the export")
    try:
        return path.open("rb")
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "no such name"
        raise Unreadable(f"{name} cannot be read ({problem}): check its name and that you may read it") from None


def within(folder: Path) -> list[Path]:
    """The files of a folder that a person names, in the order of their names.

    Links are not followed; documents, and what begins with a dot, are left out.
    """
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        paths = (Path(place, f) for f in files if not (f.startswith(".") or _is_document(f)))
        found += [p for p in paths if p.is_file() and not p.is_symlink()]
    return sorted(found)


def fingerprint(path: Path) -> str:
    """SHA-256 of the file's bytes, in hex; of a folder that of its files and their names."""
    if path.is_dir():
        told = (f"{inner.relative_to(path)}\x1f{fingerprint(inner)}\n" for inner in within(path))
        return hashlib.sha256("".join(told).encode(errors="surrogateescape")).hexdigest()
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shown(name: str) -> str:
    """A name on one line that any terminal and table can hold."""
    return name if name.isprintable() else ascii(name)[1:-1]
