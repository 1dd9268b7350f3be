"""Kill processes of the platform at work repeatedly, and check the tables that remain.

`python -m tests.chaos` prints a line for each kill and a table at the end. It exits with 1 if there is a fault:

- A table cannot be read.
- A rerun differs from an undisturbed run.
- Vacuum keeps or removes the wrong files.
- A commit is lost.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.race import WRITERS, race
from tests.chaos.storm import ALL, ANY_MOMENT, Outcome
from tests.chaos.targets import TARGETS

HEAD = (
    "target",
    "kills",
    "triggered by a file or commit",
    "of a child or the driver alone",
    "between write and commit",
    "uncommitted files",
    "vacuumed during a job",
    "unreadable",
    "wrong",
    "seconds",
)


def main() -> int:
    """Kill, rerun and check. Return 1 if there is a fault, else 0."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--kills", type=int, default=200, help="total number of kills, shared among the targets (default: %(default)s)"
    )
    parser.add_argument(
        "--commits", type=int, default=500, help="commits of the concurrent writers (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="random seed (default: %(default)s)")
    parser.add_argument("--only", nargs="*", choices=TARGETS, default=TARGETS, help="targets to attack (default: all)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the victims are stopped too
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    rows: list[Sequence[object]] = []
    faults: list[str] = []
    for name in options.only:
        began, kills = time.monotonic(), round(options.kills * TARGETS[name].share)
        outcomes: list[Outcome] = []
        for outcome in TARGETS[name].attack(kills, folder / name, options.seed):
            outcomes.append(outcome)
            print(f"{name} {len(outcomes)}/{kills}: {outcome}", flush=True)
        rows.append([TARGETS[name].description, *_count(outcomes), round(time.monotonic() - began)])
        faults += [f"{name}: {fault}" for outcome in outcomes for fault in outcome.faults]
    began = time.monotonic()
    result = race(folder / "race", options.commits)
    faults += [f"race: {fault}" for fault in result.faults]
    print(f"\n{_table([HEAD, *rows])}\n")
    concurrent = f"{result.reads} concurrent reads and {result.vacuums} vacuums"
    seconds = time.monotonic() - began
    print(
        f"{result.commits} commits by {WRITERS} processes, {concurrent}: {len(result.faults)} faults, {seconds:.0f} s"
    )
    if faults:
        print("\n".join([f"\n{len(faults)} faults. Data folders: {folder}", *faults]))
        return 1
    shutil.rmtree(folder)
    return 0


def _count(outcomes: Sequence[Outcome]) -> list[object]:
    """Return the columns of the table between the first and the last."""
    complete, truncated = (sum(getattr(b.orphans, kind) for b in outcomes) for kind in ("complete", "truncated"))
    return [
        len(outcomes),
        sum(b.trigger != ANY_MOMENT for b in outcomes),
        sum(b.killed != ALL for b in outcomes),
        sum(bool(b.orphans) for b in outcomes),
        f"{complete} complete, {truncated} truncated",
        sum(b.vacuumed for b in outcomes),
        sum(bool(b.unreadable) for b in outcomes),
        sum(bool(b.wrong) for b in outcomes),
    ]


def _table(rows: Sequence[Sequence[object]]) -> str:
    lines = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
