"""Check Dagster's storage after a kill: its databases and its run records."""

import sqlite3
from pathlib import Path

import dagster as dg
import pytest


def faults(home: Path) -> list[str]:
    """Return the faults in a DAGSTER_HOME folder in which the last run succeeded."""
    problems = []
    for path in sorted(home.rglob("*.db")):
        with sqlite3.connect(path) as database:
            (result,) = database.execute("PRAGMA integrity_check").fetchone()
        database.close()
        if result != "ok":
            problems.append(f"{path}: {result}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        with dg.DagsterInstance.get() as instance:
            runs = instance.get_runs()
            without_events = [run.run_id for run in runs if not instance.all_logs(run.run_id)]
            unfinished = [f"{run.job_name} {run.run_id}" for run in runs if not run.is_finished]
    problems += [f"the run {run} has no events" for run in without_events]
    return problems + [f"the run of {run} is recorded as running" for run in unfinished]
