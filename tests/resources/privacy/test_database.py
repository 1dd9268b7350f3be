"""Databases: after a redaction no row and no byte names the listener, and the rest is unchanged."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from resources.privacy import database as privacy_database
from resources.privacy.database import redact, traces
from resources.privacy.person import ERASED, Person

EVENT = {"asset_key": {"path": ["events", "ada"]}, "user_message": "ada: 3 days", "label": "x"}


def create(path: Path, wal: bool = False) -> sqlite3.Connection:
    """Create a database with ada in rows, in deleted rows, and in an index."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
    database.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, body TEXT, who TEXT, step_key TEXT)")
    database.execute("CREATE INDEX by_who ON runs (who)")
    for n in range(200):
        who = ("ada", "bob")[n % 2]
        database.execute(
            "INSERT INTO runs (body, who, step_key) VALUES (?, ?, 'ada')", (json.dumps(EVENT | {"n": n}), who)
        )
    return database


def test_rows_are_redacted_and_names_of_dagsters_objects_stay(tmp_path: Path) -> None:
    create(tmp_path / "runs.db").close()
    person = Person("ada")
    assert list(traces(tmp_path / "runs.db", person, history=True)) == ["runs.body", "runs.who"]
    assert redact(tmp_path / "runs.db", person, run_id="no run") == 300
    assert list(traces(tmp_path / "runs.db", person, history=True)) == []
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database:
        body, who, step = database.execute("SELECT body, who, step_key FROM runs WHERE id = 1").fetchone()
        assert json.loads(body) == EVENT | {"user_message": f"{ERASED}: 3 days", "n": 0}
        assert (who, step) == (ERASED, "ada")
        assert database.execute("SELECT count(*) FROM runs WHERE who = 'bob'").fetchone() == (100,)


def test_bytes_of_deleted_rows_are_found_and_removed(tmp_path: Path) -> None:
    with closing(create(tmp_path / "runs.db")) as database:
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("UPDATE runs SET step_key = 'x', body = ''")
        database.execute("DELETE FROM runs WHERE who = 'ada'")
    person = Person("ada")
    assert list(traces(tmp_path / "runs.db", person, history=True)) == ["bytes of deleted rows"]
    redact(tmp_path / "runs.db", person, run_id="no run")
    assert list(traces(tmp_path / "runs.db", person, history=True)) == []
    assert b"ada" not in (tmp_path / "runs.db").read_bytes()


def test_bytes_of_longer_words_are_not_a_trace(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as database:
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, body TEXT, who TEXT)")
        for who in ("bob", "ada"):
            database.executemany("INSERT INTO runs (body, who) VALUES (?, ?)", [("metadata", who)] * 200)
            database.execute("DELETE FROM runs WHERE id > 1")
            places = list(traces(tmp_path / "runs.db", Person("ada"), history=True))
            assert places == ([] if who == "bob" else ["bytes of deleted rows"])


def test_log_of_an_open_database_contains_nothing_afterwards(tmp_path: Path) -> None:
    with closing(create(tmp_path / "runs.db", wal=True)) as other:
        other.execute("UPDATE runs SET step_key = 'x', body = ''")
        assert (tmp_path / "runs.db-wal").stat().st_size
        redact(tmp_path / "runs.db", Person("ada"), run_id="no run")
        left = b"".join(p.read_bytes() for p in tmp_path.glob("runs.db*") if p.suffix != ".db-shm")
        assert b"ada" not in left
        assert other.execute("SELECT count(*) FROM runs").fetchone() == (200,)


def test_names_in_other_spellings_are_redacted(tmp_path: Path) -> None:
    spelled = [r'{"listener": "j\u00F6rg"}', r"[\"j\\u00F6rg\"]", json.dumps({"x": r'{"y": "\u006aörg"}'}), "j%C3%B6rg"]
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as database:
        database.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, body TEXT)")
        database.executemany("INSERT INTO runs (body) VALUES (?)", [(each,) for each in (*spelled, r"j\u00F6rg2")])
    person = Person("jörg")
    assert list(traces(tmp_path / "runs.db", person, history=True)) == ["runs.body"]
    assert redact(tmp_path / "runs.db", person, run_id="no run") == 4
    assert list(traces(tmp_path / "runs.db", person, history=True)) == []
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database:
        assert database.execute("SELECT body FROM runs WHERE id = 5").fetchone() == (r"j\u00F6rg2",)


def test_deleted_rows_in_another_spelling_are_found(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as database:
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, body TEXT)")
        database.executemany("INSERT INTO runs (body) VALUES (?)", [(r'{"listener": "j\u00F6rg"}',)] * 200)
        database.execute("DELETE FROM runs WHERE id > 1")
        database.execute("UPDATE runs SET body = ''")
    assert list(traces(tmp_path / "runs.db", Person("jörg"), history=True)) == ["bytes of deleted rows"]


def test_files_that_sqlite_removes_meanwhile_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(tmp_path / "runs.db").close()
    for suffix in ("-wal", "-journal"):
        monkeypatch.setattr(privacy_database, "BESIDE", (suffix,))
        monkeypatch.setattr(Path, "exists", lambda path: True)  # listed, and removed before it is opened
        assert list(traces(tmp_path / "runs.db", Person("ada"), history=True)) == ["runs.body", "runs.who"]
    assert redact(tmp_path / "runs.db", Person("ada"), run_id="no run") == 300
