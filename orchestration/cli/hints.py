"""Hints: what to type next."""

import os
import shlex
import sys

RESUME = "To resume, run the same command again"
START_AGAIN = "To start again, run the same command"
RESTARTED = ("demo", "ui", "mock-services", "serve-scrobbles", "stream", "generate-listens", "chart")


def make(target: str) -> str:
    """Return a make command for the current data folder, with DATA= unless it is the default."""
    folder = os.environ.get("TUTTI_DATA_DIR")
    return f"make {target} DATA={shlex.quote(folder)}" if folder else f"make {target}"


def again() -> str:
    """Return a sentence with the command that continues the work of this process."""
    folder, arguments = os.environ.get("TUTTI_DATA_DIR"), sys.argv[1:]
    command = f"{f'TUTTI_DATA_DIR={shlex.quote(folder)} ' if folder else ''}{shlex.join(['tutti', *arguments])}"
    return f"{START_AGAIN if arguments[:1] and arguments[0] in RESTARTED else RESUME}: {command}"
