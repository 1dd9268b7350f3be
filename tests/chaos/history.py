"""Dagster's own storage after a kill: whether its databases are whole and every run can be told."""

import sqlite3
from pathlib import Path

import dagster as dg
import pytest


def faults(home: Path) -> list[str]:
    """What is broken in a folder that Dagster keeps its runs in, once a run has ended well there."""
    found = []
    for path in sorted(home.rglob("*.db")):
        with sqlite3.connect(path) as database:
            (said,) = database.execute("PRAGMA integrity_check").fetchone()
        database.close()
        if said != "ok":
            found.append(f"{path}: {said}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        with dg.DagsterInstance.get() as instance:
            runs = instance.get_runs()
            silent = [run.run_id for run in runs if not instance.all_logs(run.run_id)]
            left = [f"{run.job_name} {run.run_id}" for run in runs if not run.is_finished]
    found += [f"the run {run} has no events" for run in silent]
    return found + [f"the run of {run} is thought to go on" for run in left]
