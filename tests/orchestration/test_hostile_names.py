"""Hostile names, from an import to the browser and the terminal: they do nothing but be shown."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.screenshots import served
from tests.hostile import CONTROLS, MARKDOWN, NAMES, misleading
from tests.orchestration.support import TUTTI, Process

pytestmark = pytest.mark.slow
LOAD_MS, SETTLE_MS = 120_000, 3_000
PAGES = ("derived/charts_daily", "derived/charts_all_time", "events/quarantine", "events/imports")
TOP = ("an address", "an element", "a script's link", "a script", "an image")  # of the charts, the last one first
LISTENER = f"ada {CONTROLS['a window title']}"


def exported(folder: Path) -> list[str]:
    """Write exports whose file names, artists and titles are hostile, with a record that is quarantined in each."""
    names = [name.encode(errors="surrogatepass").decode(errors="replace") for name in NAMES.values()]
    records = [
        {
            "ts": f"2024-03-01T{n // 60:02}:{n % 60:02}:00Z",
            "ms_played": 200_000 - 1_000 * n,
            "master_metadata_track_name": name,
            "master_metadata_album_artist_name": name,
            "master_metadata_album_album_name": name,
        }
        for n, name in enumerate(names + [MARKDOWN[each] for rank, each in enumerate(TOP, 1) for _ in range(2 * rank)])
    ]
    files = []
    for n, name in enumerate(
        ("endsong ![p](http:203.0.113.250)", "endsong \x1b]0;title\x07\u202e", "endsong\ntutti: b")
    ):
        files.append(folder / f"{name}_{n}.json")
        files[-1].write_text(json.dumps([*records[n::3], {**records[n], "ts": f"{name} <script>hacked</script>"}]))
    return [str(file) for file in files]


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Process:
    """An import of hostile names."""
    folder = tmp_path_factory.mktemp("hostile")
    files = exported(folder)
    return Process((*TUTTI, "import", "--listener", LISTENER, "--", *files), folder / "data").fine()


def test_the_ui_requests_nothing_elsewhere_and_runs_no_script(imported: Process) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: `make screenshots`")
    if not (chromium := shutil.which("chromium")):
        pytest.skip("no Chromium to look at the UI with")
    with served(imported.data) as url, playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        requested: list[str] = []
        page.on("request", lambda request: requested.append(request.url))
        runs = page.request.post(
            f"{url}/graphql", data={"query": "{ runsOrError { ... on Runs { results { runId } } } }"}
        ).json()["data"]["runsOrError"]["results"]
        seen = ""
        for path in [*(f"assets/{name}?view=overview" for name in PAGES), *(f"runs/{run['runId']}" for run in runs)]:
            page.goto(f"{url}/{path}", timeout=LOAD_MS)
            page.get_by_text("Overview" if path.startswith("assets") else "Success").first.wait_for(timeout=LOAD_MS)
            page.wait_for_timeout(SETTLE_MS)
            for shown in page.get_by_text("[Show Markdown]").all()[:5]:
                shown.evaluate("element => element.click()")  # the run page has a button above it
                page.wait_for_timeout(SETTLE_MS // 3)
                seen += page.inner_text("body")
                page.keyboard.press("Escape")
            seen += page.inner_text("body")
            addresses = page.eval_on_selector_all("a[href], img[src]", "all => all.map(each => each.href || each.src)")
            assert [a for a in addresses if "203.0.113" in a or "example.net" in a or a.startswith("javascript")] == []
            assert page.evaluate("window.hacked") is None
        browser.close()
    own = (url, "data:", "blob:", url.replace("http", "ws"))
    assert [address for address in requested if not address.startswith(own)] == []
    assert [each for each in TOP[2:] if MARKDOWN[each] not in seen] == []  # shown as they are


def commands(folder: Path) -> Iterator[tuple[str, ...]]:
    """Yield command lines with hostile names: of listeners, files, folders, options and commands."""
    for name in ("\x1b[31mred\x07", "a\u202eb\u2066c", "one\ntutti: two", "ad\u200bele\x9b2J"):
        yield "export", "--listener", name
        yield "erase", "--listener", name, "--yes"
        yield "import", "--listener", name, "--", str(folder / f"missing {name}.json")
        yield "pull", "--source", name, "--user", name
        yield "pull", "--source", "lastfm", "--user", name
        yield "backfill", "--from", name, "--to", name
        yield "backfill", "--from", "2024-03-01", "--to", "2024-03-01", "--select", name
        yield "analyze", "--music", str(folder / name)
        yield "chart", "--limit", name
        yield "chart", "--period", name
        yield "ui", "--port", name
        yield "mock-services", "--faults", name
        yield "generate-listens", "--listens", name
        yield "demo", "--today", name
        yield "stream", name
        yield (name,)


def clean(text: str) -> bool:
    """Return whether a text has no character that misleads."""
    assert misleading(text) == [], text
    return True


def test_no_command_prints_a_raw_control(imported: Process, tmp_path: Path) -> None:
    assert clean(imported.out) and clean(imported.err)
    assert "\\x1b" in imported.out
    data = tmp_path / "data"
    shutil.copytree(imported.data, data)
    (data / "music").mkdir()
    (data / "music" / "bad \x1b]0;t\x07\u202e.mp3").write_bytes(b"no sound")
    (data / "landing" / "listens").mkdir(parents=True)
    (data / "landing" / "listens" / "bad \x1b[2J\u2028.jsonl").write_text('{"artist": "\\u001b[2J"}\n')
    erased = ("erase", "--listener", LISTENER, "--yes")
    for command in (
        ("chart",),
        ("chart", "--period", "daily"),
        ("export", "--listener", LISTENER),
        ("analyze",),
        erased,
    ):
        process = Process((*TUTTI, *command), data)
        assert process.code == 0, (command, process.out, process.err)
        assert clean(process.out) and clean(process.err)


@pytest.mark.parametrize(
    ("variable", "command"),
    [
        ("TUTTI_ENV", "backfill --from 2024-03-01 --to 2024-03-01"),
        ("TUTTI_LAKE_URL", "chart"),
        ("TUTTI_SCROBBLE_PORT", "serve-scrobbles"),
        ("TUTTI_SCROBBLE_TOKENS", "serve-scrobbles"),
        ("TUTTI_UI_HOSTS", "ui"),
        ("TUTTI_MUSIC_DIR", "analyze"),
        ("TUTTI_LASTFM_URL", "pull --source lastfm --user ada --from 2024-03-01 --to 2024-03-01"),
    ],
)
def test_no_error_prints_a_raw_control_of_the_environment(variable: str, command: str, imported: Process) -> None:
    environ = {"TUTTI_SCROBBLE_TOKENS": "ada:secret", variable: "a\x1b]0;t\x07\u202e\nb"}
    process = Process((*TUTTI, *command.split()), imported.data, environ)
    assert process.code == 1
    assert clean(process.out) and clean(process.err)
    assert process.err.startswith("tutti: ")


def test_no_error_prints_a_raw_control_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from orchestration.cli.main import main

    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path / "data \x1b[31m"))
    monkeypatch.setenv("DAGSTER_HOME", "")
    for command in commands(tmp_path):
        monkeypatch.setattr("sys.argv", ["tutti", *command])
        assert main() in (1, 2), command
        out, err = capfd.readouterr()
        assert err.startswith("tutti: ") and err.count("\n") == 1, (command, err)
        assert clean(out) and clean(err)
