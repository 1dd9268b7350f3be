"""The web server and the daemon: a landed file, an import and a backfill from the browser, and pages of other sites."""

import http.server
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestration.automation import AUTOMATIC
from orchestration.run_tags import RANGE_END, RANGE_START
from tests.chromium import chromium
from tests.orchestration.support import TUTTI, free_port, rows, running

PATIENCE = 900  # seconds for each wait: a dozen runs, each a process, while other tests run

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
    """A client of the web server's GraphQL API."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Return the data of a query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            response: dict[str, Any] = json.load(answer)
        assert not response.get("errors"), response
        return dict(response["data"])

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs."""
        return list(self.ask(RUNS)["runsOrError"]["results"])

    def loaded(self) -> bool:
        """Return whether the server answers and has loaded the definitions."""
        try:
            entries = self.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
        except OSError:
            return False
        kinds = {e["name"]: (e["locationOrLoadError"] or {}).get("__typename") for e in entries}
        assert kinds.get("tutti") != "PythonError"
        return kinds == {"tutti": "RepositoryLocation"}


def wait(until: Callable[[], bool], what: str) -> None:
    """Wait until a condition is true."""
    give_up = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < give_up, f"{what} did not happen within {PATIENCE} s"
        time.sleep(2)  # each check opens a table or queries the busy server


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty platform."""
    data = tmp_path_factory.mktemp("ui") / "data"
    data.mkdir()
    return data


@pytest.fixture(scope="module")
def browser(data: Path) -> Iterator[Browser]:
    """The web server and the daemon on that platform."""
    port, log = free_port(), data.parent / "ui.log"
    with running([*TUTTI, "ui", "--port", str(port)], data, log):
        client = Browser(port)
        try:
            wait(client.loaded, "loading the platform")
            yield client
        finally:
            print(log.read_text()[-4000:])  # shown if a test fails


IMPORT = {"repositoryLocationName": "tutti", "repositoryName": "__repository__", "jobName": "import_listens"}
BACKFILLED = ["events/listens", "derived/recording_plays", "derived/display_names"]


def launch_import(browser: Browser, path: Path, listener: str) -> None:
    """Start an import of a listener's file, as the launchpad does."""
    config = {"ops": {"imports": {"config": {"files": [str(path)], "listener": listener}}}}
    answer = browser.ask(LAUNCH, params={"selector": IMPORT, "runConfigData": config})["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer


def runs(browser: Browser, **tags: str) -> list[dict[str, str]]:
    """Return the tags of successful runs that have certain tags. Assert that no run failed."""
    all_runs = browser.runs()
    assert not [r for r in all_runs if r["status"] in ("FAILURE", "CANCELED")]
    succeeded = [{t["key"]: t["value"] for t in run["tags"]} for run in all_runs if run["status"] == "SUCCESS"]
    return [t for t in succeeded if tags.items() <= t.items()]


@pytest.fixture(scope="module")
def now(browser: Browser, data: Path) -> datetime:
    """Import an old file of bob in the browser, land a file of ada, and return when ada listened."""
    path = data.parent / "endsong_0.json"
    played = {"ms_played": 60_000, "master_metadata_album_artist_name": "Clara Example"}
    ends = [("2024-03-01T12:00:00Z", "Prelude"), ("2024-03-02T12:00:00Z", "Fugue"), ("2024-03-03T12:00:00Z", "Fugue")]
    path.write_text(json.dumps([{"ts": ts, "master_metadata_track_name": name, **played} for ts, name in ends]))
    launch_import(browser, path, "bob")
    at = datetime.now(UTC) - timedelta(seconds=10)
    names = {"artist_name": "Clara Example", "track_name": "Nocturne"}
    listen = {"listened_at": int(at.timestamp()), "user_name": "ada", "track_metadata": names}
    landing = data / "landing" / "listens"
    landing.mkdir(parents=True)
    (landing / ".ada.jsonl").write_text(json.dumps(listen) + "\n")
    (landing / ".ada.jsonl").rename(landing / "ada.jsonl")
    return at


def chart_of(data: Path, period: str, start: str) -> list[tuple[int, int, str]]:
    """Return ranks, plays and names of a chart of recordings."""
    chart = [r for r in rows(data, f"derived/charts_{period}") if r["entity"] == "recording"]
    return sorted((r["rank"], r["plays"], r["name"]) for r in chart if r["period_start"] == date.fromisoformat(start))


def test_a_landed_listen_is_in_todays_chart(now: datetime, data: Path) -> None:
    today = now.date().isoformat()
    wait(lambda: chart_of(data, "daily", today) == [(1, 1, "Clara Example – Nocturne")], "today's chart")
    assert [(r["user_id"], r["plays"]) for r in rows(data, "derived/recording_plays") if r["day"] == now.date()] == [
        ("ada", 1)
    ]


def test_an_import_from_the_browser_updates_old_charts(now: datetime, browser: Browser, data: Path) -> None:
    first, second = (1, 2, "Clara Example – Fugue"), (2, 1, "Clara Example – Prelude")
    for period, start in (("weekly", "2024-02-26"), ("monthly", "2024-03-01"), ("yearly", "2024-01-01")):
        wait(lambda p=period, s=start: chart_of(data, p, s) == [first, second], f"the {period} chart")
    days = {r["day"].isoformat() for r in rows(data, "events/listens")}
    assert days == {"2024-03-01", "2024-03-02", "2024-03-03", now.date().isoformat()}
    ranges = {(tags[RANGE_START], tags[RANGE_END]) for tags in runs(browser, **{AUTOMATIC: "yes"})}
    # The days of the file together; beside them the days that a record can change, if no day had partitions before.
    assert {("2024-03-01", "2024-03-03"), ("2024-03-01", "2024-03-05")} & ranges
    assert not {(day, day) for day in days if day < "2024-03-04"} & ranges, "a day of the file is built alone"


def test_a_backfill_from_the_browser_is_one_run(now: datetime, browser: Browser, data: Path) -> None:
    params = {
        "assetSelection": [{"path": name.split("/")} for name in BACKFILLED],
        "partitionNames": ["2024-03-01", "2024-03-02", "2024-03-03"],
    }
    answer = browser.ask(BACKFILL, params=params)["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer

    def backfilled() -> bool:
        status = browser.ask(BACKFILL_STATUS, id=answer["backfillId"])["partitionBackfillOrError"]
        assert status.get("status") not in ("FAILED", "COMPLETED_FAILED", "CANCELED"), status
        return bool(status.get("status") == "COMPLETED_SUCCESS")

    wait(backfilled, "the backfill")
    (tags,) = runs(browser, **{"dagster/backfill": answer["backfillId"]})
    assert (tags[RANGE_START], tags[RANGE_END]) == ("2024-03-01", "2024-03-03")
    assert len([r for r in rows(data, "events/listens") if r["user_id"] == "bob"]) == 3


EVIL = "evil.example"  # a name that the browser of these tests resolves to this machine
ATTACK = """<!doctype html><body><script>
const ui = "http://127.0.0.1:%(port)d", url = ui + "/graphql", read = [];
const launch = shape => `mutation { launchRun(executionParams: {selector: {repositoryLocationName: "tutti",
  repositoryName: "__repository__", jobName: "maintenance"}, mode: "default", runConfigData: "{}",
  executionMetadata: {tags: [{key: "shape", value: "${shape}"}]}}) { __typename } }`;
const by = (shape, more) => url + "?query=" + encodeURIComponent(launch(shape)) + (more || "");
const json = shape => JSON.stringify({query: launch(shape)});
const add = (tag, values) => document.body.appendChild(Object.assign(document.createElement(tag), values));
for (const [tag, key] of [["img", "src"], ["script", "src"], ["iframe", "src"], ["embed", "src"], ["video", "src"]])
  add(tag, {[key]: by(tag)});
for (const rel of ["stylesheet", "prefetch", "preload"]) add("link", {rel, href: by(rel), as: "image"});
for (const [method, enctype] of [["GET", ""], ["POST", ""], ["POST", "text/plain"], ["POST", "multipart/form-data"]]) {
  const name = "form " + method + enctype, form = add("form", {method, enctype, action: by(name), target: name});
  add("iframe", {name});
  form.appendChild(Object.assign(document.createElement("input"), {name: "query", value: launch(name)}));
  form.submit();
}
const frame = add("iframe", {src: ui + "/runs"});
frame.onload = () => { try { read.push(frame.contentDocument.body.innerText) } catch (e) {} };
for (const [shape, options] of [
  ["fetch GET", {}],
  ["fetch no-cors", {mode: "no-cors"}],
  ["fetch text", {method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain; application/json"}}],
  ["fetch json", {method: "POST", headers: {"Content-Type": "application/json"}}],
  ["fetch without origin", {method: "POST", mode: "no-cors", referrerPolicy: "no-referrer"}],
]) fetch(by(shape), options.method ? {...options, body: json(shape)} : options).then(r => r.text())
  .then(text => text && read.push(text)).catch(() => 0);
navigator.sendBeacon(by("beacon"), json("beacon"));
fetch(ui + "/report_asset_materialization/events/listens?shape=report", {method: "POST", mode: "no-cors"});
const socket = new WebSocket(url.replace("http", "ws"), "graphql-ws");
socket.onopen = () => {
  read.push("socket");
  socket.send('{"type": "connection_init"}');
  socket.send(JSON.stringify({type: "start", id: "1", payload: {query: launch("websocket")}}));
};
socket.onmessage = message => read.push(message.data);
add("iframe", {sandbox: "allow-scripts", srcdoc: `<script>fetch("${url}", {method: "POST", mode: "no-cors",
  body: ${JSON.stringify(json("sandboxed"))}})</` + "script>"});
</script>"""


@pytest.fixture(scope="module")
def evil_site(browser: Browser) -> Iterator[int]:
    """A site of somebody else, on this machine for the test. Its first page tries everything that a page can send."""
    content = (ATTACK % {"port": browser.port}).encode()

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(content if self.path == "/" else b"<!doctype html>")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def shapes(browser: Browser) -> list[str]:
    """Return the requests of other sites that launched a run."""
    return sorted(tag["value"] for run in browser.runs() for tag in run["tags"] if tag["key"] == "shape")


@pytest.mark.parametrize("host", [EVIL, "localhost", "127.0.0.1"])  # another site, and other origins of this machine
def test_a_page_of_another_origin_runs_and_reads_nothing(host: str, browser: Browser, evil_site: int) -> None:
    with chromium(f"--host-resolver-rules=MAP {EVIL} 127.0.0.1") as chrome:
        page = chrome.new_page()
        answers = []
        page.on("response", lambda response: answers.append((response.url, response.status)))
        page.goto(f"http://{host}:{evil_site}/", wait_until="networkidle")
        page.wait_for_timeout(2_000)
        assert page.evaluate("read") == []
    statuses = [status for url, status in answers if f":{browser.port}/" in url]
    assert len(statuses) >= 5, "the page's requests did not reach the server"
    assert set(statuses) == {403}
    assert shapes(browser) == []


def test_a_name_that_another_site_points_here_is_refused(browser: Browser) -> None:
    with chromium(f"--host-resolver-rules=MAP {EVIL} 127.0.0.1") as chrome:
        answer = chrome.new_page().goto(f"http://{EVIL}:{browser.port}/")
        assert answer.status == 403


def test_a_link_from_another_site_launches_nothing(browser: Browser, evil_site: int) -> None:
    with chromium(f"--host-resolver-rules=MAP {EVIL} 127.0.0.1") as chrome:
        for path, status in (("/runs", 200), ("/graphql?query=mutation{reloadWorkspace{__typename}}", 403)):
            page = chrome.new_page()
            page.goto(f"http://{EVIL}:{evil_site}/links")
            with page.expect_response(lambda response, path=path: path.partition("?")[0] in response.url) as answer:
                page.evaluate("to => { location = to }", f"http://127.0.0.1:{browser.port}{path}")
            assert answer.value.status == status
    assert shapes(browser) == []


def test_the_launchpad_starts_a_job_and_shows_its_events_live(browser: Browser) -> None:
    url = f"http://127.0.0.1:{browser.port}"
    with chromium() as chrome:
        page = chrome.new_page()
        failed, frames = [], list[str]()
        page.on("response", lambda response: failed.append(response.url) if response.status >= 400 else None)
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
        page.set_default_timeout(PATIENCE * 1_000)
        page.goto(f"{url}/locations/tutti/jobs/maintenance/playground")
        page.get_by_role("button", name="Launch run").first.click()
        page.wait_for_url("**/runs/**")
        page.get_by_text("RUN_SUCCESS").first.wait_for()
        page.goto(f"{url}/assets/events/listens")
        page.get_by_text("listened_at").first.wait_for()
    assert failed == []
    assert any("pipelineRunLogs" in frame for frame in frames)
