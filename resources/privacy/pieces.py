"""The pieces of a text file: a JSON document, rows of a CSV table, or lines, each with what remains of it.

Both the removal and the scanner read text here, so that the proof of an erasure and the erasure never differ. A piece
that does not name the listener remains byte for byte.
"""

import csv
import io
import json
from collections import deque
from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

from resources.privacy.json_text import decode
from resources.privacy.person import BLANK, REMOVED, Person
from resources.sources.readers.csv_records import MAX_COMMENT_LINES, MAX_RECORD_LINES, UTF7, from_utf7
from resources.sources.readers.json_records import MAX_RECORD_CHARS

MAX_DOCUMENT_BYTES = 256 << 20  # of a JSON document, which is read into memory; longer lists are JSON lines
BLOCK_BYTES = 1 << 20
OVERLAP_BYTES = 1 << 16  # of blocks: a name is longer with its escapes
UNDECIDED = "cannot be parsed, and may name the listener"
UTF16 = (b"\xff\xfe", b"\xfe\xff")
DELIMITERS = ",;\t"


class Piece(NamedTuple):
    """A part of a file, and what remains of it without the listener."""

    where: str
    source: bytes
    left: bytes
    content: bool = True  # whether what is left is more than a heading or an empty list
    undecided: bool = False


def may_be_in(source: IO[bytes], person: Person) -> bool:
    """Return whether a stream may name the listener, however the name is escaped, and rewind it."""
    overlap, held = max(OVERLAP_BYTES, *map(len, person.needles)), b""
    try:
        while block := source.read(BLOCK_BYTES):
            first = not held
            held += block
            if first and (held.startswith(UTF16) or b"+ACM-" in held[:16] or not _is_utf8(held)):
                return True  # `pieces` decides
            if person.may_be_in_bytes(held):
                return True
            held = held[-overlap:]
        return False
    finally:
        source.seek(0)


def pieces(source: IO[bytes], person: Person) -> Iterator[Piece]:
    """Yield every piece of a text."""
    if source.read(2) in UTF16:
        source.seek(0)
        yield _utf16(source.read(), person)
        return
    source.seek(0)
    if document := _document(source, person):
        yield document
    elif table := _table(source, person):
        yield from _rows(source, person, table)
    else:
        yield from (_line(f"line {number}", line, person) for number, line in enumerate(source, 1))


def _utf16(content: bytes, person: Person) -> Piece:
    """Return a text in UTF-16, which no import reads."""
    named = person.may_be_in(content.decode("utf-16", errors="replace"))
    return Piece("the text in UTF-16", content, content, undecided=named)


def _document(source: IO[bytes], person: Person) -> Piece | None:
    """Return a JSON document of several lines, or None for JSON lines, broken documents and other formats."""
    try:
        head = source.read(BLOCK_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n")
        if head[:1] not in (b"{", b"[") or source.seek(0, io.SEEK_END) > MAX_DOCUMENT_BYTES:
            return None
        if head[:1] == b"{" and _is_json(head.split(b"\n", 1)[0]):
            return None
        source.seek(0)
        content = source.read()
        left = person.edit(_text(content))
        if left is REMOVED:
            return Piece("JSON", content, b"", content=False)
        edited = content if left == _text(content) else _bytes(left)
        return Piece("JSON", content, edited, edited == content or _has_content(decode(left.lstrip(BLANK))[0]))
    except (ValueError, RecursionError):
        return None
    finally:
        source.seek(0)


def _line(where: str, line: bytes, person: Person, cells: bool = False) -> Piece:
    """Return a line: JSON, else text. `cells` is true for a broken row of a table."""
    text = _text(line)
    if not person.may_be_in(text):
        if text.isascii() or _is_utf8(line):
            return Piece(where, line, line, bool(line.strip()))
        # Programs also wrote texts in the encoding of Windows, which no import reads.
        return Piece(where, line, line, undecided=person.may_be_in(line.decode("cp1252", errors="replace")))
    try:
        left = person.edit(text)
    except (ValueError, RecursionError):
        left, undecided = person.redact_broken(text)
        return Piece(where, line, _bytes(left), bool(left.strip(BLANK)), undecided)
    return Piece(where, line, b"", False) if left is REMOVED else Piece(where, line, _bytes(left))


class Table(NamedTuple):
    """The layout of a CSV table that may name listeners."""

    delimiter: str
    columns: frozenset[int]  # that name listeners
    width: int
    heading: int  # number of its line
    about_listener: bool  # whether its heading names the listener of all rows, such as `Date#ada`
    utf7: bool


def _table(source: IO[bytes], person: Person) -> Table | None:
    """Return the layout of a CSV table, or None if no column names listeners."""
    head = source.read(OVERLAP_BYTES).decode(errors="replace").lstrip("\ufeff").splitlines()
    source.seek(0)
    utf7 = bool(head) and head[0].lstrip().startswith("+ACM-")
    if not head or head[0].lstrip().startswith(("{", "[", "<")):
        return None
    for number, line in enumerate(head[:MAX_COMMENT_LINES], 1):
        for delimiter in DELIMITERS:
            cells = [_cell(cell, utf7) for cell in _cells([line], delimiter) or ()]
            columns = frozenset(n for n, cell in enumerate(cells) if person.identifies(cell))
            about_listener = any(person.is_name(cell.partition("#")[2]) for cell in cells)
            if len(cells) > 1 and (columns or about_listener):
                return Table(delimiter, columns, len(cells), number, about_listener, utf7)
        if line.strip() and not line.lstrip().startswith(("#", "+ACM-")):
            return None
    return None


def _rows(source: IO[bytes], person: Person, table: Table) -> Iterator[Piece]:
    """Yield the lines before and with the headings, and each row.

    A row may have several lines. An unclosed quote loses only its own line, as in imports.
    """
    lines = deque[bytes]()
    number = 0

    def take() -> bytes:
        return lines.popleft() if lines else source.readline()

    while line := take():
        number += 1
        if number <= table.heading:
            left = b"" if table.about_listener else line
            yield Piece(f"row {number}", line, left, content=False)
            continue
        taken = [line]

        def feed(taken: list[bytes] = taken) -> Iterator[str]:
            yield _text(taken[0])
            while len(taken) < MAX_RECORD_LINES and sum(map(len, taken)) < MAX_RECORD_CHARS and (following := take()):
                taken.append(following)
                yield _text(following)

        cells = _cells(feed(), table.delimiter)
        if cells is None:
            lines.extendleft(reversed(taken[1:]))
            taken = taken[:1]
        row = b"".join(taken)
        yield _row(f"row {number}", row, cells, person, table)
        number += len(taken) - 1


def _row(where: str, row: bytes, cells: list[str] | None, person: Person, table: Table) -> Piece:
    """Return a row, or a line whose quotes are broken."""
    if table.about_listener:
        return Piece(where, row, b"", content=False)
    text = _text(row)
    if not (table.utf7 or person.may_be_in(text) or not _is_utf8(row)):
        return Piece(where, row, row, bool(row.strip()))
    values = [_cell(cell, table.utf7) for cell in cells or ()]
    if any(n < len(values) and person.is_name(values[n]) for n in table.columns):
        return Piece(where, row, b"", content=False)
    if len(values) == table.width and not any("\n" in value for value in values):
        texts = (value for n, value in enumerate(values) if n not in table.columns)
        mentioned = any(person.redact_text(each) != each for each in texts)
        return Piece(where, row, _bytes(person.redact_text(text)) if mentioned else row)
    # The quotes or the number of cells are wrong, or a quote may have swallowed other rows.
    left, undecided = b"", False
    for line in row.splitlines(keepends=True):
        values = [_cell(cell.strip().strip('"'), table.utf7) for cell in _text(line).split(table.delimiter)]
        if len(values) >= table.width and any(person.is_name(values[n]) for n in table.columns):
            if cells is None:
                continue
            undecided = True
        undecided = undecided or (cells is None and any(map(person.is_name, values)))
        left += _bytes(person.redact_text(_text(line)))
    return Piece(where, row, left, bool(left.strip()), undecided)


def _cells(lines: Iterable[str], delimiter: str) -> list[str] | None:
    """Return the cells of the row that begins with the first line, or None if its quotes are broken."""
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None


def _cell(cell: str, utf7: bool) -> str:
    return UTF7.sub(from_utf7, cell).strip() if utf7 else cell.strip()


def _has_content(value: object) -> bool:
    """Return whether a document has content: not all of its lists are empty."""
    if isinstance(value, dict):
        inner = [each for each in value.values() if isinstance(each, dict | list)]
        return any(map(_has_content, inner)) or not inner
    return bool(value)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return True


def _text(content: bytes) -> str:
    return content.decode(errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
