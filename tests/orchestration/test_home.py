"""Dagster's home, as the first command makes it."""

import sqlite3
import subprocess
import sys
from pathlib import Path

from orchestration.home import SETTINGS
from tests.orchestration.support import PROJECT, environ

OPEN = """
from orchestration.home import dagster_home
dagster_home()
from dagster import DagsterInstance
with DagsterInstance.get() as instance:
    print(len(instance.get_runs()))
"""


def test_commands_that_begin_at_once_in_a_new_folder_share_one_home(tmp_path: Path) -> None:
    commands = [
        subprocess.Popen([sys.executable, "-c", OPEN], cwd=PROJECT, env=environ(tmp_path), stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    assert [(command.communicate(timeout=120)[0], command.returncode) for command in commands] == [(b"0\n", 0)] * 4
    home = tmp_path / "dagster"
    for database in ("schedules/schedules.db", "history/runs.db", "history/runs/index.db"):
        with sqlite3.connect(home / database) as opened:
            assert len(opened.execute("SELECT * FROM alembic_version").fetchall()) == 1
    assert not list(home.glob(f"{SETTINGS}.*"))


def test_a_home_that_a_kill_left_half_made_is_made_whole(tmp_path: Path) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    (home / f"{SETTINGS}.new").write_text("telem")
    done = subprocess.run([sys.executable, "-c", OPEN], cwd=PROJECT, env=environ(tmp_path), check=True)
    assert done.returncode == 0
    assert (home / SETTINGS).read_text() == (PROJECT / "orchestration" / SETTINGS).read_text()


def test_settings_of_ones_own_stay(tmp_path: Path) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    (home / SETTINGS).write_text("telemetry:\n  enabled: false\n")
    subprocess.run([sys.executable, "-c", OPEN], cwd=PROJECT, env=environ(tmp_path), check=True)
    assert (home / SETTINGS).read_text() == "telemetry:\n  enabled: false\n"
