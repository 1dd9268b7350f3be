"""Private names of Dagster that Tutti uses, each with the reason. Check them when upgrading Dagster.

These modules use more private names: `event_log` extends Dagster's storage, `failed_checks` reads it,
`partition_ranges` and `forked_runs` replace methods. `resources/materializations.py` has the ones that assets need,
since assets do not import orchestration.
"""

import dagster as dg

# The graph that `Definitions.resolve_asset_graph` returns: a public method whose types are private.
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

# `JobDefinition.execute_in_process` would hold every table of a run in memory until the run has ended; these two are
# what it calls.
from dagster._core.definitions.job_base import InMemoryJob

# What a sensor's `evaluate_tick` returns, which the automation sensor overrides.
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.execution.execute_in_process import core_execute_in_process

# `DagsterInstance.from_config` takes the settings of a folder as they are; this takes others instead of some.
from dagster._core.instance.ref import InstanceRef

# Dagster adds statuses now and then, so its own lists are used.
from dagster._core.storage.dagster_run import ACTIVE_RUN_STATUSES, NOT_FINISHED_STATUSES

# The address of a launched run's server. No public API says whether it is alive.
from dagster._core.storage.tags import GRPC_INFO_TAG


def resume_from(context: dg.SensorEvaluationContext, cursor: str | None) -> None:
    """Set the cursor that an evaluation starts from. `update_cursor` sets the one that it ends with."""
    context._cursor = cursor


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
    "resume_from",
]
