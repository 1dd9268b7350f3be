"""The command that serves Dagster's web UI and runs its daemon."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import click
from dagster import DagsterInstance

from orchestration.cli.port import HOST, listen, port
from orchestration.instance.home import dagster_home
from orchestration.instance.killed_runs import bury, bury_launched
from resources.environments import PROJECT, data_folder
from resources.errors import TuttiError
from resources.span import stored

EXAMPLE = "make ui PORT=3001"
POLL_S = 1
TIMEOUT_S = 60
AT_WORK = "{ runsOrError(filter: {statuses: [STARTING, STARTED, CANCELING]}, limit: 1) { ... on Runs { count } } }"
RELOAD = 'mutation { reloadRepositoryLocation(repositoryLocationName: "tutti") { __typename } }'
# `dg dev`, which Dagster advises, needs a package more.
QUIET = "ignore:Function `dev_command` is superseded"


@click.command()
@click.option("--port", "number", type=port(EXAMPLE), default=3000, show_default=True, help="Port of this machine.")
def ui(number: int) -> None:
    """Serve Dagster's web UI and run its daemon until stopped."""
    data = data_folder()
    if os.environ.get("TUTTI_DATA_DIR") and not data.exists():
        raise TuttiError(f"no such data folder: {data}. Check DATA=, or run `make demo` or `make import` first.")
    listen(number, EXAMPLE).close()  # Dagster would say so in one of its many lines
    from orchestration import definitions  # noqa: F401 (raises `TuttiError` for an unknown TUTTI_ENV)

    home = dagster_home()
    with DagsterInstance.get() as instance:
        bury(instance)  # else Dagster would wait for them
        bury_launched(instance)
    # Days of twenty years that change at once take the sensor longer than Dagster's minute on a busy machine.
    os.environ.setdefault("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", "600")
    os.environ.setdefault("PYTHONWARNINGS", QUIET)
    for stop in (signal.SIGINT, signal.SIGTERM):  # a script's background commands inherit that they are ignored
        signal.signal(stop, signal.SIG_DFL)
    server = os.getpid()
    if os.fork() == 0:
        _accompany(server, f"http://{HOST}:{number}", data, home)
    print(f"Starting Dagster on {data} ...", flush=True)
    command = ["dagster", "dev", "-w", str(PROJECT / "workspace.yaml"), "-h", HOST, "-p", str(number)]
    os.chdir(PROJECT)
    os.execv(  # noqa: S606 (it is ours)
        str(Path(sys.executable).with_name("dagster")), [*command, "--log-level", "warning"]
    )


def _accompany(server: int, url: str, data: Path, home: Path) -> None:
    """Print the address once the server answers, and reload its definitions when other days have partitions.

    This process ends with the server, its parent.
    """
    span, announced = stored(home), False
    while os.getppid() == server:
        time.sleep(POLL_S)
        try:
            if not announced:
                _ask(url, "{ version }")
                print(f"{url} shows {data}; Ctrl-C ends it", flush=True)
                announced = True
            elif (now := stored(home)) != span and not _ask(url, AT_WORK)["runsOrError"]["count"]:
                _ask(url, RELOAD)
                span = now
        except OSError:  # it has not started yet, or is stopping
            continue
    os._exit(0)


def _ask(url: str, query: str) -> dict[str, Any]:
    request = Request(f"{url}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"})  # noqa: S310 (this machine)
    with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)["data"]
    return found
