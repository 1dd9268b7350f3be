"""Screenshots: takes the pictures of the README from Dagster's web UI, after `make demo`.

`python -m tests.docs.screenshots` (`make screenshots`) serves `data/demo` and opens it in a headless Chromium: the
system's if there is one, else Playwright's (`playwright install chromium`).
"""

import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from resources.environments import PROJECT, data_folder
from tests.orchestration.support import TUTTI, free_port, running

IMAGES = PROJECT / "docs" / "images"
SIZE = {"width": 1440, "height": 900}  # pixels
START_S, LOAD_MS = 240, 120_000  # until the web server answers, and until a page is complete
SETTLE_MS = 20_000  # until the graph is drawn and statuses have arrived
PAGES = {
    "lineage": ("/assets/derived/charts_weekly?view=lineage&lineageScope=upstream&lineageDepth=5", "raw_listens"),
    "asset": ("/assets/derived/charts_weekly?view=overview", "Columns"),
}
"""Of each picture: the path of its page and a text that the complete page shows."""


@contextmanager
def served(data: Path) -> Iterator[str]:
    """Serve the web UI over a data folder. Yield its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        tempfile.TemporaryDirectory() as folder,
        running([*TUTTI, "ui", "--port", str(port)], data, Path(folder, "log")),
    ):
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            with suppress(OSError), urllib.request.urlopen(f"{url}/server_info"):
                break
            time.sleep(0.5)
        else:
            sys.exit(f"no web server at {url} after {START_S} s:\n{Path(folder, 'log').read_text()[-3000:]}")
        yield url


def main() -> None:
    """Take every picture."""
    from playwright.sync_api import sync_playwright

    data = data_folder()
    if not (data / "lake").is_dir():
        sys.exit(f"no tables in {data}: run `make demo` first")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with served(data) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
        for name, (path, text) in PAGES.items():
            page.goto(f"{url}{path}", timeout=LOAD_MS)
            page.get_by_text(text).first.wait_for(timeout=LOAD_MS)
            page.wait_for_timeout(SETTLE_MS)
            page.screenshot(path=IMAGES / f"{name}.png")
            print(f"{IMAGES / name}.png: {(IMAGES / f'{name}.png').stat().st_size / 1000:.0f} kB", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
