"""Environments: where the platform computes and keeps its data, by name.

An environment is one line of `ENVIRONMENTS`. Only the one chosen is built, and no engine is imported by that.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from resources.artifacts.io_manager import ArtifactIO
from resources.engines.resource import EngineName, EngineResource
from resources.errors import TuttiError
from resources.folders.landing import Landing
from resources.folders.music import Music
from resources.lake.io_manager import LakeIO

PROJECT = Path(__file__).resolve().parent.parent


def data_folder() -> Path:
    """Where everything is kept: TUTTI_DATA, else `data` beside the platform's code."""
    return Path(os.environ.get("TUTTI_DATA") or PROJECT / "data").expanduser().resolve()


def music_folder() -> Path:
    """Where the person's audio files lie: TUTTI_MUSIC, else `music` in the data folder."""
    return Path(os.environ.get("TUTTI_MUSIC") or data_folder() / "music").expanduser().resolve()


def resources(engine: EngineResource) -> dict[str, Any]:
    """What assets ask for by name, on an engine."""
    data = data_folder()
    # Dagster hands what the launchpad says to the IO manager only if the engine is configured at launch.
    chosen = EngineResource.configure_at_launch(**{k: v for k, v in engine if v is not None})
    return {
        "engine": chosen,
        "io_manager": LakeIO(engine=chosen, root=str(data / "lake")),
        "landing": Landing(root=str(data / "landing")),
        "artifacts": ArtifactIO(root=str(data / "artifacts")),
        "music": Music(root=str(music_folder())),
    }


def _engine(name: str, **settings: Any) -> EngineResource:
    return EngineResource(name=EngineName(name), spill=str(data_folder() / "spill"), **settings)


ENVIRONMENTS: Mapping[str, Callable[[], EngineResource]] = {
    "laptop": lambda: _engine("pandas"),
    "workstation": lambda: _engine("duckdb"),
    "dask": lambda: _engine("dask", scheduler=os.environ.get("TUTTI_DASK_SCHEDULER")),
    "spark": lambda: _engine("spark", master=os.environ.get("TUTTI_SPARK_MASTER")),
}


def environment(name: str) -> dict[str, Any]:
    """The resources of an environment. Raises `TuttiError` for a name that is none."""
    if name not in ENVIRONMENTS:
        raise TuttiError(f"there is no environment {name!r}: set TUTTI_ENV to one of {', '.join(ENVIRONMENTS)}")
    return resources(ENVIRONMENTS[name]())
