"""Dagster's home, as the first command makes it."""

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


def opened(data: Path) -> Process:
    """A command that makes Dagster's home and opens it."""
    return Process((sys.executable, "-c", OPEN), data)


def test_commands_that_begin_at_once_in_a_new_folder_share_one_home(tmp_path: Path) -> None:
    home = tmp_path / "dagster"
    home.mkdir()  # else each would find a copy of one that was made before
    commands = [opened(tmp_path) for _ in range(4)]
    assert [(command.out, command.code) for command in commands] == [("0\n", 0)] * 4
    for database in ("schedules/schedules.db", "history/runs.db", "history/runs/index.db"):
        with closing(sqlite3.connect(home / database)) as made:
            assert len(made.execute("SELECT * FROM alembic_version").fetchall()) == 1
    assert not list(home.glob(f"{SETTINGS}.*"))


def test_a_home_that_a_kill_left_half_made_is_made_whole(tmp_path: Path) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    (home / f"{SETTINGS}.new").write_text("telem")
    opened(tmp_path).fine()
    assert (home / SETTINGS).read_text() == (PROJECT / "orchestration" / "instance" / SETTINGS).read_text()


def test_settings_of_ones_own_stay(tmp_path: Path) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    (home / SETTINGS).write_text("telemetry:\n  enabled: false\n")
    opened(tmp_path).fine()
    assert (home / SETTINGS).read_text() == "telemetry:\n  enabled: false\n"
