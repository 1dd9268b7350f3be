"""Environments: the engine and the storage that a run uses, by name.

An environment consists of

- an engine (one line of `ENVIRONMENTS`);
- storage: the data folder, and optional buckets for the lake, artifacts and landed files;
- the Dagster instance of the data folder.

Only the chosen environment is built. Building it does not import the engine's library.
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
    """Return the data folder: TUTTI_DATA_DIR, by default `data` beside the platform's code."""
    return Path(os.environ.get("TUTTI_DATA_DIR") or PROJECT / "data").expanduser().resolve()


def home_folder() -> Path:
    """Return Dagster's home, which may not exist yet: DAGSTER_HOME, else `dagster` in the data folder."""
    return Path(os.environ.get("DAGSTER_HOME") or data_folder() / "dagster").resolve()


def open_lake(data: Path | None = None) -> Lake:
    """Open the lake of a data folder, by default of TUTTI_DATA_DIR."""
    return Lake(lake_of(data or data_folder()))


def artifacts_of(data: Path) -> Storage:
    """Return the place of a data folder's artifacts: TUTTI_ARTIFACTS_URL, by default its folder `artifacts`."""
    return Storage.from_environment("TUTTI_ARTIFACTS_URL", data / "artifacts")


def landing_of(data: Path) -> Landing:
    """Return the landing folder of a data folder: TUTTI_LANDING_URL, by default its folder `landing`.

    If the landing folder is in a bucket, files that have not reached the bucket yet stay in `landing`.
    """
    folder = data / "landing"
    return Landing(root=Storage.from_environment("TUTTI_LANDING_URL", folder).url, staging=str(folder))


def music_folder() -> Path:
    """Return the folder of audio files: TUTTI_MUSIC_DIR, by default `music` in the data folder."""
    return Path(os.environ.get("TUTTI_MUSIC_DIR") or data_folder() / "music").expanduser().resolve()


def resources(engine: EngineResource) -> dict[str, Any]:
    """Return Dagster's resources by name, for one engine."""
    data = data_folder()
    # Dagster passes the launchpad's settings to the IO manager only if the engine is configured at launch.
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
    """Return the resources of an environment. Raises `TuttiError` if the name is unknown."""
    if name not in ENVIRONMENTS:
        raise TuttiError(f"unknown environment: {name!r}. Set TUTTI_ENV to one of {', '.join(ENVIRONMENTS)}.")
    return resources(ENVIRONMENTS[name]())
