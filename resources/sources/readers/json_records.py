"""Read JSON records from a stream of bytes in bounded memory.

Reads arrays of objects, JSON lines, concatenated objects, and the arrays inside documents that services export
(`LISTS`). A broken record is returned with the reason, and the records after it are still read. In JSON lines the end
of the line ends a broken record. Elsewhere its closing brace does, or the next object that is `plausible` as a record.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol, TypeVar

MAX_RECORD_CHARS = 1 << 20  # ListenBrainz allows 10,240 bytes a listen, Spotify writes about 800
BLOCK_BYTES = 1 << 13  # read at once: the most that a damaged archive loses
NEAR_CHARS = 1 << 12  # most records are shorter
# A file that lost its beginning starts with the end of a record. A start longer than this many records is prose.
MAX_LEADING_RECORDS = 4
PROBED_LINES = 50  # examined to distinguish JSON lines from other layouts

FILE_CUT = "the file ends in the middle of this record: download it again"
LIST_CUT = "the file ends before its list does: download it again"
TOO_DEEP = "nested too deeply"
TOO_LONG = "longer than 1 MB"
NOT_UTF8 = "not UTF-8 text"
TEXT = "prose that quotes a record: import the file of records itself"

GAP = re.compile(r"[\s,\[\]\ufeff]*")  # between records: concatenated lists are read as one
LISTS = {
    ("payload",),  # ListenBrainz: what clients submit
    ("payload", "listens"),  # an answer of its API
    ("feedback",),
    ("playlists",),
    ("playlist", "track"),  # JSPF
    ("recenttracks", "track"),  # Last.fm and Libre.fm
    ("lovedtracks", "track"),
    ("track",),  # the same without its outer key, as one exporter writes it
    ("scrobbles",),  # Maloja and others
    ("orderedItems",),  # ActivityStreams: the outbox of an archive
}
"""The paths of the record arrays in documents that contain more than the array."""
SINGLE = {("recenttracks", "track"), ("lovedtracks", "track")}  # may contain one record instead of an array
PARENTS = {path[:1] for path in LISTS if len(path) > 1}
ROOTS = {path[0] for path in LISTS}
KEY = re.compile(r'\s*[{,]\s*"([^"\\]*)"\s*:\s*')
NEXT_KEY = re.compile(r'\s*,?\s*"([^"\\]*)"\s*:\s*')
END = re.compile(r"\s*\}")
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*+"?|[{}]')  # a JSON string has no newline, so a missing quote ends with its line
AFTER_RECORD = re.compile(r"\s*(?:[,\]{]|\Z)")
START = re.compile(r'(?<=[\s,\[\]}])\{\s*"')
BLANK = " \t\r\n\ufeff"
BLANK_LINES = re.compile(r"[ \t\r\n\ufeff]*\n")


Plausible = Callable[[dict[str, Any]], bool]
T = TypeVar("T")


class ByteStream(Protocol):
    """A stream to read records from. It returns b"" at the end."""

    def read1(self, size: int, /) -> bytes: ...


class Envelope:
    """The document around an array of records. Fields after the array are added once the array has been read."""

    def __init__(self, path: tuple[str, ...], header: dict[str, Any], single: bool = False) -> None:
        self.path, self.header, self.single = path, header, single
        self.open_lists = 0  # around the document
        self.empty = True


class Record(NamedTuple):
    """One record: its value, or the reason why it has none."""

    number: int  # line (from 1) in text tables and JSON lines, index (from 0) elsewhere
    text: str  # as written, at most MAX_RECORD_CHARS, with bytes that are not UTF-8 as lone surrogates
    value: dict[str, Any] | None
    reason: str | None = None
    envelope: Envelope | None = None
    is_line: bool = False  # whether `number` is a line number

    @property
    def position(self) -> str:
        """Describe where the record is in its file."""
        return f"line {self.number}" if self.is_line else f"record {self.number} of the array"


def records(stream: ByteStream, plausible: Plausible) -> Iterator[Record]:
    """Yield every record of a stream, valid or broken, in order."""
    window = _Window(stream)
    if _is_lines(window.text):
        return _lines(window)
    if _is_text(window.text, plausible):
        return iter([Record(0, window.text[:NEAR_CHARS], None, TEXT)])
    return _objects(window, plausible)


def parse_file(path: Path, key: str, parse: Callable[[dict[str, Any]], T]) -> Iterator[T | tuple[str, str]]:
    """Yield `parse(record)` for each record of a file, or the position of an invalid record and the reason.

    `key` is a key that valid records have.
    """
    with path.open("rb") as stream:
        for record in records(stream, lambda value: key in value):
            if record.value is None:
                yield record.position, record.reason or "not a record"
                continue
            try:
                yield parse(record.value)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                yield record.position, f"invalid record: {error!r}"


class _Window:
    """The text of a stream from `at` on. `fill` loads more than MAX_RECORD_CHARS of it, or up to the end."""

    def __init__(self, stream: ByteStream) -> None:
        self.text, self.at, self.ended, self.clean = "", 0, False, True
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self.fill()

    def fill(self) -> bool:
        """Load more text and return whether any was loaded. One character before `at` stays for START's lookbehind."""
        if self.ended or len(self.text) - self.at > MAX_RECORD_CHARS:
            return False
        start = max(self.at - 1, 0)
        parts = [self.text[start:]]
        missing = 2 * MAX_RECORD_CHARS - len(parts[0])
        while missing > 0 and not self.ended:
            block = self._stream.read1(BLOCK_BYTES)
            self.ended = not block
            parts.append(self._decoder.decode(block, final=self.ended))
            missing -= len(parts[-1])
        self.text, self.at = "".join(parts), self.at - start
        self.clean = _is_utf8(self.text)
        return True


def _decode(text: str, at: int, clean: bool) -> tuple[dict[str, Any] | None, int, str | None]:
    """Decode the object at a position. Return its value, its end (0 if unknown) and the reason if it is invalid."""
    try:
        value, end = DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        return None, 0, f"not JSON: {error.msg.removesuffix(' at')} at character {error.pos - at}"
    except RecursionError:
        return None, 0, TOO_DEEP
    except (ValueError, ArithmeticError) as error:
        return None, 0, str(error) if isinstance(error, _NotJson) else "a number with too many digits"
    if end - at > MAX_RECORD_CHARS:
        return None, end, TOO_LONG
    if not clean and not _is_utf8(text[at:end]):
        return None, end, NOT_UTF8
    if not isinstance(value, dict):
        return None, end if AFTER_RECORD.match(text, end) else 0, "not a JSON object"
    return value, end, None


def _lines(window: _Window) -> Iterator[Record]:
    number = 0
    while window.fill() or window.at < len(window.text):
        if blank := BLANK_LINES.match(window.text, window.at):  # skips millions of them at once
            number += blank[0].count("\n")
            window.at = blank.end()
            continue
        number += 1
        end = window.text.find("\n", window.at)
        terminated, end = end >= 0, end if end >= 0 else len(window.text)
        line = window.text[window.at : end].strip(BLANK)
        if len(line) > MAX_RECORD_CHARS or not (terminated or window.ended):
            yield Record(number, line[:MAX_RECORD_CHARS], None, TOO_LONG, is_line=True)
            end = _end_of_line(window, end)
        elif line:
            value, reached, reason = _decode(line, 0, window.clean)
            if value is not None and reached < len(line):
                value, reason = None, "more than one value on the line"
            if reason and not terminated and not _closing(line, 0, len(line)):
                reason = FILE_CUT
            yield Record(number, line, value, reason, is_line=True)
        window.at = min(end + 1, len(window.text))


def _end_of_line(window: _Window, end: int) -> int:
    """Skip the rest of a line that has no end before `end`, and return where it ends."""
    while end == len(window.text) and not window.ended:
        window.at = end
        window.fill()
        newline = window.text.find("\n", window.at)
        end = newline if newline >= 0 else len(window.text)
    return end


def _objects(window: _Window, plausible: Plausible) -> Iterator[Record]:
    number = open_lists = 0
    envelopes: list[Envelope] = []
    while True:
        gap = GAP.match(window.text, window.at)
        if gap and gap[0]:
            open_lists = max(0, open_lists + gap[0].count("[") - gap[0].count("]"))
            window.at = gap.end()
        if window.fill():
            continue
        if envelopes and open_lists <= envelopes[-1].open_lists and not envelopes[-1].single:
            envelope = envelopes.pop()
            end = _close(window.text, window.at, envelope)
            if not end and window.ended:  # the rest is ignored unless it contains a record
                end = _next(window.text, window.at, len(window.text), plausible)
                if not end:
                    yield Record(number, "", None, LIST_CUT, envelope)
                    return
            window.at = end or window.at
            if envelope.empty and plausible(envelope.header):
                yield Record(number, "", None, TOO_DEEP)  # a shallower one would have been decoded as a record
                number += 1
            continue
        if window.at == len(window.text):
            if open_lists:
                yield Record(number, "", None, LIST_CUT, envelopes[-1] if envelopes else None)
            return
        value, end, reason = _decode(window.text, window.at, window.clean)
        opened = _open(window.text, window.at) if value is None or _is_document(value) else None
        if opened and not plausible(value or opened[0].header):  # else a record with a list of the same name
            envelope, window.at = opened
            envelope.open_lists = open_lists
            open_lists += not envelope.single
            envelopes.append(envelope)
            continue
        parent = envelopes[-1] if envelopes else None
        if parent:
            parent.single = parent.empty = False
        if value is not None:
            yield Record(number, window.text[window.at : end], value, envelope=parent)
            window.at = end
        else:
            broken = Record(number, *_broken(window, end, reason, plausible), envelope=parent)
            yield broken
            if broken.reason == FILE_CUT:
                return
        number += 1


def _is_document(value: dict[str, Any]) -> bool:
    """Return whether an object looks like a document with records in it."""
    return any(isinstance(value[name], list) or (name,) in PARENTS for name in ROOTS & value.keys())


def _open(text: str, at: int) -> tuple[Envelope, int] | None:
    """Return the document that begins at `at` and where its records begin, or None if it has none."""
    header: dict[str, Any] = {}
    path: tuple[str, ...] = ()
    inner = header
    while key := KEY.match(text, at):
        key_path, at = (*path, key[1]), key.end()
        if key_path in LISTS and text.startswith("[", at):
            return Envelope(key_path, header), at + 1
        if key_path in SINGLE and text.startswith("{", at):
            return Envelope(key_path, header, single=True), at
        if key_path in PARENTS and text.startswith("{", at):
            path, inner[key[1]] = key_path, {}
            inner = inner[key[1]]
            continue
        try:
            inner[key[1]], at = DECODER.raw_decode(text, at)
        except (ValueError, ArithmeticError, RecursionError):
            return None
    return None


def _close(text: str, at: int, envelope: Envelope) -> int | None:
    """Add the fields after a document's array to its header. Return where it ends, or None if it is broken."""
    for depth in range(len(envelope.path) - 1, -1, -1):
        inner = envelope.header
        for name in envelope.path[:depth]:
            inner = inner[name]
        while key := NEXT_KEY.match(text, at):
            try:
                inner[key[1]], at = DECODER.raw_decode(text, key.end())
            except (ValueError, ArithmeticError, RecursionError):
                return None
        end = END.match(text, at)
        if not end:
            return None
        at = end.end()
    return at


def _broken(window: _Window, end: int, reason: str | None, plausible: Plausible) -> tuple[str, None, str | None]:
    """Return text and reason of the broken record at `window.at`, and move there to the next possible record."""
    start = window.at
    text = window.text[start : start + MAX_RECORD_CHARS]
    # A missing quote or brace can hide the end of a record. Then the next object that looks like a record ends it.
    # Near positions are searched before far ones: otherwise a file of broken records would take hours.
    closing, next_start, reach = end, 0, NEAR_CHARS
    while not (closing or next_start) and reach < 4 * MAX_RECORD_CHARS:
        limit = start + min(reach, MAX_RECORD_CHARS)
        closing = _closing(window.text, start, limit)
        next_start = _next(window.text, start + 1, closing or limit, plausible)
        reach *= 4
    if closing or next_start:
        window.at = next_start or closing
        return text[: window.at - start].rstrip(BLANK + ","), None, reason
    if window.ended and len(window.text) - start <= MAX_RECORD_CHARS:
        window.at = len(window.text)
        if text.startswith("{"):
            return text, None, FILE_CUT
        text = text.rstrip(BLANK + "]")  # the closing brackets belong to the list
        window.at = start + len(text)
        return text, None, reason
    while not next_start and window.at < len(window.text):
        window.at = min(window.at + MAX_RECORD_CHARS, len(window.text))
        window.fill()
        next_start = _next(window.text, window.at, window.at + MAX_RECORD_CHARS, plausible)
    window.at = next_start or len(window.text)
    return text, None, TOO_LONG


def _closing(text: str, start: int, limit: int) -> int:
    """Return where the object at `start` ends, or 0 unless its braces match and the next text can follow a record."""
    depth = 0
    for token in TOKEN.finditer(text, start, limit) if text[start] == "{" else ():
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if depth == 0:
            return token.end() if AFTER_RECORD.match(text, token.end()) else 0
    return 0


def _next(text: str, start: int, limit: int, plausible: Plausible) -> int:
    """Return where the first plausible record from `start` to `limit` begins, or 0 if there is none."""
    for match in START.finditer(text, start):
        if match.start() >= limit:
            break
        try:
            value, _ = DECODER.raw_decode(text, match.start())
        except (ValueError, ArithmeticError, RecursionError):
            continue
        if plausible(value):
            return match.start()
    return 0


def _is_lines(text: str) -> bool:
    """Return whether the beginning of a file is JSON lines: some line is an object outside of a list or document.

    Most lines must look like objects. If a list could begin, most lines must be valid objects.
    """
    text = text.lstrip(BLANK)
    if _open(text, 0):
        return False
    lines = [line.rstrip(BLANK) for line in text.split("\n", PROBED_LINES)[:PROBED_LINES] if line.strip(BLANK)]
    decoded = [(line, *_decode(line, 0, True)) for line in lines]
    objects = sum(value is not None and end == len(line) for line, value, end, _ in decoded)
    similar = objects if text.startswith("[") else sum(line.lstrip(BLANK).startswith("{") for line in lines)
    return objects > 0 and 2 * similar >= len(lines)


def _is_text(text: str, plausible: Plausible) -> bool:
    """Return whether the beginning of a file is prose that quotes records."""
    text = text.lstrip(BLANK)
    if text.startswith(("{", "[")):
        return False
    start = _next(text, 0, MAX_RECORD_CHARS, plausible)
    return start > MAX_LEADING_RECORDS * (_decode(text, start, True)[1] - start)


def _is_utf8(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


class _NotJson(ValueError):
    pass


def _refuse(literal: str) -> NoReturn:
    raise _NotJson(f"not JSON: {literal} is not a number")


DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse)  # a float would lose microseconds
