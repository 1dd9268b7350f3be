"""Measure the reading of broken JSON: `python -m tests.benchmarks.broken_json --megabytes 3`.

Each file repeats a piece that makes a reader try the same text again and again. A figure is the CPU time on one core,
divided by that of a sound export of the same size, and in seconds for each megabyte.
"""

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from resources.sources import exports
from tests.hostile_json import GOOD, LAYOUTS, PIECES, hostile

MEGABYTE = 10**6
MAX_S_PER_MB = 1.0


def main() -> None:
    """Measure each piece in each layout and print a table of the slowest layouts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=3.0, help="size of a file in MB (default: %(default)s)")
    parser.add_argument("--pieces", nargs="+", choices=PIECES, default=list(PIECES))
    options = parser.parse_args()
    size = int(options.megabytes * MEGABYTE)
    sound = seconds_per_mb("[" + ",".join([GOOD] * (size // len(GOOD))) + "]")
    print(
        f"a sound export: {sound:.2f} s/MB\n\n| repeated piece | slowest layout | ratio | s/MB |\n|---|---|---:|---:|"
    )
    slowest = 0.0
    for piece in options.pieces:
        seconds, layout = max((seconds_per_mb(hostile(piece, layout, size)), layout) for layout in LAYOUTS)
        slowest = max(slowest, seconds)
        print(f"| {piece} | {layout} | {seconds / sound:.1f} | {seconds:.2f} |", flush=True)
    print(f"(expected: at most {MAX_S_PER_MB} s/MB; slowest: {slowest:.2f})")


def seconds_per_mb(text: str) -> float:
    """Return the CPU seconds that an import needs to read a text, for each megabyte."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "export.json")
        path.write_text(text)
        began = time.process_time()
        try:
            for _ in exports.read(path, "ada", datetime.now(UTC)):
                pass
        except exports.UnsupportedFile:
            pass
        return (time.process_time() - began) / (path.stat().st_size / MEGABYTE)


if __name__ == "__main__":
    main()
