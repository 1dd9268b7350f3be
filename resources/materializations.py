"""Materializations of many partitions at once, reported to Dagster in one batch.

Dagster's public functions (`log_event`, `report_runless_asset_event`, `add_asset_metadata`) take one partition at a
time, so years of days would take minutes. Dagster's private names are used here and not in orchestration/, because
assets and the lake report days too.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
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

from resources.span import widen


def report_in_step(
    context: dg.AssetExecutionContext | dg.OpExecutionContext, materializations: Sequence[dg.AssetMaterialization]
) -> None:
    """Report materializations of days as events of the running step, once the days have partitions."""
    _widen(context.instance, materializations)
    step = context.get_step_execution_context()
    for materialization, batch in _batch(materializations):
        DagsterEvent.asset_materialization(step, materialization, batch)


def report_only(context: dg.OutputContext, partitions: Sequence[str]) -> None:
    """Make Dagster report only these partitions of a run's range as materialized.

    Dagster reads them from this subset, which no public function sets.
    """
    subset = context.asset_partitions_def.subset_with_partition_keys(partitions)
    context._asset_partitions_subset = subset


def report_outside_runs(instance: dg.DagsterInstance, materializations: Sequence[dg.AssetMaterialization]) -> None:
    """Report materializations that happened outside Dagster's runs: of partitions that exist, or of whole tables."""
    _widen(instance, materializations)
    kind = DagsterEventType.ASSET_MATERIALIZATION.value
    for materialization, batch in _batch(materializations):
        data = StepMaterializationData(materialization)
        event = DagsterEvent(kind, RUNLESS_JOB_NAME, event_specific_data=data)
        instance.report_dagster_event(event, RUNLESS_RUN_ID, batch_metadata=batch)


def add_partition_metadata(context: dg.OutputContext, metadata: Mapping[str, Mapping[str, Any]]) -> None:
    """Add metadata to the materializations of a step: a mapping from partition key to that partition's metadata.

    Dagster's own function lists all partitions of the run once for each partition: half a second for a year of days.
    """
    step = context.step_context
    all_metadata = dict(step._metadata_accumulator.per_output_metadata)
    for key, entries in metadata.items():
        all_metadata[AssetMetadataHandle(asset_key=context.asset_key, partition_key=key)] = entries
    step._metadata_accumulator = OutputMetadataAccumulator(per_output_metadata=all_metadata)


def _widen(instance: dg.DagsterInstance, materializations: Sequence[dg.AssetMaterialization]) -> None:
    widen(Path(instance.root_directory), (date.fromisoformat(m.partition) for m in materializations if m.partition))


def _batch(
    materializations: Sequence[dg.AssetMaterialization],
) -> Iterator[tuple[dg.AssetMaterialization, DagsterEventBatchMetadata]]:
    """Yield each materialization with its batch metadata; the last one ends the batch."""
    batch = generate_event_batch_id()
    for n, materialization in enumerate(materializations, start=1):
        yield materialization, DagsterEventBatchMetadata(batch, n == len(materializations))
