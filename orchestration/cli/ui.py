"""The command `ui`: it serves Dagster's web UI and runs its daemon."""

import json
import os
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import click
from dagster import DagsterInstance

from orchestration.cli import services, stopping
from orchestration.cli.port import HOST, listen, port
from orchestration.instance.home import dagster_home
from orchestration.instance.killed_runs import bury, bury_launched
from orchestration.web_server.guard import configured
from resources.environments import PROJECT, data_folder
from resources.errors import TuttiError
from resources.locks import one_process
from resources.span import Span, store, stored
from resources.terminal import say

EXAMPLE = "make ui PORT=3001"
LOCK = "ui.lock"
POLL_S = 1
TIMEOUT_S = 60
ACTIVE_RUNS = "{ runsOrError(filter: {statuses: [STARTING, STARTED, CANCELING]}, limit: 1) { ... on Runs { count } } }"
RELOAD = 'mutation { reloadRepositoryLocation(repositoryLocationName: "tutti") { __typename } }'
# `dg dev`, which Dagster suggests instead, needs another package.
QUIET = "ignore:Function `dev_command` is superseded"


@click.command()
@click.option("--port", "number", type=port(EXAMPLE), default=3000, show_default=True, help="Local port of the web UI.")
def ui(number: int) -> None:
    """Serve Dagster's web UI and run its daemon until stopped."""
    data = data_folder()
    if os.environ.get("TUTTI_DATA_DIR") and not data.exists():
        raise TuttiError(f"no such data folder: {data}. Check DATA=, or run `make demo` or `make import` first.")
    listen(number, EXAMPLE).close()  # otherwise the error would be hidden in Dagster's log
    configured()  # raises `TuttiError` for an invalid TUTTI_UI_HOSTS
    from orchestration import definitions  # noqa: F401 (raises `TuttiError` for an unknown TUTTI_ENV)

    home = dagster_home()
    with one_process(home / LOCK, f"another `make ui` is running on {data}"):
        _serve(number, data, home)


def _serve(number: int, data: Path, home: Path) -> None:
    """Run Dagster until a signal arrives."""
    if not (span := stored(home)):  # nothing is imported yet, and imports only add days
        store(home, span := Span(datetime.now(UTC).date()))
    with DagsterInstance.get() as instance:
        bury(instance)  # otherwise Dagster would wait for them
        bury_launched(instance)
    # If days of twenty years change at once, the sensor needs more than Dagster's minute on a busy machine.
    os.environ.setdefault("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", "600")
    os.environ.setdefault("PYTHONWARNINGS", QUIET)
    say(f"Starting Dagster on {data} ...")
    accompany = threading.Thread(target=_accompany, args=(f"http://{HOST}:{number}", data, home, span), daemon=True)
    accompany.start()
    options = ["-w", str(PROJECT / "workspace.yaml"), "-h", HOST, "-p", str(number), "--log-level", "warning"]
    services.run([sys.executable, "-m", "orchestration.web_server.services", *options], PROJECT)


def _accompany(url: str, data: Path, home: Path, span: Span) -> None:
    """Print the URL once the server answers. Reload its definitions when days outside of `span` have partitions."""
    announced = False
    while not stopping.requested():
        time.sleep(POLL_S)
        try:
            if not announced:
                _ask(url, "{ version }")
                say(f"{url} shows {data}. Press Ctrl-C to stop.")
                announced = True
            elif not span.holds(now := stored(home) or span) and not _ask(url, ACTIVE_RUNS)["runsOrError"]["count"]:
                _ask(url, RELOAD)
                span = now
        except OSError:  # it has not started yet, or is stopping
            continue


def _ask(url: str, query: str) -> dict[str, Any]:
    """Return the data of a GraphQL query."""
    request = Request(f"{url}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"})  # noqa: S310 (this machine)
    with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
        data: dict[str, Any] = json.load(answer)["data"]
    return data
