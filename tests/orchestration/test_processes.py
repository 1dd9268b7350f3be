"""What a killed process of the command line was at is not taken to go on, what a living one does is left alone."""

import subprocess
import sys
from pathlib import Path

import dagster as dg

from orchestration.processes import PROCESS, begin, bury
from tests.orchestration.support import PROJECT

KILLED = """
import os, sys
import dagster as dg
from orchestration.processes import begin
print(begin(dg.DagsterInstance.local_temp(sys.argv[1])), flush=True)
os.kill(os.getpid(), 9)
"""


def test_only_runs_of_dead_processes_are_marked_as_failed(tmp_path: Path) -> None:
    told = subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=PROJECT, capture_output=True, text=True)
    assert told.returncode == -9
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        tags = {"dead": {PROCESS: told.stdout.strip()}, "alive": {PROCESS: begin(instance)}, "of the daemon": {}}
        for name, tag in tags.items():
            instance.add_run(dg.DagsterRun(job_name=name, status=dg.DagsterRunStatus.STARTED, tags=tag))
        bury(instance)
        bury(instance)
        told_of = {run.job_name: run.status.value for run in instance.get_runs()}
    assert told_of == {"dead": "FAILURE", "alive": "STARTED", "of the daemon": "STARTED"}
