"""Damaged files against everything that reads files from outside: `python -m tests.fuzz --minutes 5`.

No file may raise what is not documented, hang, or ask for much memory; every record is told of, and sound ones beside a
broken one are found. What is wrong is printed with the number of its case, and its file is kept. Ends with 1 if
anything was. What reads files, and samples of them, are named in `parsers.py`.
"""

import argparse
import faulthandler
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.fuzz import cases, wrong
from tests.fuzz.parsers import PARSERS


def main() -> int:
    """Run cases; 0 if nothing was found, 1 if something was."""
    parser = argparse.ArgumentParser(prog="fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=PARSERS, default=[])
    asked = parser.parse_args()
    faulthandler.enable()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    until, run = time.monotonic() + 60 * asked.minutes, Counter[str]()
    faults: Counter[str] = Counter()
    for case in cases(asked.seed, frozenset(asked.only)):
        if time.monotonic() > until:
            break
        run[case.parser] += 1
        if fault := wrong(case, folder / "file"):
            alike = fault.strip().splitlines()[-1][:100]
            faults[alike] += 1
            if faults[alike] == 1:
                kept = folder / f"{len(faults)}.bin"
                kept.write_bytes(case.data)
                print(f"{case.parser}, {case.says} ({kept}):\n{fault}\n", flush=True)
    told = ", ".join(f"{n:,} of {name}" for name, n in run.items())
    print(f"{sum(run.values()):,} cases ({told}), {len(faults)} kinds of faults in {sum(faults.values())}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
