"""Damage files as transmission errors do, and as an attacker may."""

import bz2
import gzip
import lzma
import random
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import TypeAlias

import zstandard

from tests.fuzz.samples import LISTENS, lines, tarred, zip_of, zipped

Damage: TypeAlias = Callable[[random.Random, bytes], bytes]

TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*"|[\w.+-]+')
KEY = re.compile(rb'"(?:[^"\\\n]|\\.)*"\s*:')
VALUES = [
    *(b"null", b"true", b"[]", b"{}", b'""', b"-1", b"0", b"1.5", b"NaN", b"-Infinity", b"1e999", b"1e999999999"),
    *(b"9223372036854775808", b"-9223372036854775809", b"1e-400", b"9" * 400, b"9" * 5000, b"0." + b"3" * 5000),
    *(b"253402300799", b"253402300800", b"-62135596801", b"1695047940000", b'"1695047940"', b'"1_000"', b'" "'),
    *(b'"0001-01-01T00:00:00Z"', b'"9999-12-31T23:59:59.999999-14:00"', b'"2024-02-30"', b'"2016-12-31T23:59:60Z"'),
    *(b'"0000-00-00 00:00"', b'"9999-12-31 23:59"', b'"18 Sep 2023, 24:61"', b'"2023-09-18T14:39:00+99:99"'),
    *(b'"\\u0000"', b'"\\ud800"', b'"\\udc00\\ud83d"', b'"\\u202e"', b'"\xff\xfe"', b'"\xc3"', b'"\xed\xa0\x80"'),
    *(b'"' + b"x" * 3_000 + b'"', b'"' + b"x" * 200_000 + b'"', b'"' + b"x" * 1_200_000 + b'"', b'"a\\nb\\tc"'),
    *('"١٢٣"'.encode(), '"İ\u2028\x85"'.encode(), b'"../../etc/passwd"', b'"203.0.113.77"', b'"Mozilla/5.0 (X11)"'),
    *(b"[" * 300 + b"]" * 300, b"[" * 9000 + b"]" * 9000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b'[{"id": []}]'),
    *(b'{"type": "Note"}', b'{"type": ["Undo"], "object": {}}', b'[["a"], null, 7]', b'{"#text": {"a": 1}}'),
]
KEYS = [
    *(b"payload", b"track", b"playlist", b"scrobbles", b"orderedItems", b"recenttracks", b"type", b"object", b"actor"),
    *(b"event", b"timestamp", b"listened_at", b"score", b"user_name", b"user_id", b"id", b"published", b"date"),
]
PIECES = [
    *(b"\0", b'"', b"{", b"}", b"[", b"]", b",", b"\n", b"\r", b"\xff" * 4, b"\xef\xbb\xbf", b"\\", b"<", b"#", b"'"),
    *(b"<!DOCTYPE a>", b"&a;", b"&#0;", b"<track>" * 60, b"]]>", b"\t", b";", b"PAR1", b"PK\3\4", b"\x1f\x8b\x08"),
    *(b'{"playlist": {"track": [', b'"track": [', b'{"payload": {"listens": [', b'{"orderedItems": [', b"NaN"),
]
MAX_STRETCH_BYTES = 200  # of bytes that are repeated or lost


def another_value(dice: random.Random, data: bytes) -> bytes:
    """Replace a value, a key or a cell."""
    return _at_one_of(TOKEN, dice, data, lambda token: dice.choice(VALUES))


def another_key(dice: random.Random, data: bytes) -> bytes:
    """Replace or duplicate a key."""

    def change(key: bytes) -> bytes:
        new = dice.choice([b'"' + dice.choice(KEYS) + b'":', key])
        return new if dice.random() < 0.5 else new + b" " + dice.choice(VALUES) + b", " + key

    return _at_one_of(KEY, dice, data, change)


def a_bit(dice: random.Random, data: bytes) -> bytes:
    """Flip a bit."""
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def the_end(dice: random.Random, data: bytes) -> bytes:
    """Truncate the data."""
    return data[: dice.randrange(len(data))]


def a_piece(dice: random.Random, data: bytes) -> bytes:
    """Insert a piece, or overwrite bytes with it."""
    at = dice.randrange(len(data) + 1)
    piece = dice.choice(PIECES)
    return data[:at] + piece + data[at + dice.choice([0, 1, len(piece)]) :]


def a_stretch(dice: random.Random, data: bytes) -> bytes:
    """Remove or repeat some bytes."""
    at = dice.randrange(len(data))
    end = at + dice.randrange(MAX_STRETCH_BYTES)
    return data[:at] + data[at:end] * dice.choice([0, 2, 2, 50]) + data[end:]


def the_letters(dice: random.Random, data: bytes) -> bytes:
    """Write the text in another encoding."""
    return data.decode(errors="replace").encode(dice.choice(["utf-16", "utf-32-be", "utf-7", "latin-1"]), "replace")


def _at_one_of(pattern: re.Pattern[bytes], dice: random.Random, data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    matches = list(pattern.finditer(data))
    if not matches:
        return data
    match = dice.choice(matches)
    return data[: match.start()] + change(match[0]) + data[match.end() :]


TO_A_RECORD: tuple[Damage, ...] = (another_value, another_value, another_key, a_bit, the_end, a_stretch)
TO_A_FILE: tuple[Damage, ...] = (*TO_A_RECORD, a_piece, a_piece, the_letters)
TO_BYTES: tuple[Damage, ...] = (a_bit, the_end, a_piece, a_stretch)

PACKED: Mapping[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
    "zip": lambda data: zipped(data, "a"),
    "tar": lambda data: tarred(data, "a"),
    "tar.gz": lambda data: gzip.compress(tarred(data, "a")),
}
"""Packings that keep every record readable."""
NESTED: Mapping[str, Callable[[bytes], bytes]] = {
    "zip in a zip": lambda data: zipped(zipped(data), "a.zip"),
    "gz in a zip": lambda data: zipped(gzip.compress(data), "a.gz"),
    "gz in a gz": lambda data: gzip.compress(gzip.compress(data)),
    "zip in a tar": lambda data: tarred(zipped(data), "a.zip"),
    "out of the folder": lambda data: zipped(data, "../a"),
}


@cache
def bombs() -> Mapping[str, bytes]:
    """Return small files that unpack to, or contain, a huge record."""
    listen, much = lines(LISTENS), 1 << 28
    zeros = zip_of({"a": listen, "b": bytes(much)})
    return {
        "zip of zeros": zeros,
        "zip with false sizes": zeros.replace(much.to_bytes(4, "little"), b"\1\0\0\0"),
        "zip in zip of zeros": zipped(zeros, "a.zip"),
        "zip of 20,000 files": zip_of({str(n): b"" for n in range(20_000)}),
        "gz of spaces": gzip.compress(listen + b" " * much),
        "bz2 of newlines": bz2.compress(listen + b"\n" * much),
        "xz of brackets": lzma.compress(listen[:50] + b"[" * (much >> 1)),
        "zst of a string": zstandard.compress(b'[{"listened_at": 1, "track_metadata": "' + b"x" * much),
        "tar.gz of a name without end": gzip.compress(_named_without_end(much)),
        "brackets": b"[" * 3_000_000,
        "objects in objects": b'{"track":' * 500_000,
        "a line": b'{"listened_at": 1, "track_metadata": {"x": "' + b"x" * 20_000_000,
        "columns": b"artist,track,date" + b",x" * 2_000_000 + b"\n" + b"," * 2_000_000,
        "quotes": b"artist,track,date\n" + b'"a\n' * 300_000,
        "billion laughs": b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY %c "%b">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
        + b']><playlist xmlns="http://xspf.org/ns/0/"><title>&j;</title></playlist>',
        "xml in xml": b'<playlist xmlns="http://xspf.org/ns/0/">' + b"<a>" * 1_000_000,
        "xml of names": b'<playlist xmlns="http://xspf.org/ns/0/"><trackList><track a="' + b"x" * 20_000_000,
    }


def _named_without_end(much: int) -> bytes:
    data = bytearray(tarred(b"", "a"))
    data[124:136] = b"%011o\0" % much
    data[156:157] = b"L"
    data[148:156] = b"        "
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data[:512]) + bytes(much)
