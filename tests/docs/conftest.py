"""The small world, as the demo leaves it, beside a Makefile that installs nothing."""

import shutil
from datetime import date
from pathlib import Path

import pytest

from resources.span import widen
from tests.docs.pages import PROJECT
from tests.orchestration.conftest import World, landed, laptop
from tests.orchestration.support import BIN

__all__ = ["landed", "laptop"]  # fixtures


@pytest.fixture(scope="session")
def folder(laptop: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to type commands in, with the small world in `data/demo`."""
    place = tmp_path_factory.mktemp("docs")
    shutil.copytree(laptop.data, place / "data" / "demo")
    widen(place / "data" / "demo" / "dagster", [date(2025, 2, 24)])  # the demo's first day, which the pages name
    (place / "data" / "lake").symlink_to("demo/lake")  # of a person who imported the same
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(PROJECT / name, place)
    for name in ("Makefile", "assets", "orchestration", "resources", "workspace.yaml"):
        (place / name).symlink_to(PROJECT / name)
    (place / ".venv").mkdir()
    for each in BIN.parent.iterdir():
        (place / ".venv" / each.name).symlink_to(each)
    for stamp in ("base", "test"):
        (place / ".venv" / stamp).unlink(missing_ok=True)
        (place / ".venv" / stamp).touch()  # newer than what it is installed from
    return place
