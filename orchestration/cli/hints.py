"""Hints: what to type next."""

import os
import shlex

RESUME = "To resume, run the same command again"


def make(target: str) -> str:
    """Return a make command for the current data folder, with DATA= unless it is the default."""
    folder = os.environ.get("TUTTI_DATA_DIR")
    return f"make {target} DATA={shlex.quote(folder)}" if folder else f"make {target}"
