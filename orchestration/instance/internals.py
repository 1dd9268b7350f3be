"""Private names of Dagster that Tutti uses, each with the reason. Check them when upgrading Dagster.

These modules use more private names: `event_log` extends Dagster's storage, `failed_checks` reads it,
`partition_ranges`, `forked_runs` and `web_server.services` replace methods. `resources/materializations.py` has the
ones that assets need, since assets do not import orchestration.
"""

from functools import partial

import dagster as dg

# The graph that `Definitions.resolve_asset_graph` returns: a public method whose types are private.
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

# `JobDefinition.execute_in_process` would hold every table of a run in memory until the run has ended; these two are
# what it calls.
from dagster._core.definitions.job_base import InMemoryJob

# The repository of a code location whose module has one `Definitions`.
from dagster._core.definitions.repository_definition.valid_definitions import SINGLETON_REPOSITORY_NAME

# What a sensor's `evaluate_tick` returns, which the automation sensor overrides.
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.execution.execute_in_process import core_execute_in_process

# `DagsterInstance.from_config` takes the settings of a folder as they are; this takes others instead of some.
from dagster._core.instance.ref import InstanceRef

# The UI lists a run on its timeline and under its job only if the run's origin names both. A code location that is only
# named needs neither a server nor a file.
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

# Dagster adds statuses now and then, so its own lists are used.
from dagster._core.storage.dagster_run import ACTIVE_RUN_STATUSES, NOT_FINISHED_STATUSES

# The address of a launched run's server. No public API says whether it is alive.
from dagster._core.storage.tags import GRPC_INFO_TAG


def resume_from(context: dg.SensorEvaluationContext, cursor: str | None) -> None:
    """Set the cursor that an evaluation starts from. `update_cursor` sets the one that it ends with."""
    context._cursor = cursor


def list_under_job(instance: dg.DagsterInstance, job: str, location: str) -> None:
    """Let the UI list all later runs of this instance on its timeline and under a job."""
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), SINGLETON_REPOSITORY_NAME)
    create = partial(type(instance).create_run_for_job, instance, remote_job_origin=RemoteJobOrigin(repository, job))
    instance.create_run_for_job = create  # type: ignore[method-assign]


__all__ = [
    "ACTIVE_RUN_STATUSES",
    "GRPC_INFO_TAG",
    "NOT_FINISHED_STATUSES",
    "AssetGraph",
    "BaseAssetGraph",
    "InMemoryJob",
    "InstanceRef",
    "SensorExecutionData",
    "core_execute_in_process",
    "list_under_job",
    "resume_from",
]
