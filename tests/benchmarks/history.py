"""Measure commands and Dagster's run history: `python -m tests.benchmarks.history`.

Each case runs commands on a new data folder. The table has the CPU seconds of their processes, the wall time, and the
size of Dagster's history and of the lake. `--code` measures another checkout.
"""

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

LISTENER = "ada"
FIRST = datetime(2010, 1, 4, 9, tzinfo=UTC)
SPARSE_LISTENS = 36
SPARSE_INTERVAL = timedelta(days=152)  # 36 listens then span fifteen years
CLUSTER_YEARS = (0, 14)  # after `FIRST`
DENSE_DAYS, DENSE_PER_DAY = 3_677, 63  # ten years, 231,651 listens
YEAR_DAYS, YEAR_PER_DAY = 365, 40
TITLES, ARTISTS = 2_000, 300

Listens = list[dict[str, Any]]


def listen(at: datetime, n: int) -> dict[str, Any]:
    """Return a record of Spotify's extended streaming history."""
    return {
        "ts": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ms_played": 180_000,
        "master_metadata_track_name": f"Song {n}",
        "master_metadata_album_artist_name": f"Artist {n % ARTISTS}",
        "master_metadata_album_album_name": f"Album {n % ARTISTS}",
        "spotify_track_uri": f"spotify:track:{n:022d}",
    }


def spread() -> Listens:
    """Return a few listens, evenly over fifteen years."""
    return [listen(FIRST + n * SPARSE_INTERVAL, n) for n in range(SPARSE_LISTENS)]


def clustered() -> Listens:
    """Return the same number of listens, in two months fourteen years apart."""
    half = SPARSE_LISTENS // len(CLUSTER_YEARS)
    starts = [FIRST + timedelta(days=365 * years) for years in CLUSTER_YEARS]
    return [listen(start + timedelta(days=2 * n), n) for start in starts for n in range(half)]


def three() -> Listens:
    """Return three listens of one day, a day after the year ends."""
    return [listen(FIRST + timedelta(days=YEAR_DAYS + 1, hours=n), n) for n in range(3)]


def daily(days: int, per_day: int) -> Listens:
    """Return listens on every day, most of them of a few recordings."""
    generator = random.Random(1)
    return [
        listen(FIRST + timedelta(days=day, minutes=4 * n), int(TITLES * generator.random() ** 3))
        for day in range(days)
        for n in range(per_day)
    ]


def dense() -> Listens:
    """Return listens on every day of ten years."""
    return daily(DENSE_DAYS, DENSE_PER_DAY)


def year() -> Listens:
    """Return listens on every day of a year."""
    return daily(YEAR_DAYS, YEAR_PER_DAY)


@dataclass(frozen=True)
class Cost:
    """CPU and wall time in seconds, and the bytes of Dagster's history and of the lake afterwards."""

    cpu: float
    wall: float
    history: int
    lake: int


@dataclass(frozen=True)
class Checkout:
    """The checkout whose code is measured."""

    code: Path

    def command(self, data: Path, *arguments: str) -> Cost:
        """Run a `tutti` command on a data folder. Raise CalledProcessError if it fails."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("TUTTI_", "DAGSTER_"))}
        before, began = _children(), time.monotonic()
        with (data.parent / f"{data.name}.log").open("a") as log:
            subprocess.run(
                [sys.executable, "-m", "orchestration", *arguments],
                cwd=self.code,
                env={**environment, "TUTTI_DATA_DIR": str(data)},
                stdout=log,
                stderr=log,
                check=True,
            )
        cpu, wall = _children() - before, time.monotonic() - began
        return Cost(cpu, wall, _bytes(data / "dagster"), _bytes(data / "lake"))

    def import_listens(self, data: Path, listens: Listens) -> Cost:
        """Import listens from a file next to the data folder."""
        file = data.parent / f"Streaming_History_Audio_{data.name}_{len(listens)}.json"
        file.write_text(json.dumps(listens))
        return self.command(data, "import", "--listener", LISTENER, "--", str(file))


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _bytes(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def sparse(of: Checkout, data: Path, listens: Callable[[], Listens]) -> Iterator[tuple[str, Cost]]:
    """Import a few listens, then erase the listener."""
    yield f"import of {SPARSE_LISTENS} listens, {listens.__name__}", of.import_listens(data, listens())
    yield "erasure of the listener", of.command(data, "erase", "--listener", LISTENER, "--yes")


def ten_years(of: Checkout, data: Path) -> Iterator[tuple[str, Cost]]:
    """Import ten years of every day."""
    yield f"import of {DENSE_DAYS * DENSE_PER_DAY:,} listens, {DENSE_DAYS:,} days", of.import_listens(data, dense())


def one_year(of: Checkout, data: Path) -> Iterator[tuple[str, Cost]]:
    """Import a year, the same file again, and three more listens."""
    listens = year()
    yield f"import of {len(listens):,} listens, {YEAR_DAYS} days", of.import_listens(data, listens)
    yield "import of the same file again", of.import_listens(data, listens)
    yield "import of 3 more listens", of.import_listens(data, three())


def demo(of: Checkout, data: Path) -> Iterator[tuple[str, Cost]]:
    """Run the demo twice, the second time with warm caches."""
    yield "demo", of.command(data / "demo", "demo")
    yield "demo, warm", of.command(data / "demo", "demo")


CASES: dict[str, Callable[[Checkout, Path], Iterator[tuple[str, Cost]]]] = {
    "year": one_year,
    "spread": lambda of, data: sparse(of, data, spread),
    "clustered": lambda of, data: sparse(of, data, clustered),
    "demo": demo,
    "dense": ten_years,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the cases and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"{', '.join(CASES)} (default: all)")
    parser.add_argument(
        "--code", type=Path, default=Path.cwd(), help="checkout to measure (default: the current folder)"
    )
    parser.add_argument("--keep", type=Path, help="folder to keep the data in (default: a temporary one)")
    options = parser.parse_args(arguments)
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"unknown case {', '.join(sorted(unknown))}: choose from {', '.join(CASES)}")
    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = options.keep or Path(temporary)
        print("| command | CPU s | wall s | history MB | lake MB |\n|---|---:|---:|---:|---:|", flush=True)
        for case in options.cases or CASES:
            data = folder / case
            shutil.rmtree(data, ignore_errors=True)
            data.mkdir(parents=True)
            for name, cost in CASES[case](Checkout(options.code), data):
                sizes = f"{cost.history / 1e6:,.1f} | {cost.lake / 1e6:,.1f}"
                print(f"| {name} | {cost.cpu:,.1f} | {cost.wall:,.1f} | {sizes} |", flush=True)


if __name__ == "__main__":
    main()
