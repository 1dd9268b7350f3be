"""Tutti's own folders: tables and Dagster's home, whose files look like exports but must not be imported."""

import os
from collections.abc import Iterator
from pathlib import Path

from resources.environments import home_folder
from resources.errors import TuttiError

INSTANCE = "dagster.yaml"  # in each Dagster home


def refuse_own(path: Path) -> None:
    """Raise `TuttiError` if a path contains, or is in, a table of any data folder or a Dagster home."""
    path = path.resolve()
    for folder in _around_and_inside(path):
        if _is_own(folder):
            relation = "is" if folder == path else "is in" if path.is_relative_to(folder) else "contains"
            raise TuttiError(
                f"{path} {relation} Tutti's own data{f' ({folder})' if folder != path else ''}. "
                "Name the export files that you downloaded, or the folder that has only them."
            )


def _around_and_inside(path: Path) -> Iterator[Path]:
    yield from (path, *path.parents)
    for place, folders, _ in os.walk(path):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        yield from (Path(place, folder) for folder in folders)


def _is_own(folder: Path) -> bool:
    return (folder / "_delta_log").is_dir() or (folder / INSTANCE).is_file() or folder == home_folder()
