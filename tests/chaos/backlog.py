"""The daemon amid a backlog: `python -m tests.chaos.backlog`.

Years of listens land at once, a file a day, while the web server and its daemon run; these are killed again and again,
and then left to come to an end. What they leave must be what a calm import of the same files leaves: each table that
follows by itself, row for row. It ends with 1 if it is not.
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
A_DAY = 6  # listens, one of which has no time and so is put in quarantine each week
LOOK = 20  # seconds between two looks at what is there
PATIENCE = 7_200
TAKE = """
from orchestration.instance.home import dagster_home
dagster_home()
from orchestration.cli.runner import Runner
Runner().take({})
"""


def main() -> int:
    """Run it; 0 if all is there at the end, 1 if it is not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--days", type=int, default=2_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    chance, folder = Random(asked.seed), Path(tempfile.mkdtemp(prefix="backlog-"))
    calm, data = folder / "calm", folder / "data"
    for place in (calm, data):
        land(place / "landing" / "listens", asked.days)
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", TAKE], cwd=PROJECT, env=environ(calm), stdout=subprocess.DEVNULL, check=True)
    print(f"{asked.days} days taken in calmly by one command: {time.monotonic() - began:.0f} s", flush=True)
    wanted = following(calm)
    for n in range(asked.kills):
        daemon, pause = serve(data, folder), chance.uniform(20, 120)
        time.sleep(pause)
        daemon.kill()
        there = {table: len(rows) for table, rows in rows_by_table(data).items()}
        print(f"kill {n + 1} after {pause:.0f} s: {there.get('derived/recording_plays', 0)} rows of plays", flush=True)
    began, daemon = time.monotonic(), serve(data, folder)
    try:
        while (lacking := different(wanted, following(data))) and time.monotonic() < began + PATIENCE:
            time.sleep(LOOK)
        print(f"left alone: {time.monotonic() - began:.0f} s until every table was as the calm one", flush=True)
        time.sleep(3 * LOOK)  # what still follows must change nothing
        lacking += different(wanted, following(data))
    finally:
        daemon.kill()
    Process((*TUTTI, "maintenance"), data).fine()  # which buries the runs that the last kill left
    faults = [f"{table} differs" for table in lacking] + history.faults(data / "dagster")
    print("\n".join(faults or ["no faults"]))
    if faults:
        print(f"what is left is in {folder}")
    return 1 if faults else 0


def land(folder: Path, days: int) -> None:
    """Hand in a file for each day, written on that day."""
    folder.mkdir(parents=True)
    for n in range(days):
        day = datetime.combine(FIRST_DAY + timedelta(days=n), datetime.min.time(), UTC)
        lines = [
            {
                "listened_at": "soon" if n % 7 == k == 3 else int(day.timestamp()) + 14_000 * k,
                "user_name": LISTENERS[k % 2],
                "track_metadata": {"artist_name": f"Artist {n % 11}", "track_name": f"Song {(n + k) % 97}"},
            }
            for k in range(A_DAY)
        ]
        path = folder / f"{day:%Y-%m-%d}.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)))
        os.utime(path, (day.timestamp(), day.timestamp()))


def serve(data: Path, folder: Path) -> Tree:
    """The web server and its daemon."""
    return Tree([*TUTTI, "ui", "--port", str(free_port())], folder / "ui.log", environ(data))


def following(data: Path) -> dict[str, object]:
    """The rows of the tables that follow by themselves, and of what was imported."""
    graph = build("laptop").resolve_asset_graph()
    dated = {k.to_user_string() for k in graph.get_all_asset_keys() if graph.get(k).partitions_def}
    return {table: rows for table, rows in rows_by_table(data).items() if table in {*dated, "events/quarantine"}}


def different(wanted: dict[str, object], found: dict[str, object]) -> list[str]:
    """The tables that are not as they should be; one that is not there has no rows."""
    return [table for table, rows in wanted.items() if found.get(table, []) != rows]


if __name__ == "__main__":
    sys.exit(main())
