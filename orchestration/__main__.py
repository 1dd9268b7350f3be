"""`python -m orchestration COMMAND` runs a command, as `tutti COMMAND` does."""

import _signal  # type: ignore[import-not-found]  # the part of `signal` that imports nothing
import sys

if __name__ == "__main__":  # until `main` handles Ctrl-C: an interrupted import would print a traceback
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

from orchestration.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
