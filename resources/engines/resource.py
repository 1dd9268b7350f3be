"""The engine as Dagster's resource: which one runs is the environment's choice, or the launchpad's for one run."""

import os
from collections.abc import Callable
from enum import Enum
from importlib.util import find_spec

import dagster as dg
from pydantic import Field

from resources.errors import TuttiError
from resources.frames.frame import Engine


class EngineName(Enum):
    """The engines there are, as people type them."""

    pandas = "pandas"
    duckdb = "duckdb"
    dask = "dask"
    spark = "spark"


class EngineResource(dg.ConfigurableResource):
    """Where a run computes and with how much. Only the engine chosen is imported and started."""

    name: EngineName = Field(description="pandas, duckdb, dask or spark; change it to send one run elsewhere")
    memory_gb: int = Field(default=4, description="what DuckDB, a Dask worker or Spark may hold before it spills")
    workers: int = Field(default=os.cpu_count() or 1, description="processes of Dask's own local cluster")
    shares: int = Field(default=8, description="parts into which Dask and Spark shuffle the keys")
    scheduler: str | None = Field(default=None, description="address of a Dask scheduler; none for a local cluster")
    master: str | None = Field(default=None, description="address of a Spark master; none to run locally")
    spill: str = Field(description="folder for what does not fit in memory")

    @property
    def engine(self) -> Engine:
        """The engine; it starts what it needs on first use, once per process."""
        return ENGINES[EngineName(self.name)](self)


def _pandas(settings: EngineResource) -> Engine:
    from resources.engines.pandas import PandasEngine

    return PandasEngine()


def _duckdb(settings: EngineResource) -> Engine:
    from resources.engines.duckdb import DuckEngine

    return DuckEngine(memory_gb=settings.memory_gb, spill=settings.spill)


def _needs(package: str, environment: str) -> None:
    """Raise `TuttiError` where an engine is not installed."""
    if find_spec(package) is None:
        raise TuttiError(
            f"TUTTI_ENV={environment} needs {package}, which is not installed: `make install-{environment}`"
        )


def _dask(settings: EngineResource) -> Engine:
    _needs("distributed", "dask")
    from resources.engines.dask import DaskEngine

    return DaskEngine(
        scheduler=settings.scheduler,
        workers=settings.workers,
        memory_gb=settings.memory_gb,
        shares=settings.shares,
        spill=settings.spill,
    )


def _spark(settings: EngineResource) -> Engine:
    _needs("pyspark", "spark")
    from resources.engines.spark import SparkEngine

    return SparkEngine(
        master=settings.master, memory_gb=settings.memory_gb, shares=settings.shares, spill=settings.spill
    )


ENGINES: dict[EngineName, Callable[[EngineResource], Engine]] = {
    EngineName.pandas: _pandas,
    EngineName.duckdb: _duckdb,
    EngineName.dask: _dask,
    EngineName.spark: _spark,
}
"""A new engine is a class in `engines/` and a line here."""
