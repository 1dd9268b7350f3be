"""The landing folder: where files from outside lie until they are read, one folder per kind."""

from pathlib import Path

import dagster as dg


class Landing(dg.ConfigurableResource):
    """Files by kind ("listens", "recordings", "lyrics"), as they were handed in."""

    root: str

    def files(self, kind: str) -> list[Path]:
        """The files of a kind, in the order of their names; half-written ones are named with a leading dot."""
        folder = Path(self.root, kind)
        return sorted(f for f in folder.rglob("*") if f.is_file() and not f.name.startswith("."))
