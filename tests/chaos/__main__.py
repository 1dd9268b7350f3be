"""The storm: kills processes of the platform at their work again and again, and looks at what is left.

`python -m tests.chaos` prints a line for each kill and a table at the end. It ends with 1 if a table could not be read,
a rerun was not equal to a calm run, vacuum left or took what it must not, or a commit was lost.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.front import FRONTS
from tests.chaos.race import WRITERS, race
from tests.chaos.storm import ALL, MOMENT, Blow

HEAD = (
    "at work",
    "kills",
    "aimed",
    "of a child or the driver alone",
    "between write and commit",
    "files not committed",
    "swept beside a job",
    "unreadable",
    "wrong",
    "seconds",
)


def main() -> int:
    """Run the storm; 0 if nothing was found, 1 if something was."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="in all; each front has its share")
    parser.add_argument("--commits", type=int, default=500, help="of the race of writers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=FRONTS, default=FRONTS)
    told = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the victims end as well
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    rows: list[Sequence[object]] = []
    faults: list[str] = []
    for name in told.only:
        began, kills = time.monotonic(), round(told.kills * FRONTS[name].share)
        blows: list[Blow] = []
        for blow in FRONTS[name].blows(kills, folder / name, told.seed):
            blows.append(blow)
            print(f"{name} {len(blows)}/{kills}: {blow}", flush=True)
        rows.append([FRONTS[name].says, *_count(blows), round(time.monotonic() - began)])
        faults += [f"{name}: {fault}" for blow in blows for fault in blow.faults]
    began = time.monotonic()
    won = race(folder / "race", told.commits)
    faults += [f"race: {fault}" for fault in won.faults]
    print(f"\n{_table([HEAD, *rows])}\n")
    beside = f"{won.reads} reads and {won.vacuums} vacuums beside them"
    seconds = time.monotonic() - began
    print(f"{won.commits} commits by {WRITERS} processes, {beside}: {len(won.faults)} faults, {seconds:.0f} seconds")
    if faults:
        print("\n".join([f"\n{len(faults)} faults; what they left is in {folder}", *faults]))
        return 1
    shutil.rmtree(folder)
    return 0


def _count(blows: Sequence[Blow]) -> list[object]:
    """What the table says of kills, but for its first column and its last."""
    whole, torn = (sum(getattr(b.orphans, kind) for b in blows) for kind in ("whole", "torn"))
    return [
        len(blows),
        sum(b.aim != MOMENT for b in blows),
        sum(b.whom != ALL for b in blows),
        sum(bool(b.orphans) for b in blows),
        f"{whole} whole, {torn} torn",
        sum(b.swept for b in blows),
        sum(bool(b.unreadable) for b in blows),
        sum(bool(b.wrong) for b in blows),
    ]


def _table(rows: Sequence[Sequence[object]]) -> str:
    lines = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
