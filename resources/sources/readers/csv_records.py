"""Read the records of a CSV table of listens.

Fields are separated by commas, semicolons or tabs. A line of headings is optional if the columns are artist, release,
title and time. Comment lines may precede it. Headings are matched regardless of case and order. A broken record is
returned with the reason, and the records after it are still read. An unclosed quote loses only its own line.
"""

import codecs
import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from resources.sources.readers.json_records import (
    BLOCK_BYTES,
    FILE_CUT,
    MAX_RECORD_CHARS,
    NOT_UTF8,
    TOO_LONG,
    ByteStream,
    Record,
)

DELIMITERS = ",;\t"
ARTIST = ("artist", "artist_name", "artistname", "artist name", "track artist")
TITLE = ("track", "title", "track_name", "trackname", "track name", "track title", "song", "name")
RELEASE = ("album", "release", "album_name", "album name", "albumname", "release_name", "album title")
TIME = (
    "uts", "timestamp", "timems", "time", "date", "utc_time", "date_uts", "uts_timestamp", "unix_timestamp", "datetime",
    "scrobbled_at", "listened_at", "played_at", "scrobble time", "date/time",
)  # fmt: skip
"""Headings of times, the most exact first: a number precedes a formatted time."""
DEFAULT_HEADINGS = {3: ("artist", "track", "date"), 4: ("artist", "album", "track", "date")}  # by number of columns
A_TIME = re.compile(r"[0-9]{9,13}|[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4},? [0-9]{2}:[0-9]{2}.*|[0-9]{4}-[0-9]{2}-[0-9]{2}.*")
COMMENT = ("#", "+ACM-")  # the second is "#" in UTF-7, as a spreadsheet writes it
UTF7 = re.compile(r"\+[A-Za-z0-9/]*-")
MAX_RECORD_LINES = 100  # a longer quoted field is an unclosed quote
MAX_COMMENT_LINES = 50  # before the headings


class Table(NamedTuple):
    """The layout of a table."""

    delimiter: str
    headings: tuple[str, ...]
    skipped: int  # lines before the first record
    utf7: bool = False
    listener: str | None = None  # named by a heading


def sniff(head: bytes) -> Table | None:
    """Return the layout of a file from its first bytes, or None if it is not a table of listens."""
    text = codecs.getincrementaldecoder("utf-8-sig")("replace").decode(head)
    utf7 = text.lstrip().startswith("+ACM-")
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines[:MAX_COMMENT_LINES]):
        for delimiter in DELIMITERS:
            if table := _with_headings(_fields(line, delimiter), delimiter, number + 1, utf7):
                return table
        if line.strip() and not line.startswith(COMMENT):
            return _without_headings(lines[number:], number)
    return None


def records(stream: ByteStream, table: Table) -> Iterator[Record]:
    """Yield every record of a table, valid or broken, in order, as values by heading."""
    lines = Lines(stream)
    for _ in range(table.skipped):
        lines.take()
    while (line := lines.take()) is not None:
        if not line.strip("\r\n \t" + table.delimiter):
            continue
        number, text, terminated = lines.number, line, line.endswith(("\n", "\r"))
        if len(line) > MAX_RECORD_CHARS:
            yield Record(number, line[:MAX_RECORD_CHARS], None, TOO_LONG, is_line=True)
            continue
        row, text, reason = _record(lines, line, table.delimiter)
        if row is None or len(row) != len(table.headings):
            reason = reason or f"{len(row or ())} columns instead of the table's {len(table.headings)}"
            yield Record(number, text, None, reason if terminated else FILE_CUT, is_line=True)
        elif any("\udc80" <= letter <= "\udcff" for letter in text):
            yield Record(number, text, None, NOT_UTF8, is_line=True)
        else:
            yield Record(number, text, _value(row, table), is_line=True)


def _value(row: Sequence[str], table: Table) -> dict[str, Any]:
    if table.utf7:
        row = [UTF7.sub(from_utf7, field) for field in row]
    value = dict(zip(table.headings, row, strict=True))
    return value | {"user_name": table.listener} if table.listener else value


def from_utf7(match: re.Match[str]) -> str:
    try:
        return match[0].encode("ascii").decode("utf-7")
    except UnicodeDecodeError:
        return match[0]


def _with_headings(fields: Sequence[str], delimiter: str, skipped: int, utf7: bool) -> Table | None:
    """Return the table with these headings, or None if they are not headings. One may name the listener: `Date#ada`."""
    listener, headings = None, []
    for field in fields:
        heading, _, suffix = field.strip().partition("#")
        headings.append(heading.strip().casefold())
        listener = listener or suffix.strip() or None
    if len(set(headings)) == len(headings) and all(set(headings) & set(names) for names in (ARTIST, TITLE, TIME)):
        return Table(delimiter, tuple(headings), skipped, utf7, listener)
    return None


def _without_headings(lines: Sequence[str], skipped: int) -> Table | None:
    """Return the table that begins with these records, or None if the last column is not a time."""
    for delimiter in DELIMITERS:
        for line in lines[:MAX_COMMENT_LINES]:
            fields = _fields(line, delimiter)
            if len(fields) in DEFAULT_HEADINGS and A_TIME.fullmatch(fields[-1].strip()):
                return Table(delimiter, DEFAULT_HEADINGS[len(fields)], skipped)
    return None


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _record(lines: "Lines", first: str, delimiter: str) -> tuple[list[str] | None, str, str | None]:
    """Return the record that begins with a line, its text and the reason if it is broken.

    The lines after the first of a broken record are put back.
    """
    taken = [first]

    def feed() -> Iterator[str]:
        yield first
        while len(taken) < MAX_RECORD_LINES and sum(map(len, taken)) < MAX_RECORD_CHARS:
            if (line := lines.take()) is None:
                return
            taken.append(line)
            yield line

    try:
        row = next(csv.reader(feed(), delimiter=delimiter, strict=True))
    except csv.Error as error:
        lines.put_back(taken[1:])
        message = str(error)
        reason = "a quote is not closed" if "unexpected end of data" in message else f"not CSV: {message}"
        return None, first, reason
    return row, "".join(taken), None


class Lines:
    """The lines of a stream, with their line ends, and the number of the last one taken."""

    def __init__(self, stream: ByteStream) -> None:
        self.number = 0
        self._stream, self._waiting = stream, deque[str]()
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._rest, self._ended = "", False

    def take(self) -> str | None:
        """Return the next line, or None after the last. A line over MAX_RECORD_CHARS is cut."""
        while not self._waiting and not self._ended:
            self._read()
        if not self._waiting:
            return None
        self.number += 1
        return self._waiting.popleft()

    def put_back(self, lines: Sequence[str]) -> None:
        """Return lines to the stream."""
        self._waiting.extendleft(reversed(lines))
        self.number -= len(lines)

    def _read(self) -> None:
        block = self._stream.read1(BLOCK_BYTES)
        self._ended = not block
        *lines, self._rest = (self._rest + self._decoder.decode(block, final=self._ended)).split("\n")
        self._waiting.extend(line + "\n" for line in lines)
        if self._ended and self._rest:
            self._waiting.append(self._rest)
        elif len(self._rest) > MAX_RECORD_CHARS:
            self._waiting.append(self._rest[: MAX_RECORD_CHARS + 1] + "\n")
            self._rest = ""
            self._skip_line()

    def _skip_line(self) -> None:
        """Discard the rest of a line."""
        while not self._ended:
            block = self._stream.read1(BLOCK_BYTES)
            self._ended = not block
            _, newline, self._rest = self._decoder.decode(block, final=self._ended).partition("\n")
            if newline:
                *lines, self._rest = self._rest.split("\n")
                self._waiting.extend(line + "\n" for line in lines)
                return
