"""Databases of SQLite, in which Dagster keeps its history: a name is struck from every row and from the bytes beneath.

What was deleted or written over stays in a database's free pages, and in the log beside it, until it is written afresh.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from resources.privacy.files import mentioned
from resources.privacy.person import Person

MAGIC = b"SQLite format 3\x00"
PATIENCE = 120  # seconds that others may keep a database locked
CELLS = re.compile(rb'\|(?:[^|\n\x00{}"]{0,300}\|){2,}')  # of a preview, in which an artist may be called like a person
WORD = rb"[A-Za-z\x80-\xff]*%b[A-Za-z\x80-\xff]*"  # that a name is, or is part of
BESIDE = ("-wal", "-journal")  # what SQLite keeps beside a database


def strike(path: Path, person: Person, own: str) -> int:
    """Strike a person from every row of a database, and write it afresh; in how many rows they were, but for the run
    whose id is `own`, which is told whom to strike.
    """
    if not _told(path, person):
        return 0
    struck = 0
    with closing(_opened(path)) as database:
        database.execute("PRAGMA secure_delete = ON")
        with database:
            database.execute("BEGIN IMMEDIATE")
            for table, row, column, value in list(_named(database, person)):
                kept = person.unwritten(value, column)
                if kept != value:
                    struck += own not in value
                    change = f"UPDATE {_quoted(table)} SET {_quoted(column)} = ? WHERE rowid = ?"  # noqa: S608 (quoted)
                    database.execute(change, (kept, row))
        _afresh(database)
    return struck


def traces(path: Path, person: Person, history: bool) -> Iterator[str]:
    """Where a database names a person: tables and columns, and bytes that no row accounts for."""
    if not _told(path, person):
        return
    with closing(_opened(path)) as database:
        found = {
            f"{table}.{column}"
            for table, _, column, value in _named(database, person)
            if (person.unwritten(value, column) if history else person.without(value, column)) != value
        }
        yield from sorted(found)
        if not found and _more_than_rows(database, path, person):
            yield "bytes of deleted rows"


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    database.text_factory = lambda text: text.decode(errors="surrogateescape")
    return database


def _afresh(database: sqlite3.Connection) -> None:
    """Write a database anew from its rows, without free pages, and leave nothing beside it."""
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.execute("VACUUM")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _named(database: sqlite3.Connection, person: Person) -> Iterator[tuple[str, int, str, str]]:
    """Every text in which the person may be named: its table, row and column."""
    needles = [needle.decode() for needle in person.needles]
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    for (table,) in tables.fetchall():
        for _, column, *_ in database.execute(f"PRAGMA table_info({_quoted(table)})").fetchall():
            any_of = " OR ".join([f"instr({_quoted(column)}, ?)"] * len(needles))
            query = f"SELECT rowid, {_quoted(column)} FROM {_quoted(table)} WHERE {any_of}"  # noqa: S608 (names are quoted)
            for row, value in database.execute(query, needles):
                if isinstance(value, str):
                    yield table, row, column, value


def _told(path: Path, person: Person) -> bool:
    """Whether the bytes of a database, or of what lies beside it, have the person's name."""
    for file in _beside(path):
        with file.open("rb") as stream:
            if mentioned(stream, person.needles):
                return True
    return False


def _more_than_rows(database: sqlite3.Connection, path: Path, person: Person) -> bool:
    """Whether the bytes have a name more often than the rows alone.

    Previews do not count, nor do longer words of the rows, as `metadata` is for `ada`: what Dagster has written since
    lies in old pages too.
    """
    with TemporaryDirectory() as folder:
        copy = Path(folder, "copy.db")
        database.execute("VACUUM INTO ?", (str(copy),))
        stored = copy.read_bytes()
    files = [file.read_bytes() for file in _beside(path)]
    # Of a file that was written afresh all bytes are in rows. Only what Dagster wrote since needs a closer look, which
    # words that are cut where a page ends would mislead.
    more = [needle for needle in person.needles if sum(each.count(needle) for each in files) > stored.count(needle)]
    if not more:
        return False
    rows, there = CELLS.sub(b"|", stored), [CELLS.sub(b"|", each) for each in files]
    for needle in more:
        words = {word for word in re.findall(WORD % re.escape(needle), rows) if len(word) > len(needle)}
        longer = re.compile(b"|".join(map(re.escape, sorted(words, key=len, reverse=True))) or b"(?!)")
        if sum(longer.sub(b"", each).count(needle) for each in there) > longer.sub(b"", rows).count(needle):
            return True
    return False


def _beside(path: Path) -> list[Path]:
    """A database, and what SQLite keeps beside it just now."""
    return [path, *(file for end in BESIDE if (file := path.with_name(path.name + end)).exists())]


def _quoted(name: Any) -> str:
    return '"' + str(name).replace('"', '""') + '"'
