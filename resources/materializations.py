"""Materializations of many partitions at once, reported to Dagster in one batch.

Dagster's public ways (`log_event`, `report_runless_asset_event`, `add_asset_metadata`) take one partition at a time:
years of days would take minutes. The private names are here and not in orchestration/, since assets and the lake
report days too.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.events import (
    DagsterEvent,
    DagsterEventBatchMetadata,
    DagsterEventType,
    StepMaterializationData,
    generate_event_batch_id,
)
from dagster._core.execution.context.metadata_logging import AssetMetadataHandle, OutputMetadataAccumulator
from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID


def report_in_step(
    context: dg.AssetExecutionContext | dg.OpExecutionContext, materializations: Sequence[dg.AssetMaterialization]
) -> None:
    """Report materializations as events of the step that runs."""
    step = context.get_step_execution_context()
    for materialization, place in _batch(materializations):
        DagsterEvent.asset_materialization(step, materialization, place)


def report_only(context: dg.OutputContext, partitions: Sequence[str]) -> None:
    """Let Dagster report these partitions of a run's range as materialized, and not the others.

    Dagster reads them from this subset, which nothing public sets.
    """
    subset = context.asset_partitions_def.subset_with_partition_keys(partitions)
    context._asset_partitions_subset = subset


def report_outside_runs(instance: dg.DagsterInstance, materializations: Sequence[dg.AssetMaterialization]) -> None:
    """Report materializations that no run of Dagster made."""
    kind = DagsterEventType.ASSET_MATERIALIZATION.value
    for materialization, place in _batch(materializations):
        data = StepMaterializationData(materialization)
        event = DagsterEvent(kind, RUNLESS_JOB_NAME, event_specific_data=data)
        instance.report_dagster_event(event, RUNLESS_RUN_ID, batch_metadata=place)


def add_partition_metadata(context: dg.OutputContext, metadata: Mapping[str, Mapping[str, Any]]) -> None:
    """Add metadata to what a step materializes of its asset: for each partition its own.

    Dagster's own way lists all partitions of the run for each of them: half a second for a year of days.
    """
    step = context.step_context
    known = dict(step._metadata_accumulator.per_output_metadata)
    for key, own in metadata.items():
        known[AssetMetadataHandle(asset_key=context.asset_key, partition_key=key)] = own
    step._metadata_accumulator = OutputMetadataAccumulator(per_output_metadata=known)


def _batch(
    materializations: Sequence[dg.AssetMaterialization],
) -> Iterator[tuple[dg.AssetMaterialization, DagsterEventBatchMetadata]]:
    """Yield each with its place in a batch; the last one ends it."""
    batch = generate_event_batch_id()
    for n, materialization in enumerate(materializations, start=1):
        yield materialization, DagsterEventBatchMetadata(batch, n == len(materializations))
