"""What a killed process of the command line was at is not taken to go on, what a living one does is left alone."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import GRPC_INFO_TAG

from orchestration.instance.killed_runs import PROCESS, begin, bury, bury_launched
from tests.orchestration.support import PROJECT

KILLED = """
import os, sys
import dagster as dg
from orchestration.instance.killed_runs import begin
print(begin(dg.DagsterInstance.local_temp(sys.argv[1])), flush=True)
os.kill(os.getpid(), 9)
"""


def test_only_runs_of_dead_processes_are_marked_as_cancelled(tmp_path: Path) -> None:
    told = subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=PROJECT, capture_output=True, text=True)
    assert told.returncode == -9
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        tags = {"dead": {PROCESS: told.stdout.strip()}, "alive": {PROCESS: begin(instance)}, "of the daemon": {}}
        for name, tag in tags.items():
            instance.add_run(dg.DagsterRun(job_name=name, status=dg.DagsterRunStatus.STARTED, tags=tag))
        bury(instance)
        bury(instance)
        told_of = {run.job_name: run.status.value for run in instance.get_runs()}
    assert told_of == {"dead": "CANCELED", "alive": "STARTED", "of the daemon": "STARTED"}


def test_only_runs_whose_server_is_gone_are_marked_as_cancelled(tmp_path: Path) -> None:
    with socket.socket() as here, socket.socket() as gone, dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        for end in (here, gone):
            end.bind(("127.0.0.1", 0))
        here.listen()
        ports = {"alive": here.getsockname()[1], "dead": gone.getsockname()[1]}
        gone.close()
        told = {name: {"host": "127.0.0.1", "port": port, "use_ssl": False} for name, port in ports.items()}
        told["dead too"] = {"host": "localhost", "socket": str(tmp_path / "nobody")}
        tags = {name: {GRPC_INFO_TAG: json.dumps(server)} for name, server in told.items()} | {"elsewhere": {}}
        for name, tag in tags.items():
            instance.add_run(dg.DagsterRun(job_name=name, status=dg.DagsterRunStatus.STARTED, tags=tag))
        bury_launched(instance)
        found = {run.job_name: run.status.value for run in instance.get_runs()}
    assert found == {"alive": "STARTED", "dead": "CANCELED", "dead too": "CANCELED", "elsewhere": "STARTED"}
