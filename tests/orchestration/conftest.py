"""One small simulated world, materialized once in each of two environments for all tests."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import soundfile

from resources.sandbox import world
from resources.sandbox.world import Summary
from tests.once import once
from tests.orchestration.support import Process

FIRST_DAY, DAYS, LISTENERS = (
    date(2025, 2, 28),
    4,
    40,
)  # spans two months and weeks, with all kinds of broken records
MODIFIED_AT = 1_740_000_000
MUSIC = ("Ann/1.flac", "b.wav", "c.wav")  # a few tones, in the music folder

BUILD_EVERYTHING = """
from orchestration.instance.home import dagster_home
dagster_home()
from orchestration.cli.runner import Runner
runner = Runner()
runner.run("build_catalog")
runner.run("analyze_music")
runner.import_and_build({})
"""


@dataclass
class World:
    """A simulated world: its summary and its data folder."""

    summary: Summary
    data: Path
    made: Path  # the folder in which the tables were built

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Open the Dagster instance of the data folder."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DAGSTER_HOME", str(self.data / "dagster"))
            with dg.DagsterInstance.get() as instance:
                yield instance


def rebuild(world: World, name: str = "laptop") -> Process:
    """Build everything rebuild from the same files."""
    return Process((sys.executable, "-c", BUILD_EVERYTHING), world.data, {"TUTTI_ENV": name})


@pytest.fixture(scope="session")
def landed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """The landing folder that the sandbox writes, and its summary."""
    landing = tmp_path_factory.mktemp("world") / "landing"
    summary = world.write(landing, first_day=FIRST_DAY, days=DAYS, listeners=LISTENERS)
    for path in summary.files:
        os.utime(path, (MODIFIED_AT, MODIFIED_AT))  # the same in every test process
    return landing, summary


@pytest.fixture(scope="session")
def laptop(landed: tuple[Path, Summary], tmp_path_factory: pytest.TempPathFactory) -> World:
    """The small world on a laptop."""
    return _made(*landed, tmp_path_factory, "laptop")


@pytest.fixture(scope="session")
def workstation(landed: tuple[Path, Summary], tmp_path_factory: pytest.TempPathFactory) -> World:
    """The small world on a workstation."""
    return _made(*landed, tmp_path_factory, "workstation")


def _made(landing: Path, summary: Summary, factory: pytest.TempPathFactory, environment: str) -> World:
    """Copy the world that the first test process builds."""
    made = once(factory, environment, lambda folder: _make(landing, folder, environment))
    data = factory.mktemp(environment) / "data"
    shutil.copytree(made, data)
    return World(summary, data, made)


def _make(landing: Path, data: Path, environment: str) -> None:
    shutil.copytree(landing, data / "landing")
    for hz, path in enumerate(MUSIC, start=300):
        (data / "music" / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(data / "music" / path, 0.5 * np.sin(np.arange(40_000) * hz / 1_273), 8_000)
        os.utime(data / "music" / path, (MODIFIED_AT, MODIFIED_AT))
    Process((sys.executable, "-c", BUILD_EVERYTHING), data, {"TUTTI_ENV": environment}).fine()
