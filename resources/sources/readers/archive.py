"""Open an export in place: a plain or compressed file, or each file of a zip or tar.

Layouts are recognized by content, not by name. A tar is read as a stream, compressed or not: the public dumps are tars
and too large to unpack to disk. `resources.archives` reads them within limits. Names that leave the folder, links and
nested archives are refused here. Of a damaged file the records before the damage are read.
"""

import hashlib
import io
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from resources import archives
from resources.archives import Allowance, Damaged, Refused
from resources.errors import TuttiError
from resources.text.printable import printable

CLIMBS_OUT = re.compile(r"^/|^[A-Za-z]:|[\\\x00]|(?:^|/)\.\.(?:/|$)")
DOCUMENTS = (".md", ".rst", ".html", ".htm", ".pdf")  # documentation beside exports, which may quote records
DOWNLOAD = "download it again"
DAMAGED = f"the file is damaged at or shortly before this record: {DOWNLOAD}"


class UnsupportedFile(TuttiError):
    """Raised for a file from which nothing can be imported unless its content changes."""


class Unreadable(TuttiError):
    """Raised for a file that cannot be opened at present."""


class Member(archives.Stream):
    """One file to read. If it is damaged its bytes end early and `damage` describes the damage."""

    def __init__(
        self,
        name: str,
        stream: archives.Readable,
        damage: str | None = None,
        path: Path | None = None,
    ):
        self.name, self.damage = name, damage
        self.path = path  # of the same bytes, if they are a file on disk
        self._stream = stream
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

    def _read(self, size: int) -> bytes:
        try:
            block = self._stream.read1(size)
        except (Damaged, OSError) as error:
            self.damage = self.damage or _damage(error)
            return b""
        except Refused as refused:
            raise unsupported(self.name, refused) from None
        return block


def _damage(error: Exception) -> str:
    """Describe damage to the user."""
    return f"the file {error} at or shortly before this record: {DOWNLOAD}" if isinstance(error, Damaged) else DAMAGED


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
        try:
            yield from _members(name, file, path)
        except Refused as refused:
            raise unsupported(name, refused) from None


def unsupported(name: str, refused: Refused) -> UnsupportedFile:
    """Return the error for a refused archive."""
    return UnsupportedFile(f"{name} {refused}: {DOWNLOAD} from its source, or unpack it and name the files")


def _members(name: str, file: io.BufferedReader, path: Path) -> Iterator[Member]:
    packed_bytes, head = path.stat().st_size, file.read(archives.HEAD_BYTES)
    compression = archives.compression_of(head)
    file.seek(0)
    if archives.is_zip(file, head):
        yield from _zip_members(name, file, Allowance(packed_bytes))
        return
    allowance = Allowance(packed_bytes, archives.MAX_TAR_BYTES)
    if compression:
        unpacked = Member(name, archives.unpack(file, compression, allowance))
    else:
        unpacked = Member(name, file, path=path)
    head = unpacked.peek(archives.HEAD_BYTES)
    if archives.is_tar(head):
        yield from _tar_members(name, unpacked, allowance)
        return
    if compression:
        _refuse_archive(head)
    yield unpacked


def _refuse_archive(head: bytes, name: str = "") -> None:
    if head.startswith(archives.ARCHIVES):
        raise Refused(f"contains another archive{name and f' ({printable(name)[:100]})'}")


def _tar_members(name: str, unpacked: Member, allowance: Allowance) -> Iterator[Member]:
    """Yield the files of a tar. Raises Refused when it reaches a refused one."""
    try:
        for entry in archives.tar_entries(unpacked, allowance):
            if problem := _problem_in_tar(entry.info):
                raise Refused(problem)
            if entry.info.isfile() and not _is_document(entry.info.name):
                member = Member(f"{name}/{printable(entry.info.name)}", entry.content)
                _refuse_archive(member.peek(archives.MAGIC_BYTES), entry.info.name)
                yield member
    except Damaged as error:
        unpacked.damage = unpacked.damage or _damage(error)
    if unpacked.damage:
        yield Member(name, io.BytesIO(), damage=unpacked.damage)


def _is_document(name: str) -> bool:
    """Return whether the name is that of documentation."""
    return name.lower().endswith(DOCUMENTS)


def _problem_in_tar(entry: tarfile.TarInfo) -> str | None:
    if CLIMBS_OUT.search(entry.name):
        return f"contains a file whose name leads out of the archive ({printable(entry.name)[:100]})"
    if not (entry.isfile() or entry.isdir()):
        return f"contains a link or a device ({printable(entry.name)[:100]})"
    return None


def _zip_members(name: str, file: io.BufferedReader, allowance: Allowance) -> Iterator[Member]:
    with archives.open_zip(file) as archive:
        entries = archive.infolist()
        for entry in entries:
            _check(archive, entry)
        allowance.check(sum(entry.file_size for entry in entries))
        for entry in entries:
            if not (entry.is_dir() or _is_document(entry.filename)):
                yield Member(f"{name}/{printable(entry.filename)}", archives.open_entry(archive, entry, allowance))


def _check(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Raise Refused for a file in a zip whose directory entry or first bytes are refused."""
    path, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
    if CLIMBS_OUT.search(path):
        raise Refused(f"contains a file whose name leads out of the archive ({printable(path)[:100]})")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused(f"contains a link ({printable(path)[:100]})")
    try:
        head = archives.open_entry(archive, entry, Allowance(0)).read(archives.MAGIC_BYTES)
    except Damaged:
        return  # reported when the file is read
    _refuse_archive(head, path)


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
