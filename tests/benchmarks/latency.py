"""From a listen to today's tables: `python -m tests.benchmarks.latency`.

Starts the front door (`make intake`) and the web server with its daemon (`make ui`) on an empty folder, posts a listen,
and waits until today's plays, activity and chart have it; several times, after a first one for which all is loaded.
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

WANTED = 60  # seconds
PATIENCE = 600
COUNTS = {  # of today, in each table: the listens that it tells of
    "derived/recording_plays": (RECORDING_PLAYS, "day", "plays"),
    "events/daily_listening": (DAILY_LISTENING, "day", "listens"),
    "derived/charts_daily": (CHART, "period_start", "plays"),
}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        data = Path(folder, "data")
        intake = Server(data)
        web = [*TUTTI, "ui", "--port", str(free_port())]
        try:
            with running(web, data, Path(folder, "ui.log")):
                shown(intake.url, Lake(data / "lake"), 1)
                print(f"| listen | {' | '.join(COUNTS)} |\n|---|{'---:|' * len(COUNTS)}", flush=True)
                for n in range(2, asked.times + 2):
                    took = shown(intake.url, Lake(data / "lake"), n)
                    print(f"| {n - 1} | {' | '.join(f'{took[t]:.1f} s' for t in COUNTS)} |", flush=True)
                print(f"(wanted: less than {WANTED} s)")
        finally:
            intake.end()


def shown(url: str, lake: Lake, listens: int) -> dict[str, float]:
    """Post a listen, and wait until each table tells of so many today; the seconds that it took."""
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
            if told(lake, table) >= listens:
                took[table] = time.monotonic() - began
        if time.monotonic() - began > PATIENCE:
            sys.exit(f"not shown after {PATIENCE} s: {', '.join(sorted(COUNTS.keys() - took.keys()))}")
        time.sleep(0.5)
    return took


def told(lake: Lake, table: str) -> int:
    """How many listens of today a table tells of."""
    schema, day, counted = COUNTS[table]
    rows = lake.scan(table, schema).table()
    rows = rows.filter(pc.equal(rows[day], datetime.now(UTC).date()))
    if table == "derived/charts_daily":
        rows = rows.filter(pc.equal(rows["entity"], "recording"))
    return pc.sum(rows[counted]).as_py() or 0


if __name__ == "__main__":
    main()
