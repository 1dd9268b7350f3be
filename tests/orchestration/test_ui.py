"""The web server and the daemon, as a person runs them: an import from the browser, what follows, and a backfill."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.orchestration.support import BIN, PROJECT, environ, rows, versions

PATIENCE = 120  # seconds, for each thing that happens by itself

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message }
  }
}
"""
BACKFILL = """
mutation Backfill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
BACKFILL_STATUS = """
query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) { __typename ... on PartitionBackfill { status } }
}
"""
RUNS = "query Runs { runsOrError { __typename ... on Runs { results { runId jobName status tags { key value } } } } }"
LOCATIONS = """
query Locations {
  workspaceOrError {
    ... on Workspace { locationEntries { name locationOrLoadError { __typename } } }
  }
}
"""


class Browser:
    """What the pages of the web server ask it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The answer to a query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            told: dict[str, Any] = json.load(answer)
        assert not told.get("errors"), told
        return dict(told["data"])

    def runs(self) -> list[dict[str, Any]]:
        """Every run there has been."""
        return list(self.ask(RUNS)["runsOrError"]["results"])

    def loaded(self) -> bool:
        """Whether the server answers and has loaded the platform."""
        try:
            entries = self.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
        except OSError:
            return False
        kinds = {e["name"]: (e["locationOrLoadError"] or {}).get("__typename") for e in entries}
        assert kinds.get("tutti") != "PythonError"
        return kinds == {"tutti": "RepositoryLocation"}


def wait(until: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    give_up = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < give_up, f"{what} did not happen within {PATIENCE} s"
        time.sleep(0.5)


@contextmanager
def running(command: list[str], data: Path, log: Path) -> Iterator[None]:
    """A server with all the processes it starts, until the end of the block."""
    with log.open("w") as said:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environ(data), stdout=said, stderr=said, start_new_session=True
        )
    try:
        yield
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, sign)
            except ProcessLookupError:
                break
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                continue
        process.wait(10)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty platform."""
    folder = tmp_path_factory.mktemp("ui") / "data"
    (folder / "dagster").mkdir(parents=True)
    (folder / "dagster" / "dagster.yaml").write_text((PROJECT / "orchestration" / "dagster.yaml").read_text())
    return folder


@pytest.fixture(scope="module")
def browser(data: Path) -> Iterator[Browser]:
    """The web server and the daemon of that platform."""
    port, workspace = free_port(), ["-w", str(PROJECT / "workspace.yaml")]
    server = [str(BIN / "dagster-webserver"), *workspace, "-h", "127.0.0.1", "-p", str(port)]
    daemon = [str(BIN / "dagster-daemon"), "run", *workspace]
    logs = [data.parent / "server.log", data.parent / "daemon.log"]
    with running(server, data, logs[0]), running(daemon, data, logs[1]):
        found = Browser(port)
        try:
            wait(found.loaded, "loading the platform")
            yield found
        finally:
            for log in logs:
                print(log.name, log.read_text()[-4000:])  # shown where a test fails


IMPORT = {"repositoryLocationName": "tutti", "repositoryName": "__repository__", "jobName": "import_listens"}
FOLLOWING = ["actives", "all_time", "daily", "import_listens", "monthly", "weekly", "yearly"]
BACKFILLED = ["events/listens", "derived/plays", "derived/names"]


@dataclass
class Afternoon:
    """What a person did in the browser, and what became of it."""

    runs: list[dict[str, Any]]
    before: dict[str, int]  # versions of tables, before the backfill
    after: dict[str, int]


@pytest.fixture(scope="module")
def afternoon(browser: Browser, data: Path) -> Afternoon:
    """Three days of listens are imported; once they are in, the same days are asked for by a backfill."""
    path = data.parent / "endsong_0.json"
    played = {"ms_played": 60_000, "master_metadata_album_artist_name": "Clara Example"}
    ends = [("2024-03-01T12:00:00Z", "Prelude"), ("2024-03-02T12:00:00Z", "Fugue"), ("2024-03-03T12:00:00Z", "Fugue")]
    path.write_text(json.dumps([{"ts": ts, "master_metadata_track_name": name, **played} for ts, name in ends]))
    config = {"ops": {"imports": {"config": {"files": [str(path)], "listener": "ada"}}}}
    answer = browser.ask(LAUNCH, params={"selector": IMPORT, "runConfigData": config})["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer

    def succeeded() -> list[str]:
        runs = browser.runs()
        assert not [r for r in runs if r["status"] in ("FAILURE", "CANCELED")]
        return sorted(r["jobName"] for r in runs if r["status"] == "SUCCESS")

    wait(lambda: "daily" in succeeded(), "making the days again")
    before = versions(data)
    asked = {
        "assetSelection": [{"path": name.split("/")} for name in BACKFILLED],
        "partitionNames": ["2024-03-01", "2024-03-02", "2024-03-03"],
    }
    answer = browser.ask(BACKFILL, params=asked)["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer

    def backfilled() -> bool:
        told = browser.ask(BACKFILL_STATUS, id=answer["backfillId"])["partitionBackfillOrError"]
        assert told.get("status") not in ("FAILED", "COMPLETED_FAILED", "CANCELED"), told
        return bool(told.get("status") == "COMPLETED_SUCCESS")

    wait(lambda: set(FOLLOWING) <= set(succeeded()), "the charts' following")
    wait(backfilled, "the backfill")
    return Afternoon(browser.runs(), before, versions(data))


def test_an_import_from_the_browser_makes_the_charts_follow(afternoon: Afternoon, data: Path) -> None:
    assert sorted(r["jobName"] for r in afternoon.runs if r["jobName"] != "__ASSET_JOB") == FOLLOWING
    for name in ("weekly", "monthly", "yearly", "all_time"):
        chart = [r for r in rows(data, f"derived/charts_{name}") if r["entity"] == "recording"]
        places = sorted((r["rank"], r["plays"], r["name"]) for r in chart)
        assert places == [(1, 2, "Clara Example – Fugue"), (2, 1, "Clara Example – Prelude")], name


def test_a_backfill_of_three_days_from_the_browser_is_one_run(afternoon: Afternoon, data: Path) -> None:
    (run,) = [r for r in afternoon.runs if r["jobName"] == "__ASSET_JOB"]
    assert run["status"] == "SUCCESS"
    tags = {t["key"]: t["value"] for t in run["tags"]}
    assert tags["dagster/asset_partition_range_start"] == "2024-03-01"
    assert tags["dagster/asset_partition_range_end"] == "2024-03-03"
    daily = ["events/listens", "events/sessions", "derived/plays", "derived/artist_plays", "derived/names"]
    assert {n: afternoon.after[n] - afternoon.before[n] for n in daily} == {n: int(n in BACKFILLED) for n in daily}
    assert len(rows(data, "events/listens")) == 3
