"""Databases: no row and no byte beneath names the person, and the rest is as it was."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from resources.privacy.database import strike, traces
from resources.privacy.person import ERASED, Person

EVENT = {"asset_key": {"path": ["events", "ada"]}, "user_message": "ada: 3 days", "label": "x"}


def made(path: Path, wal: bool = False) -> sqlite3.Connection:
    """A database with ada in rows, in deleted rows, and in an index."""
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


def test_rows_are_struck_and_what_dagster_names_so_stays(tmp_path: Path) -> None:
    made(tmp_path / "runs.db").close()
    person = Person("ada")
    assert list(traces(tmp_path / "runs.db", person, history=True)) == ["runs.body", "runs.who"]
    assert strike(tmp_path / "runs.db", person, own="no run") == 300
    assert list(traces(tmp_path / "runs.db", person, history=True)) == []
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database:
        body, who, step = database.execute("SELECT body, who, step_key FROM runs WHERE id = 1").fetchone()
        assert json.loads(body) == EVENT | {"user_message": f"{ERASED}: 3 days", "n": 0}
        assert (who, step) == (ERASED, "ada")
        assert database.execute("SELECT count(*) FROM runs WHERE who = 'bob'").fetchone() == (100,)


def test_deleted_rows_are_found_and_their_bytes_go(tmp_path: Path) -> None:
    with closing(made(tmp_path / "runs.db")) as database:
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("UPDATE runs SET step_key = 'x', body = ''")
        database.execute("DELETE FROM runs WHERE who = 'ada'")
    person = Person("ada")
    assert list(traces(tmp_path / "runs.db", person, history=True)) == ["bytes of deleted rows"]
    strike(tmp_path / "runs.db", person, own="no run")
    assert list(traces(tmp_path / "runs.db", person, history=True)) == []
    assert b"ada" not in (tmp_path / "runs.db").read_bytes()


def test_bytes_of_words_that_a_name_is_part_of_are_no_trace(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as database:
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, body TEXT, who TEXT)")
        for who in ("bob", "ada"):
            database.executemany("INSERT INTO runs (body, who) VALUES (?, ?)", [("metadata", who)] * 200)
            database.execute("DELETE FROM runs WHERE id > 1")
            told = list(traces(tmp_path / "runs.db", Person("ada"), history=True))
            assert told == ([] if who == "bob" else ["bytes of deleted rows"])


def test_a_log_beside_the_database_keeps_nothing_while_others_have_it_open(tmp_path: Path) -> None:
    with closing(made(tmp_path / "runs.db", wal=True)) as other:
        other.execute("UPDATE runs SET step_key = 'x', body = ''")
        assert (tmp_path / "runs.db-wal").stat().st_size
        strike(tmp_path / "runs.db", Person("ada"), own="no run")
        left = b"".join(p.read_bytes() for p in tmp_path.glob("runs.db*") if p.suffix != ".db-shm")
        assert b"ada" not in left
        assert other.execute("SELECT count(*) FROM runs").fetchone() == (200,)
