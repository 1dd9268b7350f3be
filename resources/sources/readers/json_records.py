"""JSON records out of a stream of bytes, one after the other, whatever lies between them.

Reads lists of objects, JSON lines, objects written one after the other, and the lists inside documents that services
hand out (`LISTS`), in bounded memory. A record that is broken comes out with the reason, and the ones after it come
out whole: in JSON lines a line ends it; elsewhere its closing brace does, or the next object that is `plausible` as a
record of the file.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol, TypeVar

LONGEST = 1 << 20  # characters of a record; ListenBrainz allows a listen 10,240 bytes, Spotify writes about 800
BLOCK = 1 << 13  # bytes read at once: what a damaged archive can take with it
NEAR = 1 << 12  # characters: most records end within
STRAY = 4  # times as long as a record may be what stands before it: the end of another, where a file lost its beginning
PROBED = 50  # lines looked at to tell JSON lines from other layouts

CUT = "the file ends in the middle of this record: it was cut, download it again to have the rest"
UNENDED = "the file ends where its list goes on: it was cut, download it again to have the rest"
TOO_DEEP = "nested deeper than any listen"
TOO_LONG = "longer than 1 MB: no listen is"
NOT_UTF8 = "not UTF-8 text"
TEXT = "a text that shows a record, and no file of records"

GAP = re.compile(r"[\s,\[\]\ufeff]*")  # between records; lists joined end to end read as one
LISTS = {
    ("payload",),  # ListenBrainz: what clients submit
    ("payload", "listens"),  # what its API answers
    ("feedback",),
    ("playlists",),
    ("playlist", "track"),  # JSPF
    ("recenttracks", "track"),  # Last.fm and Libre.fm
    ("lovedtracks", "track"),
    ("track",),  # the same without its name, as one exporter keeps it
    ("scrobbles",),  # Maloja and others
    ("orderedItems",),  # ActivityStreams: the outbox of an archive
}
"""Where the records are in documents that are more than a list: the keys that lead there."""
ALONE = {("recenttracks", "track"), ("lovedtracks", "track")}  # which give one record without a list around it
INNER = {path[:1] for path in LISTS if len(path) > 1}
ROOTS = {path[0] for path in LISTS}
KEY = re.compile(r'\s*[{,]\s*"([^"\\]*)"\s*:\s*')
NEXT_KEY = re.compile(r'\s*,?\s*"([^"\\]*)"\s*:\s*')
END = re.compile(r"\s*\}")
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*+"?|[{}]')  # no string of JSON holds a newline: a lost quote ends with its line
CLOSED = re.compile(r"\s*(?:[,\]{]|\Z)")
START = re.compile(r'(?<=[\s,\[\]}])\{\s*"')
BLANK = " \t\r\n\ufeff"
BLANK_LINES = re.compile(r"[ \t\r\n\ufeff]*\n")


Plausible = Callable[[dict[str, Any]], bool]
T = TypeVar("T")


class Bytes(Protocol):
    """What records are read from: b"" is the end."""

    def read1(self, size: int, /) -> bytes: ...


class Envelope:
    """What stands around a list of records in a document. What follows the list is known once it has been read."""

    def __init__(self, path: tuple[str, ...], header: dict[str, Any], alone: bool = False) -> None:
        self.path, self.header, self.alone = path, header, alone
        self.lists = 0  # how many lists are open around it
        self.empty = True


class Record(NamedTuple):
    """One record: its value, or the reason why it has none."""

    number: int  # line (from 1) in JSON lines, index (from 0) elsewhere
    text: str  # as written, at most LONGEST characters; bytes that are not UTF-8 as lone surrogates
    value: dict[str, Any] | None
    reason: str | None = None
    around: Envelope | None = None


def records(stream: Bytes, plausible: Plausible) -> Iterator[Record]:
    """Every record of a stream, in order, good or broken."""
    window = _Window(stream)
    if _is_lines(window.text):
        return _lines(window)
    if _is_text(window.text, plausible):
        return iter([Record(0, window.text[:NEAR], None, TEXT)])
    return _objects(window, plausible)


def parsed(path: Path, telling: str, parse: Callable[[dict[str, Any]], T]) -> Iterator[T | tuple[int, str]]:
    """What `parse` makes of each record of a file, or the record's number and why it is none.

    `telling` is a key that such records have.
    """
    with path.open("rb") as stream:
        for record in records(stream, lambda value: telling in value):
            if record.value is None:
                yield record.number, record.reason or "no record"
                continue
            try:
                yield parse(record.value)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                yield record.number, f"not of the form expected: {error!r}"


class _Window:
    """The text of a stream from `at` on: `fill` sees to more than LONGEST characters of it, or to its end."""

    def __init__(self, stream: Bytes) -> None:
        self.text, self.at, self.ended, self.clean = "", 0, False, True
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self.fill()

    def fill(self) -> bool:
        """Whether there was something to read; keeps one character before `at` for START to look back on."""
        if self.ended or len(self.text) - self.at > LONGEST:
            return False
        kept = max(self.at - 1, 0)
        parts = [self.text[kept:]]
        missing = 2 * LONGEST - len(parts[0])
        while missing > 0 and not self.ended:
            block = self._stream.read1(BLOCK)
            self.ended = not block
            parts.append(self._decoder.decode(block, final=self.ended))
            missing -= len(parts[-1])
        self.text, self.at = "".join(parts), self.at - kept
        self.clean = _is_utf8(self.text)
        return True


def _decode(text: str, at: int, clean: bool) -> tuple[dict[str, Any] | None, int, str | None]:
    """The object at a place, its end (0 if unknown) and, if it is none or not sound, the reason."""
    try:
        value, end = DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        return None, 0, f"not JSON: {error.msg.removesuffix(' at')} at character {error.pos - at}"
    except RecursionError:
        return None, 0, TOO_DEEP
    except (ValueError, ArithmeticError) as error:
        return None, 0, str(error) if isinstance(error, _NotJson) else "a number with too many digits"
    if end - at > LONGEST:
        return None, end, TOO_LONG
    if not clean and not _is_utf8(text[at:end]):
        return None, end, NOT_UTF8
    if not isinstance(value, dict):
        return None, end if CLOSED.match(text, end) else 0, "not an object"
    return value, end, None


def _lines(window: _Window) -> Iterator[Record]:
    number = 0
    while window.fill() or window.at < len(window.text):
        if blank := BLANK_LINES.match(window.text, window.at):  # millions of them cost nothing
            number += blank[0].count("\n")
            window.at = blank.end()
            continue
        number += 1
        end = window.text.find("\n", window.at)
        whole, end = end >= 0, end if end >= 0 else len(window.text)
        line = window.text[window.at : end].strip(BLANK)
        if len(line) > LONGEST or not (whole or window.ended):
            yield Record(number, line[:LONGEST], None, TOO_LONG)
            end = _end_of_line(window, end)
        elif line:
            value, reached, reason = _decode(line, 0, window.clean)
            if value is not None and reached < len(line):
                value, reason = None, "more than one value on the line"
            if reason and not whole and not _closing(line, 0, len(line)):
                reason = CUT
            yield Record(number, line, value, reason)
        window.at = min(end + 1, len(window.text))


def _end_of_line(window: _Window, end: int) -> int:
    """Where the line ends that has not ended before `end`, keeping nothing of it."""
    while end == len(window.text) and not window.ended:
        window.at = end
        window.fill()
        newline = window.text.find("\n", window.at)
        end = newline if newline >= 0 else len(window.text)
    return end


def _objects(window: _Window, plausible: Plausible) -> Iterator[Record]:
    number = open_lists = 0
    within: list[Envelope] = []
    while True:
        gap = GAP.match(window.text, window.at)
        if gap and gap[0]:
            open_lists = max(0, open_lists + gap[0].count("[") - gap[0].count("]"))
            window.at = gap.end()
        if window.fill():
            continue
        if within and open_lists <= within[-1].lists and not within[-1].alone:
            envelope = within.pop()
            end = _closed(window.text, window.at, envelope)
            if not end and window.ended:  # what is left says nothing, unless a record is in it
                end = _next(window.text, window.at, len(window.text), plausible)
                if not end:
                    yield Record(number, "", None, UNENDED, envelope)
                    return
            window.at = end or window.at
            if envelope.empty and plausible(envelope.header):
                yield Record(number, "", None, TOO_DEEP)  # or else it had been seen to be a record
                number += 1
            continue
        if window.at == len(window.text):
            if open_lists:
                yield Record(number, "", None, UNENDED, within[-1] if within else None)
            return
        value, end, reason = _decode(window.text, window.at, window.clean)
        opened = _opened(window.text, window.at) if value is None or _surrounds(value) else None
        if opened and not plausible(value or opened[0].header):  # else a record that holds such a list as well
            envelope, window.at = opened
            envelope.lists = open_lists
            open_lists += not envelope.alone
            within.append(envelope)
            continue
        around = within[-1] if within else None
        if around:
            around.alone = around.empty = False
        if value is not None:
            yield Record(number, window.text[window.at : end], value, around=around)
            window.at = end
        else:
            broken = Record(number, *_broken(window, end, reason, plausible), around=around)
            yield broken
            if broken.reason == CUT:
                return
        number += 1


def _surrounds(value: dict[str, Any]) -> bool:
    """Whether an object looks like a document with records in it."""
    return any(isinstance(value[name], list) or (name,) in INNER for name in ROOTS & value.keys())


def _opened(text: str, at: int) -> tuple[Envelope, int] | None:
    """The document that begins at a place, and where its records do; None if there are none in it."""
    header: dict[str, Any] = {}
    path: tuple[str, ...] = ()
    inner = header
    while key := KEY.match(text, at):
        found, at = (*path, key[1]), key.end()
        if found in LISTS and text.startswith("[", at):
            return Envelope(found, header), at + 1
        if found in ALONE and text.startswith("{", at):
            return Envelope(found, header, alone=True), at
        if found in INNER and text.startswith("{", at):
            path, inner[key[1]] = found, {}
            inner = inner[key[1]]
            continue
        try:
            inner[key[1]], at = DECODER.raw_decode(text, at)
        except (ValueError, ArithmeticError, RecursionError):
            return None
    return None


def _closed(text: str, at: int, envelope: Envelope) -> int | None:
    """Where a document ends whose list has ended; the rest of what it says goes to its header. None if it is broken."""
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
    """Text and reason of the broken record at `at`, and `at` moves to where the next may begin."""
    start = window.at
    text = window.text[start : start + LONGEST]
    # A quote or brace too few can hide the end of a record; then an object that looks like one ends it. Near places
    # are searched before far ones, or a file of broken records would take hours.
    closing, found, reach = end, 0, NEAR
    while not (closing or found) and reach < 4 * LONGEST:
        limit = start + min(reach, LONGEST)
        closing = _closing(window.text, start, limit)
        found = _next(window.text, start + 1, closing or limit, plausible)
        reach *= 4
    if closing or found:
        window.at = found or closing
        return text[: window.at - start].rstrip(BLANK + ","), None, reason
    if window.ended and len(window.text) - start <= LONGEST:
        window.at = len(window.text)
        if text.startswith("{"):
            return text, None, CUT
        text = text.rstrip(BLANK + "]")  # what closes the list is no part of a stray word
        window.at = start + len(text)
        return text, None, reason
    while not found and window.at < len(window.text):
        window.at = min(window.at + LONGEST, len(window.text))
        window.fill()
        found = _next(window.text, window.at, window.at + LONGEST, plausible)
    window.at = found or len(window.text)
    return text, None, TOO_LONG


def _closing(text: str, start: int, limit: int) -> int:
    """Where the object at `start` ends: 0 unless its braces match and what follows can follow a record."""
    depth = 0
    for token in TOKEN.finditer(text, start, limit) if text[start] == "{" else ():
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if depth == 0:
            return token.end() if CLOSED.match(text, token.end()) else 0
    return 0


def _next(text: str, start: int, limit: int, plausible: Plausible) -> int:
    """Where between two places a plausible record begins, 0 if nowhere."""
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
    """Whether a file that begins so is JSON lines: some line is an object, and no list or payload surrounds it.

    Most lines must look like objects, or, where a list could begin, be some.
    """
    text = text.lstrip(BLANK)
    if _opened(text, 0):
        return False
    lines = [line.rstrip(BLANK) for line in text.split("\n", PROBED)[:PROBED] if line.strip(BLANK)]
    decoded = [(line, *_decode(line, 0, True)) for line in lines]
    objects = sum(value is not None and end == len(line) for line, value, end, _ in decoded)
    alike = objects if text.startswith("[") else sum(line.lstrip(BLANK).startswith("{") for line in lines)
    return objects > 0 and 2 * alike >= len(lines)


def _is_text(text: str, plausible: Plausible) -> bool:
    """Whether a file that begins so begins with much else than JSON, and only shows records."""
    text = text.lstrip(BLANK)
    if text.startswith(("{", "[")):
        return False
    begins = _next(text, 0, LONGEST, plausible)
    return begins > STRAY * (_decode(text, begins, True)[1] - begins)


def _is_utf8(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


class _NotJson(ValueError):
    pass


def _refuse(literal: str) -> NoReturn:
    raise _NotJson(f"not JSON: {literal} is no number")


DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse)  # a float would blur microseconds
