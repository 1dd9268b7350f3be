"""Dagster's home: the folder in which it keeps runs, schedules and events, beside the data they are about."""

import fcntl
import os
from pathlib import Path

from resources.environments import PROJECT, data_folder

SETTINGS = "dagster.yaml"


def dagster_home() -> Path:
    """The folder, made if it is new: DAGSTER_HOME, else `dagster` in the data folder. Sets DAGSTER_HOME."""
    home = Path(os.environ.get("DAGSTER_HOME") or data_folder() / "dagster").resolve()
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
    with draft.open("a") as settings:
        fcntl.flock(settings, fcntl.LOCK_EX)
        if not (home / SETTINGS).exists():
            draft.write_text((PROJECT / "orchestration" / "instance" / SETTINGS).read_text())
            DagsterInstance.from_config(str(home), draft.name).dispose()
            draft.rename(home / SETTINGS)
