"""`python -m orchestration COMMAND` runs a command, as `tutti COMMAND` does."""

import sys

from orchestration.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
