"""Read JSON records from a stream of bytes in bounded memory.

Reads arrays of objects, JSON lines, concatenated objects, and the arrays inside documents that services export
(`LISTS`). A broken record is returned with the reason, and the records after it are still read. In JSON lines the end
of the line ends a broken record. Elsewhere its closing brace does, or the next object that is `plausible` as a record.

The time is linear in the size of the file, however it is broken. `_Work` counts what failed attempts cost, and permits
only so much for each character.
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
FIRST_REACH = 1 << 7  # searched at first for the end of a broken record
# Work is counted in characters that failed attempts decode: about 30 million a second.
FREE_WORK = 1 << 20  # of a file
WORK_PER_CHAR = 8  # an ordinary broken record costs its length two or three times
ATTEMPT_WORK = 64  # of an attempt at nothing
TINY_CHARS = 64  # an object with fewer cannot be a record
RECORD_WORK = 1_500  # of reporting a broken record alone, instead of with its neighbors: all in 190 characters
# A file that lost its beginning starts with the end of a record. A start longer than this many records is prose.
MAX_LEADING_RECORDS = 4
MAX_DOCUMENTS = 8  # in each other; services export one
LONGEST_TOKEN = 16  # that may be cut in two, other than a string: an escaped pair of surrogates
PROBED_LINES = 50  # examined to distinguish JSON lines from other layouts

FILE_CUT = "the file ends in the middle of this record: download it again"
LIST_CUT = "the file ends before its list does: download it again"
TOO_DEEP = "nested too deeply"
TOO_LONG = "longer than 1 MB"
NOT_UTF8 = "not UTF-8 text: save it as UTF-8"
MANY = "part of many broken records in a row"
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
NEXT_KEY = re.compile(r'\s*+,?\s*+"([^"\\]*)"\s*:\s*')
END = re.compile(r"\s*\}")
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*+"?|[{}]')  # a JSON string has no newline, so a missing quote ends with its line
AFTER_RECORD = re.compile(r"\s*(?:[,\]{]|\Z)")
START = re.compile(r'(?<=[\s,\[\]}])\{(?=\s*+"(?:[^"\\\n]|\\.)*+"\s*+:)')
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
        return _lines(window, plausible)
    if _is_text(window, plausible):
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


class _Undecodable(Exception):
    """Raised for text that is not a value. `reached` is the number of its characters that say so."""

    def __init__(self, reason: str, reached: int) -> None:
        super().__init__(reason)
        self.reached = reached


class _Work:
    """The work that failed attempts have done in a file, in characters. More is permitted with each character read."""

    def __init__(self) -> None:
        self._done = -FREE_WORK

    def left(self, at: int) -> int:
        """Return the work that is permitted up to a position in the file."""
        self._done = min(self._done, at * WORK_PER_CHAR)  # else the next sound record would pay for an expensive one
        return at * WORK_PER_CHAR - self._done

    def add(self, chars: int) -> None:
        self._done += chars


class _Window:
    """The text of a stream from `at` on. `fill` loads more than MAX_RECORD_CHARS of it, or up to the end."""

    def __init__(self, stream: ByteStream) -> None:
        self.text, self.at, self.ended, self.clean = "", 0, False, True
        self.work = _Work()
        self._start = 0  # of `text` in the file
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
        self._start += start
        self.clean = _is_utf8(self.text)
        return True

    def work_left(self, at: int) -> int:
        """Return the work that is permitted up to a position in the text."""
        return self.work.left(self._start + at)

    def decode(self, at: int) -> tuple[Any, int]:
        """Decode the value at a position, and return it and its end. Raises _Undecodable if there is none.

        A part is decoded first, because an error costs the library as much time as the text before it is long.
        """
        left = self.work_left(at)
        size = min(NEAR_CHARS, max(left, FIRST_REACH))
        while True:
            part = self.text[at : at + size]
            cut = len(part) == size
            reached = len(part)
            try:
                value, end = DECODER.raw_decode(part)
                if end < len(part) or not cut:
                    return value, at + end
                reason = MANY  # unless more text follows: a number may have more digits
            except json.JSONDecodeError as error:
                reason = f"not JSON: {error.msg.removesuffix(' at')} at character {error.pos}"
                if not error.msg.startswith("Unterminated"):
                    reached = error.pos
                cut = cut and reached > len(part) - LONGEST_TOKEN
            except RecursionError:
                reason, cut = TOO_DEEP, False
            except (ValueError, ArithmeticError) as error:
                reason, cut = str(error) if isinstance(error, _NotJson) else "a number with too many digits", False
            self.work.add(reached + ATTEMPT_WORK)
            left -= reached + ATTEMPT_WORK
            size *= 8
            if not cut or left < size:
                raise _Undecodable(reason, reached)


def _decode(window: _Window, at: int) -> tuple[dict[str, Any] | None, int, str | None, int]:
    """Decode the object at a position in the window.

    Return its value, its end (0 if unknown), the reason if it is invalid, and how far it was read.
    """
    try:
        value, end = window.decode(at)
    except _Undecodable as error:
        return None, 0, str(error), at + error.reached + 1
    return *_checked(window.text, at, value, end, window.clean), end


def _checked(text: str, at: int, value: object, end: int, clean: bool) -> tuple[dict[str, Any] | None, int, str | None]:
    """Return a value, its end (0 if unknown) and the reason if it cannot be a record."""
    if end - at > MAX_RECORD_CHARS:
        return None, end, TOO_LONG
    if not clean and not _is_utf8(text[at:end]):
        return None, end, NOT_UTF8
    if not isinstance(value, dict):
        return None, end if AFTER_RECORD.match(text, end) else 0, "not a JSON object"
    return value, end, None


def _decode_line(line: str, clean: bool) -> tuple[dict[str, Any] | None, int, str | None]:
    """Decode the object at the beginning of a line, as `_checked` does."""
    try:
        value, end = DECODER.raw_decode(line)
    except json.JSONDecodeError as error:
        return None, 0, f"not JSON: {error.msg.removesuffix(' at')} at character {error.pos}"
    except RecursionError:
        return None, 0, TOO_DEEP
    except (ValueError, ArithmeticError) as error:
        return None, 0, str(error) if isinstance(error, _NotJson) else "a number with too many digits"
    return _checked(line, 0, value, end, clean)


def _lines(window: _Window, plausible: Plausible) -> Iterator[Record]:
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
            value, reached, reason = _decode_line(line, window.clean)
            if value is not None and reached < len(line):
                value, reason = None, "more than one value on the line"
            if reason and not terminated and not _closing(line, 0, len(line)):
                reason = FILE_CUT
            if reason and window.work_left(window.at) < RECORD_WORK:
                end = _end_of_lines(window, end, plausible)
                lines = window.text[window.at : end]
                yield Record(number, lines, None, MANY, is_line=True)
                number += lines.count("\n")
            else:
                window.work.add(RECORD_WORK if reason else 0)
                yield Record(number, line, value, reason, is_line=True)
        window.at = min(end + 1, len(window.text))


def _end_of_lines(window: _Window, end: int, plausible: Plausible) -> int:
    """Return where the last of some broken lines ends: before a record, and within NEAR_CHARS."""
    limit = window.at + NEAR_CHARS
    start = _next(window, end, limit, plausible) or limit
    return max(end, window.text.rfind("\n", end, start))


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
            end = _close(window, window.at, envelope)
            if not end and window.ended:  # the rest is ignored unless it contains a record
                end = _next(window, window.at, len(window.text), plausible)
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
        value, end, reason, reached = _decode(window, window.at)
        if value is not None and end - window.at < TINY_CHARS and not plausible(value):
            if window.work_left(window.at) < RECORD_WORK:
                value, reason = None, MANY
            else:
                window.work.add(RECORD_WORK)
        opened = None
        if reason != MANY and len(envelopes) < MAX_DOCUMENTS and (value is None or _is_document(value)):
            opened = _open(window.text[window.at : reached])
        if opened and not plausible(value or opened[0].header):  # else a record with a list of the same name
            envelope, begins = opened
            window.at += begins
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


def _open(text: str) -> tuple[Envelope, int] | None:
    """Return the document that a text begins with and where its records begin, or None if it has none."""
    at = 0
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


def _close(window: _Window, at: int, envelope: Envelope) -> int | None:
    """Add the fields after a document's array to its header. Return where it ends, or None if it is broken."""
    for depth in range(len(envelope.path) - 1, -1, -1):
        inner = envelope.header
        for name in envelope.path[:depth]:
            inner = inner[name]
        while key := NEXT_KEY.match(window.text, at):
            try:
                inner[key[1]], at = window.decode(key.end())
            except _Undecodable:
                return None
        end = END.match(window.text, at)
        if not end:
            return None
        at = end.end()
    return at


def _broken(window: _Window, end: int, reason: str | None, plausible: Plausible) -> tuple[str, None, str | None]:
    """Return text and reason of the broken record at `window.at`, and move there to the next possible record."""
    start, text = window.at, window.text
    if window.work_left(start) < RECORD_WORK:  # so many are broken that they are not worth a record each
        limit = min(start + NEAR_CHARS, len(text))
        window.at = _next(window, start + 1, limit, plausible) or limit
        return text[start : window.at].rstrip(BLANK + ","), None, MANY
    window.work.add(RECORD_WORK)
    # A missing quote or brace can hide the end of a record. Then the next object that looks like a record ends it.
    # Near positions are searched before far ones: otherwise a file of broken records would take hours.
    closing, next_start, reach, searched = end, 0, FIRST_REACH, start + 1
    if closing:
        next_start = _next(window, searched, closing, plausible)
    while not (closing or next_start) and searched < min(len(text), start + MAX_RECORD_CHARS):
        limit = start + min(reach, MAX_RECORD_CHARS)
        closing = _closing(text, start, limit)
        next_start = _next(window, searched, closing or limit, plausible)
        searched, reach = limit, 4 * reach
    if closing or next_start:
        window.at = next_start or closing
        return text[start : min(window.at, start + MAX_RECORD_CHARS)].rstrip(BLANK + ","), None, reason
    rest = text[start : start + MAX_RECORD_CHARS]
    if window.ended and len(text) - start <= MAX_RECORD_CHARS:
        window.at = len(text)
        if rest.startswith("{"):
            return rest, None, FILE_CUT
        rest = rest.rstrip(BLANK + "]")  # the closing brackets belong to the list
        window.at = start + len(rest)
        return rest, None, reason
    while not next_start and window.at < len(window.text):
        window.at = min(window.at + MAX_RECORD_CHARS, len(window.text))
        window.fill()
        next_start = _next(window, window.at, window.at + MAX_RECORD_CHARS, plausible)
    window.at = next_start or len(window.text)
    return rest, None, TOO_LONG


def _closing(text: str, start: int, limit: int) -> int:
    """Return where the object at `start` ends, or 0 unless its braces match and the next text can follow a record."""
    depth = 0
    for match in TOKEN.finditer(text, start, limit) if text[start] == "{" else ():
        brace = match[0]
        if brace == "{":
            depth += 1
        elif brace == "}":
            depth -= 1
        if depth == 0:
            return match.end() if AFTER_RECORD.match(text, match.end()) else 0
    return 0


def _next(window: _Window, start: int, limit: int, plausible: Plausible) -> int:
    """Return where the first plausible record from `start` to `limit` begins, or 0 if there is none.

    A record is missed if the failed attempts in the file before it cost more than they may.
    """
    for match in START.finditer(window.text, start, limit + FIRST_REACH):  # not further: this is called often
        at = match.start()
        if at >= limit:
            break
        if window.work_left(at) < ATTEMPT_WORK + FIRST_REACH:
            continue
        try:
            value, end = window.decode(at)
        except _Undecodable:
            continue
        if plausible(value):
            return at
        window.work.add(end - at + ATTEMPT_WORK)
    return 0


def _is_lines(text: str) -> bool:
    """Return whether the beginning of a file is JSON lines: some line is an object outside of a list or document.

    Most lines must look like objects. If a list could begin, most lines must be valid objects.
    """
    text = text.lstrip(BLANK)
    if _open(text):
        return False
    lines = [line.rstrip(BLANK) for line in text.split("\n", PROBED_LINES)[:PROBED_LINES] if line.strip(BLANK)]
    decoded = [(line, *_decode_line(line, True)) for line in lines]
    objects = sum(value is not None and end == len(line) for line, value, end, _ in decoded)
    similar = objects if text.startswith("[") else sum(line.lstrip(BLANK).startswith("{") for line in lines)
    return objects > 0 and 2 * similar >= len(lines)


def _is_text(window: _Window, plausible: Plausible) -> bool:
    """Return whether the beginning of a file is prose that quotes records."""
    text = window.text.lstrip(BLANK)
    if text.startswith(("{", "[")):
        return False
    start = _next(window, 0, MAX_RECORD_CHARS, plausible)
    blank = len(window.text) - len(text)
    return start > 0 and start - blank > MAX_LEADING_RECORDS * (window.decode(start)[1] - start)


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
