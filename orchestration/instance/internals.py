"""Private names of Dagster that the platform needs, each with the reason: the one place to check on an upgrade.

Other modules build on private names of their own: beside this one `event_log`, which extends Dagster's storage as a
whole, `failed_checks`, which reads it, `partition_ranges`, which replaces methods of partitions, and `forked_runs`.
`resources/materializations.py` serves assets, which import nothing of orchestration.
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

# Which statuses a run ends with is for Dagster to say: it adds some now and then.
from dagster._core.storage.dagster_run import ACTIVE_RUN_STATUSES, NOT_FINISHED_STATUSES

# Where the server of a launched run listens: nothing public tells whether it is still alive.
from dagster._core.storage.tags import GRPC_INFO_TAG


def resume_from(context: dg.SensorEvaluationContext, cursor: str | None) -> None:
    """Let an evaluation begin at a cursor: `update_cursor` sets the one that it ends with."""
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
