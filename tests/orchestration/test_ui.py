"""The web server and the daemon, as a person runs them: a file lands, one is imported in the browser, a backfill."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestration.automation import AUTOMATIC
from orchestration.run_tags import RANGE_END, RANGE_START
from tests.orchestration.support import TUTTI, free_port, rows, running

PATIENCE = 900  # seconds, for each thing that happens by itself: a dozen runs, each a process, beside other tests

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
        time.sleep(2)  # each look opens a table or asks the server, which has other work


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty platform."""
    data = tmp_path_factory.mktemp("ui") / "data"
    data.mkdir()
    return data


@pytest.fixture(scope="module")
def browser(data: Path) -> Iterator[Browser]:
    """The web server and the daemon of that platform."""
    port, log = free_port(), data.parent / "ui.log"
    with running([*TUTTI, "ui", "--port", str(port)], data, log):
        found = Browser(port)
        try:
            wait(found.loaded, "loading the platform")
            yield found
        finally:
            print(log.read_text()[-4000:])  # shown if a test fails


IMPORT = {"repositoryLocationName": "tutti", "repositoryName": "__repository__", "jobName": "import_listens"}
BACKFILLED = ["events/listens", "derived/recording_plays", "derived/display_names"]


def launched(browser: Browser, path: Path, listener: str) -> None:
    """An import of a person's file is started from the launchpad."""
    config = {"ops": {"imports": {"config": {"files": [str(path)], "listener": listener}}}}
    answer = browser.ask(LAUNCH, params={"selector": IMPORT, "runConfigData": config})["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer


def runs(browser: Browser, **tags: str) -> list[dict[str, str]]:
    """The tags of the runs that have certain ones, none of which failed."""
    found = browser.runs()
    assert not [r for r in found if r["status"] in ("FAILURE", "CANCELED")]
    told = [{t["key"]: t["value"] for t in run["tags"]} for run in found if run["status"] == "SUCCESS"]
    return [t for t in told if tags.items() <= t.items()]


@pytest.fixture(scope="module")
def now(browser: Browser, data: Path) -> datetime:
    """When ada listened, whose file has landed; that of bob, of long ago, is imported in the browser meanwhile."""
    path = data.parent / "endsong_0.json"
    played = {"ms_played": 60_000, "master_metadata_album_artist_name": "Clara Example"}
    ends = [("2024-03-01T12:00:00Z", "Prelude"), ("2024-03-02T12:00:00Z", "Fugue"), ("2024-03-03T12:00:00Z", "Fugue")]
    path.write_text(json.dumps([{"ts": ts, "master_metadata_track_name": name, **played} for ts, name in ends]))
    launched(browser, path, "bob")
    at = datetime.now(UTC) - timedelta(seconds=10)
    said = {"artist_name": "Clara Example", "track_name": "Nocturne"}
    listen = {"listened_at": int(at.timestamp()), "user_name": "ada", "track_metadata": said}
    landing = data / "landing" / "listens"
    landing.mkdir(parents=True)
    (landing / ".ada.jsonl").write_text(json.dumps(listen) + "\n")
    (landing / ".ada.jsonl").rename(landing / "ada.jsonl")
    return at


def charted(data: Path, period: str, start: str) -> list[tuple[int, int, str]]:
    """Places, plays and names in a chart of recordings."""
    chart = [r for r in rows(data, f"derived/charts_{period}") if r["entity"] == "recording"]
    return sorted((r["rank"], r["plays"], r["name"]) for r in chart if r["period_start"] == date.fromisoformat(start))


def test_a_listen_that_landed_shows_today(now: datetime, data: Path) -> None:
    today = now.date().isoformat()
    wait(lambda: charted(data, "daily", today) == [(1, 1, "Clara Example – Nocturne")], "today's chart")
    assert [(r["user_id"], r["plays"]) for r in rows(data, "derived/recording_plays") if r["day"] == now.date()] == [
        ("ada", 1)
    ]


def test_an_import_from_the_browser_makes_the_charts_of_then_follow(
    now: datetime, browser: Browser, data: Path
) -> None:
    first, second = (1, 2, "Clara Example – Fugue"), (2, 1, "Clara Example – Prelude")
    for period, start in (("weekly", "2024-02-26"), ("monthly", "2024-03-01"), ("yearly", "2024-01-01")):
        wait(lambda p=period, s=start: charted(data, p, s) == [first, second], f"the {period} chart")
    days = {r["day"].isoformat() for r in rows(data, "events/listens")}
    assert days == {"2024-03-01", "2024-03-02", "2024-03-03", now.date().isoformat()}
    made = {(tags[RANGE_START], tags[RANGE_END]) for tags in runs(browser, **{AUTOMATIC: "yes"})}
    assert ("2024-03-01", "2024-03-03") in made, "the days of one file are not built together"
    assert not {(day, day) for day in days if day < "2024-03-04"} & made, "a day of the file is built alone"


def test_a_backfill_of_three_days_from_the_browser_is_one_run(now: datetime, browser: Browser, data: Path) -> None:
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

    wait(backfilled, "the backfill")
    (tags,) = runs(browser, **{"dagster/backfill": answer["backfillId"]})
    assert (tags[RANGE_START], tags[RANGE_END]) == ("2024-03-01", "2024-03-03")
    assert len([r for r in rows(data, "events/listens") if r["user_id"] == "bob"]) == 3
