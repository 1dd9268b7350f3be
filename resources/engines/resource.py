"""The engine as Dagster's resource: which one runs is the environment's choice, or the launchpad's for one run."""

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
"""The class of each engine, in the module of `resources/engines` that has the engine's name."""
EngineName = Enum("EngineName", {name: name for name in ENGINES})  # type: ignore[misc]


class EngineResource(dg.ConfigurableResource):
    """Where a run computes and with how much. Only the chosen engine is imported, and it starts on first use.

    An engine is given those of these settings that its class has a field for.
    """

    name: EngineName = Field(description=f"one of {', '.join(ENGINES)}; change it to send one run elsewhere")
    memory_gb: int = Field(default=4, description="what DuckDB, a Dask worker or Spark may hold before it spills")
    workers: int = Field(default=os.cpu_count() or 1, description="processes of Dask's own local cluster")
    shuffle_partitions: int = Field(default=8, description="parts into which Dask and Spark shuffle the keys")
    scheduler: str | None = Field(default=None, description="address of a Dask scheduler; none for a local cluster")
    master: str | None = Field(default=None, description="address of a Spark master; none to run locally")
    spill_dir: str = Field(description="folder for what does not fit in memory")

    @property
    def engine(self) -> Engine:
        """Build the engine. Raises `TuttiError` if the package that it needs is not installed."""
        name = EngineName(self.name).value
        chosen = getattr(import_module(f"resources.engines.{name}"), ENGINES[name])
        if chosen.needs and find_spec(chosen.needs) is None:
            raise TuttiError(f"TUTTI_ENV={name} needs {chosen.needs}, which is not installed: `make install-{name}`")
        wanted = {field.name for field in fields(chosen)}
        engine: Engine = chosen(**{setting: value for setting, value in self if setting in wanted})
        return engine
