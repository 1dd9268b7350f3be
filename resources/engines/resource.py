"""The engine as a Dagster resource. The environment chooses it; the launchpad can change it for one run."""

import os
from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from importlib import import_module
from importlib.util import find_spec

import dagster as dg
from pydantic import Field

from resources.errors import TuttiError
from resources.frames.frame import Engine

ENGINES: Mapping[str, str] = {
    "pandas": "PandasEngine",
    "duckdb": "DuckEngine",
    "dask": "DaskEngine",
    "spark": "SparkEngine",
}
"""Engine classes by engine name. Each is in the module of `resources/engines` with the engine's name."""
EngineName = Enum("EngineName", {name: name for name in ENGINES})  # type: ignore[misc]


class EngineResource(dg.ConfigurableResource):
    """The engine that computes a run, and its limits. Only the chosen engine is imported; it starts on first use.

    Each engine uses the settings for which its class has a field.
    """

    name: EngineName = Field(description=f"Engine that computes this run: one of {', '.join(ENGINES)}.")
    memory_gb: int = Field(
        default=4, description="Memory in GB that DuckDB, a Dask worker or Spark may use before it spills to disk."
    )
    workers: int = Field(default=os.cpu_count() or 1, description="Number of processes of Dask's local cluster.")
    shuffle_partitions: int = Field(
        default=8, description="Minimum number of partitions of a shuffle on Dask or Spark."
    )
    scheduler: str | None = Field(default=None, description="Address of a Dask scheduler; empty for a local cluster.")
    master: str | None = Field(default=None, description="URL of a Spark master; empty to run Spark locally.")
    spill_dir: str = Field(description="Folder for data that does not fit in memory.")

    @property
    def engine(self) -> Engine:
        """Build the engine. Raises `TuttiError` if the package that it needs is not installed."""
        name = EngineName(self.name).value
        chosen = getattr(import_module(f"resources.engines.{name}"), ENGINES[name])
        if chosen.required_package and find_spec(chosen.required_package) is None:
            raise TuttiError(
                f"TUTTI_ENV={name} needs the package {chosen.required_package}, which is not installed. "
                f"Run `make install-{name}`."
            )
        settings = {field.name for field in fields(chosen)}
        engine: Engine = chosen(**{setting: value for setting, value in self if setting in settings})
        return engine
