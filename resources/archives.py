"""Read archives and compressed files from outside: the only reader of tar, zip, gzip, bzip2, xz and zstd.

Imports, the eraser, the scanner and the reader of scores use it, so all of them apply the same checks:

- A tar is read forwards only, so a size cannot lead back to an earlier header. Sizes must be positive and inside the
  file. The library's own reader follows such sizes without an end.
- An `Allowance` limits the unpacked bytes, the files and the nesting. It counts what is read, not what is declared.
- Decompression needs at most MAX_MEMORY_BYTES, and `spooled` copies at most MAX_SPOOLED_BYTES to the disk.

`Refused` means that reading would be unsafe or is unsupported. `Damaged` means that the data ends here.
"""

import bz2
import contextlib
import copy
import gzip
import io
import lzma
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Protocol

from resources.errors import TuttiError

MAX_FILES = 10_000  # in an archive: an export has one per month or 16 MB
MAX_DEPTH = 5  # of archives in archives: a compressed tar has two
MAX_UNPACKED_BYTES = 20 << 30  # ten times the largest known export
MAX_TAR_BYTES = 2 << 40  # unpacked: a streamed tar needs no disk space
MAX_RATIO = 200  # unpacked to packed size: exports reach 30, deflate 1,032
FREE_BYTES = 64 << 20  # the ratio does not apply to fewer unpacked bytes
MAX_SPOOLED_BYTES = 20 << 30  # of one copy on the disk, which also takes at most half of the free space
MAX_MEMORY_BYTES = 128 << 20  # for unpacking: the need of xz -9 and zstd --long
MEMORY_BYTES = 32 << 20  # of a copy; a larger one is on the disk
BLOCK_BYTES = 1 << 16  # read at once
DAMAGED_BYTES = 1 << 13  # copied at once: the most that damage loses
MAX_HEADER_BYTES = 1 << 16  # of a tar header that extends another
MAX_EXTENSIONS = 8  # of one entry of a tar: programs write at most four
MAX_ENTRY_BYTES = 2_048  # of a file in a zip's directory: 46, its name and its extra fields

GZIP, BZIP2, XZ, ZSTD, ZIP = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
ZIP_END = b"PK\x05\x06"  # begins an empty zip
BZIP2_BLOCKS = b"1AY&SY", b"\x17rE8P\x90"  # the first block, or the end of an empty file
ARCHIVES = (ZIP, ZIP_END, GZIP, b"BZh", XZ[:5], b"7z\xbc\xaf", b"Rar!", ZSTD)
TAR = slice(257, 262), b"ustar"
HEAD_BYTES = 512  # decide the kind of a file
MAGIC_BYTES = 6  # decide whether a file is an archive other than a tar
TAR_BLOCK_BYTES = 512
TOO_MANY = f"contains more than {MAX_FILES:,} files"


class Refused(TuttiError):
    """Raised for an archive that is not read. The message is a predicate: "is encrypted"."""


class Damaged(ValueError):
    """Raised where the data of an archive ends early. The message is a predicate."""


class Truncated(Damaged):
    """Raised where the file itself ends, so that nothing unread follows."""


LIBRARY_ERRORS = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    struct.error,
    LookupError,
    OverflowError,
)
"""Raised by the libraries for damaged data."""


class Readable(Protocol):
    """A stream of bytes. It returns b"" at the end."""

    def read1(self, size: int, /) -> bytes: ...


class Allowance:
    """What may still be unpacked of one file, including the archives in it."""

    def __init__(self, packed_bytes: int, max_bytes: int = MAX_UNPACKED_BYTES) -> None:
        self._left = min(max_bytes, max(FREE_BYTES, MAX_RATIO * packed_bytes))
        self._files, self._depth = MAX_FILES, 0

    def check(self, size: int) -> None:
        """Raise Refused if `size` bytes are more than the rest."""
        if size > self._left:
            raise Refused("unpacks to far more bytes than any export")

    def spend(self, size: int) -> None:
        """Count unpacked bytes. Raises Refused if they are too many."""
        self.check(size)
        self._left -= size

    def count_file(self) -> None:
        """Count a file of an archive. Raises Refused if there are too many."""
        self._files -= 1
        if self._files < 0:
            raise Refused(TOO_MANY)

    def __enter__(self) -> None:
        """Enter an archive. Raises Refused if it is in too many others."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._depth -= 1
            raise Refused(f"has more than {MAX_DEPTH} archives in each other")

    def __exit__(self, *_: object) -> None:
        self._depth -= 1


class Stream:
    """Base of streams: `read` collects what `read1` returns."""

    def read1(self, size: int, /) -> bytes:
        """Read at least one byte and at most `size`; b"" at the end."""
        raise NotImplementedError

    def read(self, size: int = -1, /) -> bytes:
        """Read exactly `size` bytes, or fewer at the end."""
        return b"".join(_blocks(self, size))


def _blocks(stream: Readable, size: int) -> Iterator[bytes]:
    while size and (block := stream.read1(BLOCK_BYTES if size < 0 else size)):
        yield block
        size -= len(block) if size > 0 else 0


class Peeked(Stream):
    """A stream whose first bytes, `head`, can be seen before it is read."""

    def __init__(self, stream: Readable, size: int) -> None:
        self._stream = stream
        self._damage: Damaged | None = None
        self.head = b""
        try:
            for block in _blocks(stream, size):
                self.head += block
        except Damaged as error:
            self._damage = error
        self._held = self.head

    def read1(self, size: int, /) -> bytes:
        if self._held:
            block, self._held = self._held[:size], self._held[size:]
            return block
        if self._damage:
            raise self._damage
        return self._stream.read1(size)


# Compressed files


class Unpacked(Stream):
    """The unpacked bytes of a compressed file. Raises Damaged instead of the errors of the libraries."""

    def __init__(self, stream: Any, allowance: Allowance) -> None:
        self._stream, self._allowance = stream, allowance

    def read1(self, size: int, /) -> bytes:
        try:
            block: bytes = self._stream.read1(size)
        except EOFError:
            raise Truncated("is damaged (truncated)") from None
        except LIBRARY_ERRORS as error:
            raise Damaged(f"is damaged ({error})") from None
        self._allowance.spend(len(block))
        return block


class _Zstd:
    """The unpacked bytes of a zstd file. Raises OSError if it is damaged, like the other unpackers."""

    def __init__(self, file: IO[bytes]) -> None:
        from zstandard import ZstdDecompressor

        self._stream = ZstdDecompressor(max_window_size=MAX_MEMORY_BYTES).stream_reader(file, read_across_frames=True)

    def read1(self, size: int) -> bytes:
        from zstandard import ZstdError

        try:
            return self._stream.read1(size)
        except ZstdError as error:
            raise OSError(str(error)) from None


class _Streams:
    """The unpacked bytes of an xz or bzip2 file, which may be several in a row.

    The classes of the libraries ignore data after the first one that they cannot read, and have no limit of memory.
    """

    def __init__(self, file: IO[bytes], decompressor: Callable[[], Any]) -> None:
        self._file, self._new = file, decompressor
        self._unpacked = decompressor()

    def read1(self, size: int) -> bytes:
        while True:
            packed = b""
            if self._unpacked.eof:  # another stream may follow, after zeros
                packed = self._unpacked.unused_data.lstrip(b"\0")
                while not packed:
                    if not (block := self._file.read(BLOCK_BYTES)):
                        return b""
                    packed = block.lstrip(b"\0")
                self._unpacked = self._new()
            elif self._unpacked.needs_input and not (packed := self._file.read(BLOCK_BYTES)):
                raise EOFError
            unpacked: bytes = self._unpacked.decompress(packed, size)
            if unpacked:
                return unpacked


UNPACKERS: Mapping[bytes, Callable[[IO[bytes]], Any]] = {
    GZIP: lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    BZIP2: lambda file: _Streams(file, bz2.BZ2Decompressor),
    XZ: lambda file: _Streams(file, lambda: lzma.LZMADecompressor(memlimit=MAX_MEMORY_BYTES)),
    ZSTD: _Zstd,
}


def compression_of(head: bytes) -> bytes | None:
    """Return the key in `UNPACKERS` of a file that begins with `head`, or None if it is not compressed."""
    magic = next((magic for magic in UNPACKERS if head.startswith(magic)), None)
    return None if magic == BZIP2 and not head[4:].startswith(BZIP2_BLOCKS) else magic


def unpack(file: IO[bytes], magic: bytes, allowance: Allowance) -> Unpacked:
    """Return the unpacked bytes of a compressed file. `magic` is a key of `UNPACKERS`."""
    return Unpacked(UNPACKERS[magic](file), allowance)


# Tars


def is_tar(head: bytes) -> bool:
    """Return whether a file that begins with `head` is a tar."""
    return head[TAR[0]] == TAR[1]


@dataclass(frozen=True)
class TarEntry:
    """A file or another entry of a tar, with the names of its extension headers."""

    info: tarfile.TarInfo
    content: "_Content"  # to be read before the next entry


class _Content(Stream):
    """The next `size` bytes of a stream."""

    def __init__(self, stream: Readable, size: int) -> None:
        self._stream, self.size, self.left = stream, size, size

    def read1(self, size: int, /) -> bytes:
        if not self.left or not size:
            return b""
        block = self._stream.read1(min(size, self.left))
        if not block:
            raise Truncated(f"ends {self.left:,} bytes before its last file does")
        self.left -= len(block)
        return block

    def skip(self) -> None:
        """Read the rest."""
        while self.read1(BLOCK_BYTES):
            pass


def tar_entries(stream: Readable, allowance: Allowance, past_end: bool = False) -> Iterator[TarEntry]:
    """Yield the entries of a tar. With `past_end`, also those after its end, as of tars in a row.

    Raises Refused for oversized headers and too many entries, Damaged if no entry can begin where one should.
    """
    fields: dict[str, str] = {}  # of the next entry
    extensions = 0
    while True:
        block = _Content(stream, TAR_BLOCK_BYTES)
        try:
            header = block.read(TAR_BLOCK_BYTES)
        except Truncated:
            if block.left == TAR_BLOCK_BYTES:  # some programs omit the zeros at the end
                return
            raise
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            if past_end:
                continue
            return
        except LIBRARY_ERRORS:
            raise Damaged("has a damaged file header") from None
        if info.type in EXTENSIONS:
            extensions += 1
            if extensions > MAX_EXTENSIONS:
                raise Refused("has too many file headers")
            fields |= _extension(stream, info)
            continue
        allowance.count_file()
        _extend(info, fields)
        fields, extensions = {}, 0
        has_content = info.isreg() or info.type not in tarfile.SUPPORTED_TYPES
        content = _Content(stream, _size(info.size) if has_content else 0)
        yield TarEntry(info, content)
        content.skip()
        _skip_padding(stream, content.size)


EXTENSIONS = {
    tarfile.GNUTYPE_LONGNAME: "path",
    tarfile.GNUTYPE_LONGLINK: "linkpath",
    tarfile.XHDTYPE: "",
    tarfile.SOLARIS_XHDTYPE: "",
    tarfile.XGLTYPE: "",
}
"""The types of headers that extend the next one, by the field of GNU's. The others contain pax records."""


def _extension(stream: Readable, info: tarfile.TarInfo) -> dict[str, str]:
    """Return the fields of an extension header."""
    if _size(info.size) > MAX_HEADER_BYTES:
        raise Refused("has an oversized file header")
    data = _Content(stream, info.size).read(info.size)
    _skip_padding(stream, info.size)
    if field := EXTENSIONS[info.type]:
        return {field: data.partition(b"\0")[0].decode("utf-8", "surrogateescape")}
    fields = dict(_pax_records(data))
    if info.type == tarfile.XGLTYPE:  # for all following entries: comments and times, but no file's own fields
        if fields.keys() & {"path", "linkpath", "size"} or any(key.startswith("GNU.sparse.") for key in fields):
            raise Refused("declares the name or size of all files at once")
        return {}
    return fields


def _pax_records(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the records of a pax header: the length of the record, a space, a key, "=", a value and a newline."""
    at = 0
    while at < len(data) and data[at]:
        digits, space, _ = data[at : at + 8].partition(b" ")
        length = int(digits) if digits.isdigit() and space else 0
        key, equals, value = data[at + len(digits) + 1 : at + length].partition(b"=")
        if length > len(data) - at or not (key and equals and value.endswith(b"\n")):
            raise Damaged("has a damaged file header")
        yield key.decode("utf-8", "surrogateescape"), value[:-1].decode("utf-8", "surrogateescape")
        at += length


def _extend(info: tarfile.TarInfo, fields: Mapping[str, str]) -> None:
    """Apply the fields of extension headers to an entry."""
    if info.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse.") for key in fields):
        raise Refused("contains a sparse file")
    info.name = fields.get("path", info.name).rstrip("/")
    info.linkname = fields.get("linkpath", info.linkname)
    if size := fields.get("size"):
        if not (size.isascii() and size.isdigit() and len(size) < 20):
            raise Damaged(f"declares a file of {size[:20]!r} bytes")
        info.size = int(size)


def _size(size: int) -> int:
    if size < 0:
        raise Damaged(f"declares a file of {size:,} bytes")
    return size


def _skip_padding(stream: Readable, size: int) -> None:
    """Skip the bytes that fill the last block of a file. A tar may end without them."""
    with contextlib.suppress(Truncated):
        _Content(stream, -size % TAR_BLOCK_BYTES).skip()


# Zips


def is_zip(file: IO[bytes], head: bytes) -> bool:
    """Return whether a file that begins with `head` is a zip, also after other data. Do not move in the file."""
    if head.startswith((ZIP, ZIP_END)):
        return True
    if compression_of(head) or is_tar(head):
        return False
    at = file.tell()
    try:
        return zipfile.is_zipfile(file)
    finally:
        file.seek(at)


def open_zip(file: IO[bytes]) -> zipfile.ZipFile:
    """Open a zip. Raises Refused if it is damaged, has too many files or one that cannot be read safely.

    The library reads the whole directory, so its size is checked before.
    """
    try:
        _check_directory_size(file)
        archive = zipfile.ZipFile(file)
    except (*LIBRARY_ERRORS, NotImplementedError):
        raise Refused("is a truncated or damaged zip") from None
    if len(archive.filelist) > MAX_FILES:
        raise Refused(TOO_MANY)
    for entry in archive.filelist:
        if entry.flag_bits & 0x1:
            raise Refused("is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others unpack without a limit
            raise Refused("uses an unsupported compression method")
    return archive


def _check_directory_size(file: IO[bytes]) -> None:
    """Raise Refused if a zip's directory would fill the memory."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 65_657))  # the longest comment, and the two records before it
    tail = file.read()
    end = tail.rindex(ZIP_END)
    directory: int = struct.unpack_from("<I", tail, end + 12)[0]
    if tail[max(0, end - 20) :].startswith(b"PK\x06\x07"):  # a zip64 record of 56 bytes precedes this one
        directory = struct.unpack_from("<Q", tail, end - 36)[0]
    if directory > MAX_FILES * MAX_ENTRY_BYTES:
        raise Refused(TOO_MANY)


def open_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, allowance: Allowance) -> Unpacked:
    """Open a file in a zip. It raises Damaged at its end if the checksum is wrong: the library would lose bytes."""
    unchecked = copy.copy(entry)
    del unchecked.CRC
    try:
        return Unpacked(_Entry(archive.open(unchecked), entry.CRC), allowance)
    except LIBRARY_ERRORS:
        return Unpacked(_Entry(io.BytesIO(), -1), allowance)


class _Entry:
    """A file in a zip."""

    def __init__(self, stream: Any, crc: int) -> None:
        self._stream, self._expected, self._crc = stream, crc, 0

    def read1(self, size: int) -> bytes:
        if self._expected < 0:
            raise OSError("no file where the directory says")
        block: bytes = self._stream.read1(size)
        self._crc = zlib.crc32(block, self._crc)
        if size and not block and self._crc != self._expected:
            raise OSError("wrong checksum")
        return block


# Copies


def spooled(stream: Readable) -> tuple[IO[bytes], Damaged | None]:
    """Copy a stream to a seekable file, in memory if it is small. Return it at its beginning, and why it ends early.

    The caller closes it. Raises Refused if the copy would take too much of the disk.
    """
    copied: Any = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115
    damage, size, limit = None, 0, MEMORY_BYTES
    try:
        while block := stream.read1(DAMAGED_BYTES):
            size += len(block)
            if size > limit:
                limit = min(MAX_SPOOLED_BYTES, shutil.disk_usage(tempfile.gettempdir()).free // 2)
                if size > limit:
                    raise Refused(f"needs a copy of more than {limit:,} bytes on the disk")
            _write(copied, block)
    except Damaged as error:
        damage = error
    except BaseException:
        copied.close()
        raise
    copied.seek(0)
    return copied, damage


def _write(file: IO[bytes], block: bytes) -> None:
    """Write to a copy. A full disk must not look like the end of the data."""
    try:
        file.write(block)
    except OSError as error:
        raise Refused(f"cannot be copied to {tempfile.gettempdir()} ({error.strerror})") from None
