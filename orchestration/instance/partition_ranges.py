"""Ranges of partitions in Dagster, without a list of all their partitions for each use.

For each input, output and check of a step, Dagster lists the partitions of the run's range, one by one, and joins them
to one window again. Of an import of few days, years apart, that took two fifths of the CPU seconds. For each input of a
step that reads all history it lists all days there are.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any

import dagster as dg
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.definitions.partitions.subset import PartitionsSubset, TimeWindowPartitionsSubset

LISTED = 64  # windows whose partitions are remembered; Dagster remembers five, and a run over stretches asks in turns


def quicken() -> None:
    """Let Dagster take a range for the window that it is. Subsets are equal to those that Dagster makes by itself."""
    TimeWindowPartitionsSubset.with_partition_key_range = with_partition_key_range  # type: ignore[assignment,method-assign]
    listing = dg.TimeWindowPartitionsDefinition.get_partition_keys_in_time_window.__wrapped__
    dg.TimeWindowPartitionsDefinition.get_partition_keys_in_time_window = lru_cache(LISTED)(listing)  # type: ignore[method-assign]
    dg.TimeWindowPartitionsDefinition.get_partition_keys = get_partition_keys  # type: ignore[assignment,method-assign]


def with_partition_key_range(
    subset: TimeWindowPartitionsSubset, partitions_def: Any, partition_key_range: dg.PartitionKeyRange
) -> PartitionsSubset[str]:
    """Return the subset and the partitions of a range as well."""
    if subset.included_time_windows or not _within(partitions_def, partition_key_range):
        return PartitionsSubset.with_partition_key_range(subset, partitions_def, partition_key_range)
    start = partitions_def.start_time_for_partition_key(partition_key_range.start)
    end = partitions_def.end_time_for_partition_key(partition_key_range.end)
    return partitions_def.get_partition_subset_in_time_window(dg.TimeWindow(start, end))


def get_partition_keys(
    partitions_def: Any, current_time: datetime | None = None, dynamic_partitions_store: Any = None
) -> list[str]:
    """Return all partitions that there are now, or were or will be at another time."""
    with partition_loading_context(current_time, dynamic_partitions_store):
        first, last = partitions_def.get_first_partition_window(), partitions_def.get_last_partition_window()
        ever = dg.TimeWindow(first.start, last.end) if last else None
        return list(partitions_def.get_partition_keys_in_time_window(ever)) if ever else []


def _within(partitions_def: Any, keys: dg.PartitionKeyRange) -> bool:
    """Return whether a range is not empty, and all of it exists."""
    ends = partitions_def.has_partition_key(keys.start) and partitions_def.has_partition_key(keys.end)
    return ends and keys.start <= keys.end and not partitions_def.exclusions
