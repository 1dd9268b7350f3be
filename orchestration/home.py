"""Dagster's home: the folder in which it keeps runs, schedules and events, beside the data they are about."""

import os
import shutil
from pathlib import Path

from resources.environments import PROJECT, data_folder


def dagster_home() -> Path:
    """The folder, made if it is new: DAGSTER_HOME, else `dagster` in the data folder. Sets DAGSTER_HOME."""
    home = Path(os.environ.get("DAGSTER_HOME") or data_folder() / "dagster").resolve()
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copy(PROJECT / "orchestration" / "dagster.yaml", home)
    os.environ["DAGSTER_HOME"] = str(home)
    return home
