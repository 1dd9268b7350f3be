"""Environments: where the platform computes and keeps its data, by name.

An environment is an engine (one line of `ENVIRONMENTS`), storage (the data folder, and buckets for the lake, artifacts
and landed files) and the Dagster instance of the data folder. Only the one chosen is built, and that imports no engine.
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
from resources.lake.lake import Lake
from resources.lake_format import lake_of
from resources.storage import Storage

PROJECT = Path(__file__).resolve().parent.parent


def data_folder() -> Path:
    """Where everything is kept: TUTTI_DATA_DIR, else `data` beside the platform's code."""
    return Path(os.environ.get("TUTTI_DATA_DIR") or PROJECT / "data").expanduser().resolve()


def open_lake(data: Path | None = None) -> Lake:
    """Open the lake of a data folder, by default the environment's."""
    return Lake(lake_of(data or data_folder()))


def artifacts_of(data: Path) -> Storage:
    """Name the artifacts of a data folder: the place that TUTTI_ARTIFACTS_URL gives, else the folder `artifacts`."""
    return Storage.chosen("TUTTI_ARTIFACTS_URL", data / "artifacts")


def landing_of(data: Path) -> Landing:
    """Name the landing folder of a data folder: the place that TUTTI_LANDING_URL gives, else the folder `landing`.

    That one is also where a pull or the scrobble endpoint keeps what has not landed in the bucket yet.
    """
    folder = data / "landing"
    return Landing(root=Storage.chosen("TUTTI_LANDING_URL", folder).url, staging=str(folder))


def music_folder() -> Path:
    """Where the person's audio files lie: TUTTI_MUSIC_DIR, else `music` in the data folder."""
    return Path(os.environ.get("TUTTI_MUSIC_DIR") or data_folder() / "music").expanduser().resolve()


def resources(engine: EngineResource) -> dict[str, Any]:
    """What assets ask for by name, on an engine."""
    data = data_folder()
    # Dagster hands what the launchpad says to the IO manager only if the engine is configured at launch.
    chosen = EngineResource.configure_at_launch(**{k: v for k, v in engine if v is not None})
    return {
        "engine": chosen,
        "io_manager": LakeIO(engine=chosen, root=lake_of(data).url),
        "landing": landing_of(data),
        "artifacts": ArtifactIO(root=artifacts_of(data).url),
        "music": Music(root=str(music_folder())),
    }


def _engine(name: str, **settings: Any) -> EngineResource:
    return EngineResource(name=EngineName(name), spill_dir=str(data_folder() / "spill"), **settings)


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
