"""The command that serves Dagster's web UI and runs its daemon."""

import os
import signal
import sys
from pathlib import Path

import click
from dagster import DagsterInstance

from orchestration.cli.port import HOST, listen, port
from orchestration.instance.home import dagster_home
from orchestration.instance.killed_runs import bury, bury_launched
from resources.environments import PROJECT, data_folder

EXAMPLE = "make ui PORT=3001"


@click.command()
@click.option("--port", "number", type=port(EXAMPLE), default=3000, show_default=True, help="Port of this machine.")
def ui(number: int) -> None:
    """Serve Dagster's web UI and run its daemon until stopped."""
    listen(number, EXAMPLE).close()  # Dagster would say so in one of its many lines
    dagster_home()
    with DagsterInstance.get() as instance:
        bury(instance)  # else Dagster would wait for them
        bury_launched(instance)
    print(f"http://{HOST}:{number} shows {data_folder()}; Ctrl-C ends it", flush=True)
    # Days of twenty years that change at once take the sensor longer than Dagster's minute on a busy machine.
    os.environ.setdefault("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", "600")
    command = ["dagster", "dev", "-w", str(PROJECT / "workspace.yaml"), "-h", HOST, "-p", str(number)]
    for stop in (signal.SIGINT, signal.SIGTERM):  # a script's background commands inherit that they are ignored
        signal.signal(stop, signal.SIG_DFL)
    os.chdir(PROJECT)
    os.execv(str(Path(sys.executable).with_name("dagster")), command)  # noqa: S606 (it is ours)
