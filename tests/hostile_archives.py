"""Archives that an attacker writes: false sizes, loops, bombs. No reader may follow them."""

import gzip
import io
import lzma
import signal
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

BLOCK = 512


def entry(name: str, content: bytes = b"", size: int | None = None, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return a tar entry that may declare another size than its content's, in base 256 if it is not a usual one."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content)
    header = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    if size is not None:
        header[124:136] = (size % (1 << 96)).to_bytes(12, "big") if size < 0 else b"\x80" + size.to_bytes(11, "big")
    return _signed(header) + content + bytes(-len(content) % BLOCK)


def octal(name: str, field: bytes, content: bytes = b"") -> bytes:
    """Return a tar entry whose size is any text."""
    header = bytearray(entry(name))
    header[124:136] = field.ljust(12, b"\0")
    return _signed(header) + content + bytes(-len(content) % BLOCK)


def _signed(header: bytearray) -> bytes:
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def pax(key: str, value: str, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """Return a pax header with one record."""
    length = len(f" {key}={value}\n")
    length += len(str(length + len(str(length))))
    return entry("PaxHeaders/x", f"{length} {key}={value}\n".encode(), kind=kind)


END = bytes(2 * BLOCK)


def tars(good: bytes) -> dict[str, bytes]:
    """Return hostile tars by kind. In each, `good` is the content of the first file that can be read."""
    first, second = entry("good.jsonl", good), entry("later.jsonl", b'{"a": 1}\n')
    back = -BLOCK - len(first)  # from the second file's content to the first header
    return {
        "a negative size leads back to the first header": first + entry("b", size=back) + second + END,
        "a negative size leads back to itself": first + entry("b", size=-BLOCK) + END,
        "a negative size in octal": first + octal("b", b"-0000002000") + END,
        "a huge size at once": entry("good.jsonl", good, size=1 << 60) + END,
        "the largest size at once": entry("good.jsonl", good, size=(1 << 87) - 1) + END,
        "a huge size in the second file": first + entry("b", b"x", size=1 << 60) + second + END,
        "a size that no number is": first + octal("b", b"9z") + END,
        "a huge pax size": pax("size", str(1 << 60)) + first + END,
        "a huge pax size in the second file": first + pax("size", str(1 << 60)) + second + END,
        "a negative pax size": first + pax("size", str(back)) + second + END,
        "a pax size with too many digits": first + pax("size", "9" * 5_000) + second + END,
        "a pax size that no number is": first + pax("size", "١٢") + second + END,
        "a pax size for all files": first + pax("size", str(1 << 60), tarfile.XGLTYPE) + second + END,
        "a negative sparse size": first + pax("GNU.sparse.size", "-1") + pax("GNU.sparse.realsize", "-1") + second,
        "a sparse map without an end": first + pax("GNU.sparse.map", "0," * 9) + second + END,
        "an old sparse header": first + entry("b", size=-BLOCK, kind=tarfile.GNUTYPE_SPARSE) + END,
        "a huge long name": first + entry("././@LongLink", b"b", size=1 << 60, kind=tarfile.GNUTYPE_LONGNAME) + second,
        "a negative long name": first + entry("L", size=-BLOCK, kind=tarfile.GNUTYPE_LONGNAME) + second + END,
        "a negative pax header": first + entry("x", size=back, kind=tarfile.XHDTYPE) + second + END,
        "a pax record without a length": first + entry("x", b"0 size=1\n", kind=tarfile.XHDTYPE) + second + END,
        "a pax record longer than its header": first + entry("x", b"99 size=1\n", kind=tarfile.XHDTYPE) + second + END,
        "headers without an end": first + pax("comment", "x") * 2_000 + second + END,
        "a negative size of another kind": first + entry("b", size=-BLOCK, kind=b"Z") + END,
        "a header in the middle that is none": first + b"\xff" * BLOCK + second + END,
    }


def gzip_bomb(megabytes: int, depth: int = 2) -> bytes:
    """Return zeros, compressed `depth` times."""
    data = bytes(megabytes << 20)
    for _ in range(depth):
        data = gzip.compress(data, mtime=0)
    return data


def xz_bomb(megabytes: int) -> bytes:
    """Return compressed zeros."""
    return lzma.compress(bytes(megabytes << 20), preset=0)


def nested(content: bytes, depth: int) -> bytes:
    """Return a file in an archive in an archive, and so on: tars, zips and gzips in turn."""
    for level in range(depth):
        if level % 3 == 0:
            content = entry("a.jsonl", content) + END
        elif level % 3 == 1:
            content = zipped({"b.jsonl": content})
        else:
            content = gzip.compress(content, mtime=0)
    return content


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def overlapping_zip(entries: int, megabytes: int) -> bytes:
    """Return a zip of many files that are all the same bytes: zeros, compressed once."""
    data = zipped({"0": bytes(megabytes << 20)})
    at = data.index(b"PK\x01\x02")
    directory = data[at : data.index(b"PK\x05\x06")]
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, entries, entries, entries * len(directory), at, 0)
    return data[:at] + directory * entries + end


@contextmanager
def ending_within(seconds: int) -> Iterator[None]:
    """Fail unless the body ends in time. Only for code that would not end at all."""

    def fail(*_: int | FrameType | None) -> None:
        raise AssertionError(f"did not end within {seconds} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
