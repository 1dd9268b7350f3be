"""Records out of a table of text, one after the other: what exporters of listens write as CSV.

Reads commas, semicolons and tabs, with a line of headings or (artist, release, title, time) without one, after comment
lines if there are any. Headings are told apart by what they name, not by their case or order. A record that is broken
comes out with the reason, and the ones after it come out whole: a quote that is never closed costs its own line only.
"""

import codecs
import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from resources.sources.readers.json_records import BLOCK, CUT, LONGEST, NOT_UTF8, TOO_LONG, Bytes, Record

DELIMITERS = ",;\t"
ARTIST = ("artist", "artist_name", "artistname", "artist name", "track artist")
TITLE = ("track", "title", "track_name", "trackname", "track name", "track title", "song", "name")
RELEASE = ("album", "release", "album_name", "album name", "albumname", "release_name", "album title")
TIME = (
    "uts", "timestamp", "timems", "time", "date", "utc_time", "date_uts", "uts_timestamp", "unix_timestamp", "datetime",
    "scrobbled_at", "listened_at", "played_at", "scrobble time", "date/time",
)  # fmt: skip
"""Headings, the surest first: one that is always a number goes before one that is written for people."""
BARE = {3: ("artist", "track", "date"), 4: ("artist", "album", "track", "date")}  # headings of a table without any
WHEN = re.compile(r"[0-9]{9,13}|[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4},? [0-9]{2}:[0-9]{2}.*|[0-9]{4}-[0-9]{2}-[0-9]{2}.*")
COMMENT = ("#", "+ACM-")  # the second is the first in UTF-7, as some spreadsheet left it
UTF7 = re.compile(r"\+[A-Za-z0-9/]*-")
MOST_LINES = 100  # of one record: a quote open for longer was never meant to be
MOST_COMMENTS = 50  # lines before the headings


class Table(NamedTuple):
    """How a table is written."""

    delimiter: str
    headings: tuple[str, ...]
    skipped: int  # lines before the first record
    utf7: bool = False
    listener: str | None = None  # whom a heading names


def sniff(head: bytes) -> Table | None:
    """How a file that begins so is written, if it is a table of listens."""
    text = codecs.getincrementaldecoder("utf-8-sig")("replace").decode(head)
    utf7 = text.lstrip().startswith("+ACM-")
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines[:MOST_COMMENTS]):
        for delimiter in DELIMITERS:
            if table := _headed(_fields(line, delimiter), delimiter, number + 1, utf7):
                return table
        if line.strip() and not line.startswith(COMMENT):
            return _bare(lines[number:], number)
    return None


def records(stream: Bytes, table: Table) -> Iterator[Record]:
    """Every record of a table, in order, good or broken, by its line: what each column holds, under its heading."""
    lines = Lines(stream)
    for _ in range(table.skipped):
        lines.take()
    while (line := lines.take()) is not None:
        if not line.strip("\r\n \t" + table.delimiter):
            continue
        number, text, whole = lines.number, line, line.endswith(("\n", "\r"))
        if len(line) > LONGEST:
            yield Record(number, line[:LONGEST], None, TOO_LONG)
            continue
        row, text, reason = _record(lines, line, table.delimiter)
        if row is None or len(row) != len(table.headings):
            reason = reason or f"{len(row or ())} columns where there are {len(table.headings)} headings"
            yield Record(number, text, None, reason if whole else CUT)
        elif any("\udc80" <= letter <= "\udcff" for letter in text):
            yield Record(number, text, None, NOT_UTF8)
        else:
            yield Record(number, text, _value(row, table))


def _value(row: Sequence[str], table: Table) -> dict[str, Any]:
    if table.utf7:
        row = [UTF7.sub(_from_utf7, field) for field in row]
    value = dict(zip(table.headings, row, strict=True))
    return value | {"user_name": table.listener} if table.listener else value


def _from_utf7(match: re.Match[str]) -> str:
    try:
        return match[0].encode("ascii").decode("utf-7")
    except UnicodeDecodeError:
        return match[0]


def _headed(fields: Sequence[str], delimiter: str, skipped: int, utf7: bool) -> Table | None:
    """The table that begins with these headings, if they are some. One may name the listener: `Date#ada`."""
    listener, headings = None, []
    for field in fields:
        heading, _, named = field.strip().partition("#")
        headings.append(heading.strip().casefold())
        listener = listener or named.strip() or None
    if len(set(headings)) == len(headings) and all(set(headings) & set(names) for names in (ARTIST, TITLE, TIME)):
        return Table(delimiter, tuple(headings), skipped, utf7, listener)
    return None


def _bare(lines: Sequence[str], skipped: int) -> Table | None:
    """The table of which these are the first records, if the last column is a time."""
    for delimiter in DELIMITERS:
        for line in lines[:MOST_COMMENTS]:
            fields = _fields(line, delimiter)
            if len(fields) in BARE and WHEN.fullmatch(fields[-1].strip()):
                return Table(delimiter, BARE[len(fields)], skipped)
    return None


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _record(lines: "Lines", first: str, delimiter: str) -> tuple[list[str] | None, str, str | None]:
    """The record that begins with a line, its text and, if it is none, the reason; then the lines after the first are
    still to be read."""
    taken = [first]

    def feed() -> Iterator[str]:
        yield first
        while len(taken) < MOST_LINES and sum(map(len, taken)) < LONGEST and (line := lines.take()) is not None:
            taken.append(line)
            yield line

    try:
        row = next(csv.reader(feed(), delimiter=delimiter, strict=True))
    except csv.Error as error:
        lines.put_back(taken[1:])
        told = str(error)
        reason = "a quote is opened and not closed" if "unexpected end of data" in told else f"not CSV: {told}"
        return None, first, reason
    return row, "".join(taken), None


class Lines:
    """The lines of a stream, ends included, and the number of the one taken last."""

    def __init__(self, stream: Bytes) -> None:
        self.number = 0
        self._stream, self._waiting = stream, deque[str]()
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._rest, self._ended = "", False

    def take(self) -> str | None:
        """The next line, None after the last; of one that is too long, its beginning."""
        while not self._waiting and not self._ended:
            self._read()
        if not self._waiting:
            return None
        self.number += 1
        return self._waiting.popleft()

    def put_back(self, lines: Sequence[str]) -> None:
        """Have lines to be taken again."""
        self._waiting.extendleft(reversed(lines))
        self.number -= len(lines)

    def _read(self) -> None:
        block = self._stream.read1(BLOCK)
        self._ended = not block
        *lines, self._rest = (self._rest + self._decoder.decode(block, final=self._ended)).split("\n")
        self._waiting.extend(line + "\n" for line in lines)
        if self._ended and self._rest:
            self._waiting.append(self._rest)
        elif len(self._rest) > LONGEST:
            self._waiting.append(self._rest[: LONGEST + 1] + "\n")
            self._rest = ""
            self._pass_by()

    def _pass_by(self) -> None:
        """Lose the rest of a line."""
        while not self._ended:
            block = self._stream.read1(BLOCK)
            self._ended = not block
            _, newline, self._rest = self._decoder.decode(block, final=self._ended).partition("\n")
            if newline:
                *lines, self._rest = self._rest.split("\n")
                self._waiting.extend(line + "\n" for line in lines)
                return
