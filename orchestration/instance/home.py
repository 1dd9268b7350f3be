"""Dagster's home: the folder in which it keeps runs, schedules and events, beside the data they are about."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from resources.environments import PROJECT, data_folder

if TYPE_CHECKING:
    from dagster import DagsterInstance

SETTINGS = "dagster.yaml"
LOCK = ".home.lock"  # held while the folder is made


def home_folder() -> Path:
    """Return the folder, which may not exist yet: DAGSTER_HOME, else `dagster` in the data folder."""
    return Path(os.environ.get("DAGSTER_HOME") or data_folder() / "dagster").resolve()


def dagster_home() -> Path:
    """Return the folder, made if it is new. Sets DAGSTER_HOME."""
    home = home_folder()
    home.mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_HOME"] = str(home)
    if not (home / SETTINGS).exists():
        _furnish(home)
    return home


def _furnish(home: Path) -> None:
    """Make Dagster's databases, one process at a time: made by two at once, they can never be opened again.

    The settings get their name last, so whoever finds them finds whole databases.
    """
    from dagster import DagsterInstance

    draft = home / f"{SETTINGS}.new"
    with FileLock(home / LOCK):
        if not (home / SETTINGS).exists():
            draft.write_text((PROJECT / "orchestration" / "instance" / SETTINGS).read_text())
            DagsterInstance.from_config(str(home), draft.name).dispose()
            draft.rename(home / SETTINGS)


def terminal_instance() -> "DagsterInstance":
    """Dagster as the command line uses it: what steps print goes to the terminal, not into files of each run.

    Dagster would start two processes for each run to show on the terminal what goes into those files.
    """
    from dagster import DagsterInstance

    from orchestration.instance.internals import InstanceRef

    no_files = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    ref = InstanceRef.from_dir(str(dagster_home()), overrides={"compute_logs": no_files})
    return DagsterInstance.from_ref(ref)
