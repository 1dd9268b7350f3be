"""Opens a person's export in place: a plain file, a gzip, or each file of a zip; recognised by content, not by name.

An archive comes from outside, so its directory is checked before anything is read: names that climb out, links,
encryption, archives inside it, too many files. Sizes are counted while reading, since a directory can lie. A damaged
file gives what precedes the damage.
"""

import copy
import gzip
import hashlib
import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from resources.errors import TuttiError

MOST_FILES = 10_000  # an export has one per month or 16 MB
MOST_BYTES = 20 << 30  # unpacked: ten times the largest export we were told of
MOST_RATIO = 200  # unpacked to packed: exports reach 30, deflate 1,032
HARMLESS = 64 << 20  # unpacked bytes below which no ratio matters

ZIP, GZIP = b"PK", b"\x1f\x8b"
ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", GZIP, b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")
CLIMBS_OUT = re.compile(r"^/|^[A-Za-z]:|[\\\x00]|(?:^|/)\.\.(?:/|$)")
TOO_MANY = f"holds more than {MOST_FILES:,} files"
DAMAGES = (OSError, EOFError, RuntimeError, ValueError, zlib.error, zipfile.BadZipFile)
DIRECTORY_ENTRY = 2_048  # bytes, at most, of a file in a zip's directory: 46, its name and extra fields
DOWNLOAD = "download it again"
DAMAGED = f"the file is damaged here or shortly before: {DOWNLOAD} to have it whole"


class NoExport(TuttiError):
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
    ):
        self.name, self.damage = name, damage
        self._stream, self._allowance = stream, allowance
        self._expected, self._crc = crc, 0

    def read1(self, size: int, /) -> bytes:
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

    def __init__(self, name: str, packed: int) -> None:
        self._refusal = NoExport(f"{name} unpacks to far more than any export does: {DOWNLOAD} from its source")
        self._left = min(MOST_BYTES, max(HARMLESS, MOST_RATIO * packed))

    def check(self, size: int) -> None:
        if size > self._left:
            raise self._refusal

    def spend(self, size: int) -> None:
        self.check(size)
        self._left -= size


def members(path: Path, name: str | None = None) -> Iterator[Member]:
    """The files in an export, each to be read before the next is asked for; `name` is what it is called."""
    name = name or shown(path.name)
    with opened(path) as file:
        magic, packed = file.read(2), path.stat().st_size
        is_zip = magic == ZIP or zipfile.is_zipfile(file)
        file.seek(0)
        if is_zip:
            yield from _zipped(name, file, packed)
        elif magic == GZIP:
            with gzip.GzipFile(fileobj=file) as stream:
                yield Member(name, stream, _Allowance(name, packed))
        else:
            yield Member(name, file, _Allowance(name, 1 << 60))


def _zipped(name: str, file: io.BufferedReader, packed: int) -> Iterator[Member]:
    allowance = _Allowance(name, packed)
    try:
        _check_size_of_directory(name, file, packed)
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error):
        raise NoExport(f"{name} is a zip that was cut or damaged: {DOWNLOAD}") from None
    with archive:
        entries = archive.infolist()
        for entry in entries:
            if problem := _problem(archive, entry):
                raise NoExport(f"{name} {problem}: {DOWNLOAD} from its source, or unpack it and name the files")
        allowance.check(sum(entry.file_size for entry in entries))
        for entry in entries:
            if not entry.is_dir():
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
        raise NoExport(f"{name} {TOO_MANY}: {DOWNLOAD} from its source, or unpack it and name the files")


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


def fingerprint(path: Path) -> str:
    """SHA-256 of the file's bytes, in hex."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shown(name: str) -> str:
    """A name on one line that any terminal and table can hold."""
    return name if name.isprintable() else ascii(name)[1:-1]
