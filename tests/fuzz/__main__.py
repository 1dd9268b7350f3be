"""Run all parsers of outside files on damaged files: `python -m tests.fuzz --minutes 5`.

No file may raise an undocumented error, hang, or use much memory. Every record must be parsed or reported, and valid
records beside a broken one must be read. Each fault is printed with the number of its case, and its file is kept. The
exit code is 1 if there were faults. `parsers.py` lists the parsers and their samples.
"""

import argparse
import faulthandler
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.fuzz import cases, fault_of
from tests.fuzz.parsers import PARSERS


def main() -> int:
    """Run cases and return 0 if there were no faults, else 1."""
    parser = argparse.ArgumentParser(prog="fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5, help="How long to run (default: 5).")
    parser.add_argument("--seed", type=int, default=1, help="Seed of the damage (default: 1).")
    parser.add_argument("--only", nargs="*", choices=PARSERS, default=[], help="Parsers to run (default: all).")
    options = parser.parse_args()
    faulthandler.enable()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    end, cases_run = time.monotonic() + 60 * options.minutes, Counter[str]()
    faults: Counter[str] = Counter()
    for case in cases(options.seed, frozenset(options.only)):
        if time.monotonic() > end:
            break
        cases_run[case.parser] += 1
        if fault := fault_of(case, folder / "file"):
            summary = fault.strip().splitlines()[-1][:100]
            faults[summary] += 1
            if faults[summary] == 1:
                path = folder / f"{len(faults)}.bin"
                path.write_bytes(case.data)
                print(f"{case.parser}, {case.name} ({path}):\n{fault}\n", flush=True)
    counts = ", ".join(f"{n:,} of {name}" for name, n in cases_run.items())
    print(f"{sum(cases_run.values()):,} cases ({counts}): {sum(faults.values())} faults of {len(faults)} kinds")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
