"""Runs of killed processes are canceled. Runs of living processes are left alone."""

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


def test_only_runs_of_dead_processes_are_canceled(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=PROJECT, capture_output=True, text=True)
    assert killed.returncode == -9
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        tags = {"dead": {PROCESS: killed.stdout.strip()}, "alive": {PROCESS: begin(instance)}, "of the daemon": {}}
        for name, tag in tags.items():
            instance.add_run(dg.DagsterRun(job_name=name, status=dg.DagsterRunStatus.STARTED, tags=tag))
        bury(instance)
        bury(instance)
        statuses = {run.job_name: run.status.value for run in instance.get_runs()}
    assert statuses == {"dead": "CANCELED", "alive": "STARTED", "of the daemon": "STARTED"}


def test_only_runs_without_a_server_are_canceled(tmp_path: Path) -> None:
    with (
        socket.socket() as listening,
        socket.socket() as closed,
        dg.DagsterInstance.local_temp(str(tmp_path)) as instance,
    ):
        for server_socket in (listening, closed):
            server_socket.bind(("127.0.0.1", 0))
        listening.listen()
        ports = {"alive": listening.getsockname()[1], "dead": closed.getsockname()[1]}
        closed.close()
        servers = {name: {"host": "127.0.0.1", "port": port, "use_ssl": False} for name, port in ports.items()}
        servers["dead too"] = {"host": "localhost", "socket": str(tmp_path / "nobody")}
        tags = {name: {GRPC_INFO_TAG: json.dumps(server)} for name, server in servers.items()} | {"elsewhere": {}}
        for name, tag in tags.items():
            instance.add_run(dg.DagsterRun(job_name=name, status=dg.DagsterRunStatus.STARTED, tags=tag))
        bury_launched(instance)
        statuses = {run.job_name: run.status.value for run in instance.get_runs()}
    assert statuses == {"alive": "STARTED", "dead": "CANCELED", "dead too": "CANCELED", "elsewhere": "STARTED"}
