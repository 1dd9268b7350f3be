"""Kill the daemon while it works on a backlog: `python -m tests.chaos.backlog`.

Years of listens land at once, one file per day, while the web server and its daemon run. These are killed repeatedly,
and then left to finish. Every automated table must then equal that of an undisturbed import of the same files, row for
row. The exit code is 1 if one differs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from orchestration.definitions import build
from tests.chaos import history
from tests.chaos.tree import Tree
from tests.orchestration.support import PROJECT, TUTTI, Process, environ, free_port, rows_by_table

FIRST_DAY = date(2016, 1, 1)
LISTENERS = ("ada", "bo")
LISTENS_PER_DAY = 6  # once a week, one has no time and is quarantined
POLL_INTERVAL_S = 20
TIMEOUT_S = 7_200
IMPORT_SCRIPT = """
from orchestration.instance.home import dagster_home
dagster_home()
from orchestration.cli.runner import Runner
Runner().import_and_build({})
"""


def main() -> int:
    """Kill, wait and compare. Return 1 if a table differs, else 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--days", type=int, default=2_000, help="days of listens (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=5, help="kills of the daemon (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="random seed (default: %(default)s)")
    options = parser.parse_args()
    random, folder = Random(options.seed), Path(tempfile.mkdtemp(prefix="backlog-"))
    undisturbed, data = folder / "undisturbed", folder / "data"
    for data_folder in (undisturbed, data):
        land(data_folder / "landing" / "listens", options.days)
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", IMPORT_SCRIPT],
        cwd=PROJECT,
        env=environ(undisturbed),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    print(f"{options.days} days imported undisturbed: {time.monotonic() - began:.0f} s", flush=True)
    expected = automated_tables(undisturbed)
    for n in range(options.kills):
        daemon, pause = serve(data, folder), random.uniform(20, 120)
        time.sleep(pause)
        daemon.kill()
        counts = {table: len(rows) for table, rows in rows_by_table(data).items()}
        print(
            f"kill {n + 1} after {pause:.0f} s: {counts.get('derived/recording_plays', 0)} rows of plays",
            flush=True,
        )
    began, daemon = time.monotonic(), serve(data, folder)
    try:
        while (differing := different(expected, automated_tables(data))) and time.monotonic() < began + TIMEOUT_S:
            time.sleep(POLL_INTERVAL_S)
        print(
            f"without kills: {time.monotonic() - began:.0f} s until all tables equal the undisturbed ones", flush=True
        )
        time.sleep(3 * POLL_INTERVAL_S)  # further runs must change nothing
        differing += different(expected, automated_tables(data))
    finally:
        daemon.kill()
    Process((*TUTTI, "maintenance"), data).fine()  # ends the run records that the last kill left
    faults = [f"{table} differs" for table in differing] + history.faults(data / "dagster")
    print("\n".join(faults or ["no faults"]))
    if faults:
        print(f"Data folders: {folder}")
    return 1 if faults else 0


def land(folder: Path, days: int) -> None:
    """Write a file for each day, with that day as its modification time."""
    folder.mkdir(parents=True)
    for n in range(days):
        day = datetime.combine(FIRST_DAY + timedelta(days=n), datetime.min.time(), UTC)
        lines = [
            {
                "listened_at": "soon" if n % 7 == k == 3 else int(day.timestamp()) + 14_000 * k,
                "user_name": LISTENERS[k % 2],
                "track_metadata": {"artist_name": f"Artist {n % 11}", "track_name": f"Song {(n + k) % 97}"},
            }
            for k in range(LISTENS_PER_DAY)
        ]
        path = folder / f"{day:%Y-%m-%d}.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)))
        os.utime(path, (day.timestamp(), day.timestamp()))


def serve(data: Path, folder: Path) -> Tree:
    """Start the web server and its daemon."""
    return Tree([*TUTTI, "ui", "--port", str(free_port())], folder / "ui.log", environ(data))


def automated_tables(data: Path) -> dict[str, object]:
    """Return the rows of the automated tables and of the quarantine."""
    graph = build("laptop").resolve_asset_graph()
    dated = {k.to_user_string() for k in graph.get_all_asset_keys() if graph.get(k).partitions_def}
    return {table: rows for table, rows in rows_by_table(data).items() if table in {*dated, "events/quarantine"}}


def different(expected: dict[str, object], actual: dict[str, object]) -> list[str]:
    """Return the tables that differ. A missing table has no rows."""
    return [table for table, rows in expected.items() if actual.get(table, []) != rows]


if __name__ == "__main__":
    sys.exit(main())
