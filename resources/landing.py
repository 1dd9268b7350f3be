"""The landing folder: where files from outside lie until they are read, one folder per kind."""

import os
from pathlib import Path

import dagster as dg


class Landing(dg.ConfigurableResource):
    """Files by kind ("listens", "recordings", "lyrics"), as they were handed in."""

    root: str

    def files(self, kind: str) -> list[Path]:
        """The files of a kind, in the order of their names; half-written ones are named with a leading dot."""
        folder = Path(self.root, kind)
        return sorted(f for f in folder.rglob("*") if f.is_file() and not f.name.startswith("."))


def within(folder: Path) -> list[Path]:
    """The files of a folder that a person names, in the order of their names: links are not followed, and what begins
    with a dot is left out."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        paths = (Path(place, f) for f in files if not f.startswith("."))
        found += [p for p in paths if p.is_file() and not p.is_symlink()]
    return sorted(found)
