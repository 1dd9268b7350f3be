"""SQLite databases, in which Dagster stores its history: redact a name in every row and in the bytes of deleted rows.

Deleted and overwritten data stays in a database's free pages, and in its log, until the database is rewritten.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from resources.privacy.person import Person
from resources.privacy.pieces import may_be_in
from resources.privacy.undone import levels

MAGIC = b"SQLite format 3\x00"
LOCK_TIMEOUT_S = 120  # for other processes that hold the database's lock
CELLS = re.compile(rb'\|(?:[^|\n\x00{}"]{0,300}\|){2,}')  # cells of a preview: an artist may have a listener's name
WORD = rb"[A-Za-z\x80-\xff]*%b[A-Za-z\x80-\xff]*"  # a word that contains a name
CATALOG_STEPS = "content__"  # steps of tables that are built from the catalog alone
NO_PREVIEW = "Removed when a listener was erased. Build the table again to see a preview."
BESIDE = ("-wal", "-journal", "-shm")  # suffixes of SQLite's files beside a database


def is_database(path: Path) -> bool:
    """Return whether a file is a SQLite database."""
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def redact(path: Path, person: Person, run_id: str) -> int:
    """Redact a listener in every row of a database, rewrite it, and return the number of redacted rows.

    Rows of the run `run_id` are redacted too but not counted: its configuration contains the name.
    """
    if not _mentions(path, person):
        return 0
    redacted = 0
    with closing(_opened(path)) as database:
        database.execute("PRAGMA secure_delete = ON")
        with database:
            database.execute("BEGIN IMMEDIATE")
            for table, row, column, value in list(_texts_with_name(database, person)):
                new = person.redact_history(value, column)
                if new != value:
                    redacted += run_id not in value
                    change = f"UPDATE {_quoted(table)} SET {_quoted(column)} = ? WHERE rowid = ?"  # noqa: S608 (quoted)
                    database.execute(change, (new, row))
        _rewrite(database)
    return redacted


def remove_previews(path: Path) -> int:
    """Remove previews of tables that are built from listeners' records, and return the number of changed rows.

    A preview may show artists and songs that only an erased listener played.
    """
    changed = 0
    with closing(_opened(path)) as database:
        database.execute("PRAGMA secure_delete = ON")
        with database:
            database.execute("BEGIN IMMEDIATE")
            for table, column in _columns(database):
                quoted = _quoted(column)
                query = f"SELECT rowid, {quoted} FROM {_quoted(table)} WHERE instr({quoted}, 'md_str')"  # noqa: S608
                for row, value in database.execute(query).fetchall():
                    if isinstance(value, str) and (new := _without_preview(value)) != value:
                        changed += 1
                        change = f"UPDATE {_quoted(table)} SET {quoted} = ? WHERE rowid = ?"  # noqa: S608 (quoted)
                        database.execute(change, (new, row))
        if changed:
            _rewrite(database)
    return changed


def _without_preview(event: str) -> str:
    """Return an event of Dagster's history without Markdown, unless the table is built from the catalog alone."""
    try:
        value = json.loads(event)
    except ValueError:
        return event
    if not isinstance(value, dict) or str(value.get("step_key")).startswith(CATALOG_STEPS):
        return event
    return json.dumps(_without_markdown(value))


def _without_markdown(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: NO_PREVIEW if key == "md_str" else _without_markdown(each) for key, each in value.items()}
    return [_without_markdown(each) for each in value] if isinstance(value, list) else value


def traces(path: Path, person: Person, history: bool) -> Iterator[str]:
    """Yield the places where a database names a listener: tables and columns, and bytes of deleted rows."""
    if not _mentions(path, person):
        return
    with closing(_opened(path)) as database:
        places = {
            f"{table}.{column}"
            for table, _, column, value in _texts_with_name(database, person)
            if (person.redact_history(value, column) if history else person.without(value, column)) != value
        }
        yield from sorted(places)
        if not places and _more_than_rows(database, path, person):
            yield "bytes of deleted rows"


def _opened(path: Path) -> sqlite3.Connection:
    # Without `mode=rw`, a database that was removed in the meantime would be created again.
    database = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", timeout=LOCK_TIMEOUT_S, isolation_level=None, uri=True
    )
    database.text_factory = lambda text: text.decode(errors="surrogateescape")
    return database


def _rewrite(database: sqlite3.Connection) -> None:
    """Rewrite a database from its rows, without free pages, and empty its log."""
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.execute("VACUUM")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _texts_with_name(database: sqlite3.Connection, person: Person) -> Iterator[tuple[str, int, str, str]]:
    """Yield every text that may name the listener: table, row, column and value."""
    database.create_function("may_name", 1, lambda value: isinstance(value, str) and person.may_be_in(value))
    for table, column in _columns(database):
        quoted = _quoted(column)
        query = f"SELECT rowid, {quoted} FROM {_quoted(table)} WHERE may_name({quoted})"  # noqa: S608 (quoted)
        for row, value in database.execute(query):
            yield table, row, column, value


def _columns(database: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Yield each table with each of its columns."""
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    for (table,) in tables.fetchall():
        for _, column, *_ in database.execute(f"PRAGMA table_info({_quoted(table)})").fetchall():
            yield table, column


def _mentions(path: Path, person: Person) -> bool:
    """Return whether the bytes of a database, or of the files beside it, contain the listener's name."""
    for file in _beside(path):
        try:
            with file.open("rb") as stream:
                if may_be_in(stream, person):
                    return True
        except FileNotFoundError:  # SQLite removes its files beside a database
            continue
    return False


def _more_than_rows(database: sqlite3.Connection, path: Path, person: Person) -> bool:
    """Return whether the bytes contain a name more often than the rows alone.

    Previews do not count, and neither do longer words in the rows, such as `metadata` for `ada`: old pages contain what
    Dagster has written since, too.
    """
    with TemporaryDirectory() as folder:
        copy = Path(folder, "copy.db")
        database.execute("VACUUM INTO ?", (str(copy),))
        stored = copy.read_bytes()
    files = list(_contents(path))
    if any(person.has_escapes(each) for each in files):
        rows, there = _undone(CELLS.sub(b"|", stored)), [_undone(CELLS.sub(b"|", each)) for each in files]
        stored, files = rows, there
    # All bytes of a rewritten file are in rows. Only data that Dagster wrote since needs the search for words below,
    # which words that are cut at the end of a page would mislead.
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


def _undone(content: bytes) -> bytes:
    """Return all levels of bytes with their escapes undone."""
    try:
        return b"".join(each.encode(errors="surrogatepass") for each in levels(content.decode("latin-1")))
    except ValueError:
        return content


def _contents(path: Path) -> Iterator[bytes]:
    for file in _beside(path):
        with suppress(FileNotFoundError):  # SQLite removes its files beside a database
            yield file.read_bytes()


def _beside(path: Path) -> list[Path]:
    """Return the files of a database: its own, and those that SQLite has beside it now."""
    return [path, *(file for end in BESIDE if (file := path.with_name(path.name + end)).exists())]


def _quoted(name: Any) -> str:
    return '"' + str(name).replace('"', '""') + '"'
