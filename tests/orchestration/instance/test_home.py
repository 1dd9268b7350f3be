"""Dagster's home, which the first command creates."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from orchestration.instance.home import SETTINGS
from tests.orchestration.support import PROJECT, Process

OPEN = """
from orchestration.instance.home import dagster_home
dagster_home()
from dagster import DagsterInstance
with DagsterInstance.get() as instance:
    print(len(instance.get_runs()))
"""


def open_home(data: Path) -> Process:
    """Start a command that creates Dagster's home and opens it."""
    return Process((sys.executable, "-c", OPEN), data)


def test_commands_started_together_in_a_new_folder_share_one_home(tmp_path: Path) -> None:
    home = tmp_path / "dagster"
    home.mkdir()  # otherwise `Process` would copy a complete home
    commands = [open_home(tmp_path) for _ in range(4)]
    assert [(command.out, command.code) for command in commands] == [("0\n", 0)] * 4
    for database in ("schedules/schedules.db", "history/runs.db", "history/runs/index.db"):
        with closing(sqlite3.connect(home / database)) as connection:
            assert len(connection.execute("SELECT * FROM alembic_version").fetchall()) == 1
    assert not list(home.glob(f"{SETTINGS}.*"))


def test_an_incomplete_home_of_a_killed_process_is_completed(tmp_path: Path) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    (home / f"{SETTINGS}.new").write_text("telem")
    open_home(tmp_path).fine()
    assert (home / SETTINGS).read_text() == (PROJECT / "orchestration" / "instance" / SETTINGS).read_text()


def test_custom_settings_are_kept(tmp_path: Path) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    (home / SETTINGS).write_text("telemetry:\n  enabled: false\n")
    open_home(tmp_path).fine()
    assert (home / SETTINGS).read_text() == "telemetry:\n  enabled: false\n"
