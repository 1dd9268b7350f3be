"""Dagster's home: the folder with its runs, schedules and events, in the data folder."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from resources.environments import PROJECT, home_folder
from resources.errors import TuttiError
from resources.permissions import restrict

if TYPE_CHECKING:
    from dagster import DagsterInstance

SETTINGS = "dagster.yaml"
LOCK = ".home.lock"  # held while the folder is created


def dagster_home() -> Path:
    """Create the folder if needed, set DAGSTER_HOME, and return it. Raises `TuttiError` if it cannot be created."""
    restrict()
    home = home_folder()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError) as error:
        reason = os.strerror(error.errno or 0)
        raise TuttiError(f"cannot create {home}: {reason}. Set TUTTI_DATA_DIR to a folder of your own.") from error
    os.environ["DAGSTER_HOME"] = str(home)
    if not (home / SETTINGS).exists():
        _furnish(home)
    return home


def _furnish(home: Path) -> None:
    """Create Dagster's databases in one process at a time. If two created them at once, nothing could open them.

    The settings file is renamed last, so if it exists, the databases are complete.
    """
    from dagster import DagsterInstance

    draft = home / f"{SETTINGS}.new"
    with FileLock(home / LOCK):
        if not (home / SETTINGS).exists():
            draft.write_text((PROJECT / "orchestration" / "instance" / SETTINGS).read_text())
            DagsterInstance.from_config(str(home), draft.name).dispose()
            draft.rename(home / SETTINGS)


def terminal_instance() -> "DagsterInstance":
    """Return the Dagster instance of the command line, whose steps print to the terminal and not into log files.

    For log files, Dagster would start two processes for each run to show them on the terminal.
    """
    from dagster import DagsterInstance

    from orchestration.instance.internals import InstanceRef

    no_files = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    ref = InstanceRef.from_dir(str(dagster_home()), overrides={"compute_logs": no_files})
    return DagsterInstance.from_ref(ref)
