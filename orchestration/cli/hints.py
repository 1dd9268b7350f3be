"""Commands to run next, as people type them."""

import os
import shlex


def make(target: str) -> str:
    """Return a make command for the data folder in use: names it if it is not the default."""
    folder = os.environ.get("TUTTI_DATA_DIR")
    return f"make {target} DATA={shlex.quote(folder)}" if folder else f"make {target}"
