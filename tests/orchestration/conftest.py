"""One small world, materialized once in each of two environments, for every test that looks at what became of it."""

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

FIRST_DAY, DAYS, LISTENERS = date(2025, 2, 28), 4, 40  # crosses a month and a week; every kind of dirt is in it
WRITTEN = 1_740_000_000
MUSIC = ("Ann/1.flac", "b.wav", "c.wav")  # a few tones, in the music folder

EVERYTHING = """
from orchestration.instance.home import dagster_home
dagster_home()
from orchestration.cli.runner import Runner
runner = Runner()
runner.run("build_catalog")
runner.run("analyze_music")
runner.take({})
"""


@dataclass
class World:
    """What the sandbox wrote, and where the platform keeps what it made of it."""

    summary: Summary
    data: Path
    made: Path  # where the data lay when that was made

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's own records of the runs."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DAGSTER_HOME", str(self.data / "dagster"))
            with dg.DagsterInstance.get() as instance:
                yield instance


def again(world: World, name: str = "laptop") -> Process:
    """Everything once more, on the same files."""
    return Process((sys.executable, "-c", EVERYTHING), world.data, {"TUTTI_ENV": name})


@pytest.fixture(scope="session")
def handed_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """What the sandbox writes, and what it says of that."""
    landing = tmp_path_factory.mktemp("world") / "landing"
    summary = world.write(landing, first_day=FIRST_DAY, days=DAYS, listeners=LISTENERS)
    for path in summary.files:
        os.utime(path, (WRITTEN, WRITTEN))  # whichever test process wrote them
    return landing, summary


@pytest.fixture(scope="session")
def laptop(handed_in: tuple[Path, Summary], tmp_path_factory: pytest.TempPathFactory) -> World:
    """The small world on a laptop."""
    return _made(*handed_in, tmp_path_factory, "laptop")


@pytest.fixture(scope="session")
def workstation(handed_in: tuple[Path, Summary], tmp_path_factory: pytest.TempPathFactory) -> World:
    """The small world on a workstation."""
    return _made(*handed_in, tmp_path_factory, "workstation")


def _made(landing: Path, summary: Summary, factory: pytest.TempPathFactory, environment: str) -> World:
    """A copy of the world that whichever test process came first has made."""
    made = once(factory, environment, lambda folder: _make(landing, folder, environment))
    data = factory.mktemp(environment) / "data"
    shutil.copytree(made, data)
    return World(summary, data, made)


def _make(landing: Path, data: Path, environment: str) -> None:
    shutil.copytree(landing, data / "landing")
    for hz, path in enumerate(MUSIC, start=300):
        (data / "music" / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(data / "music" / path, 0.5 * np.sin(np.arange(40_000) * hz / 1_273), 8_000)
        os.utime(data / "music" / path, (WRITTEN, WRITTEN))
    Process((sys.executable, "-c", EVERYTHING), data, {"TUTTI_ENV": environment}).fine()
