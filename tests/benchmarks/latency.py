"""Measure the time from a listen to today's tables: `python -m tests.benchmarks.latency`.

The benchmark starts the scrobble endpoint (`make serve-scrobbles`) and the web server with its daemon (`make ui`) on an
empty folder. It posts a listen and waits until today's plays, daily listening and chart count it. The first listen
warms up and is not reported.
"""

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.compute as pc

from assets.derived.charts import CHART
from assets.derived.recording_plays import RECORDING_PLAYS
from assets.events.daily_listening import DAILY_LISTENING
from resources.lake.lake import Lake
from tests.benchmarks.scrobble_endpoint import TOKEN, Server
from tests.orchestration.support import TUTTI, free_port, running

EXPECTED_S = 60
TIMEOUT_S = 600
COUNTS = {  # of today's listens: schema, day column and count column of each table
    "derived/recording_plays": (RECORDING_PLAYS, "day", "plays"),
    "events/daily_listening": (DAILY_LISTENING, "day", "listens"),
    "derived/charts_daily": (CHART, "period_start", "plays"),
}


def main() -> None:
    """Measure the latency and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        data = Path(folder, "data")
        endpoint = Server(data)
        web = [*TUTTI, "ui", "--port", str(free_port())]
        try:
            with running(web, data, Path(folder, "ui.log")):
                wait_until_counted(endpoint.url, Lake(data / "lake"), 1)
                print(f"| listen | {' | '.join(COUNTS)} |\n|---|{'---:|' * len(COUNTS)}", flush=True)
                for n in range(2, options.times + 2):
                    took = wait_until_counted(endpoint.url, Lake(data / "lake"), n)
                    print(f"| {n - 1} | {' | '.join(f'{took[t]:.1f} s' for t in COUNTS)} |", flush=True)
                print(f"(expected: less than {EXPECTED_S} s)")
        finally:
            endpoint.end()


def wait_until_counted(url: str, lake: Lake, listens: int) -> dict[str, float]:
    """Post a listen, wait until each table counts this many today, and return the seconds for each table."""
    began = time.monotonic()
    metadata = {"artist_name": "Clara Example", "track_name": f"Song {listens}"}
    body = {"listen_type": "single", "payload": [{"listened_at": int(time.time()) - 5, "track_metadata": metadata}]}
    request = urllib.request.Request(
        f"{url}/1/submit-listens", json.dumps(body).encode(), {"Authorization": f"Token {TOKEN}"}
    )
    urllib.request.urlopen(request, timeout=60).read()
    took: dict[str, float] = {}
    while len(took) < len(COUNTS):
        for table in COUNTS.keys() - took.keys():
            if listens_today(lake, table) >= listens:
                took[table] = time.monotonic() - began
        if time.monotonic() - began > TIMEOUT_S:
            sys.exit(f"not counted after {TIMEOUT_S} s: {', '.join(sorted(COUNTS.keys() - took.keys()))}")
        time.sleep(0.5)
    return took


def listens_today(lake: Lake, table: str) -> int:
    """Return how many listens of today a table counts."""
    schema, day, counted = COUNTS[table]
    rows = lake.scan(table, schema).table()
    rows = rows.filter(pc.equal(rows[day], datetime.now(UTC).date()))
    if table == "derived/charts_daily":
        rows = rows.filter(pc.equal(rows["entity"], "recording"))
    return pc.sum(rows[counted]).as_py() or 0


if __name__ == "__main__":
    main()
