"""The command line `tutti COMMAND`, which `make` calls.

It reacts to Ctrl-C and SIGTERM before it imports anything large, which takes seconds.
"""

import site
import sys

from orchestration.cli import stopping


def main() -> int:
    """Run the command in `sys.argv` and return its exit code."""
    with stopping.listening():
        if sys.flags.no_site:  # `make` starts Python so, since a signal meanwhile would print a traceback
            site.main()
        from orchestration.cli.commands import run
        from resources.terminal import escaped_output

        with escaped_output():
            return run(sys.argv[1:])
