"""Ranges of partitions in Dagster, without a list of all their partitions for each use.

For each input, output and check of a step, Dagster lists the partitions of the run's range, one by one, and joins them
to one window again. Of an import of few days, years apart, that took two fifths of the CPU seconds.
"""

from functools import lru_cache
from typing import Any

import dagster as dg
from dagster._core.definitions.partitions.subset import PartitionsSubset, TimeWindowPartitionsSubset

LISTED = 64  # windows whose partitions are remembered; Dagster remembers five, and a run over stretches asks in turns


def quicken() -> None:
    """Let Dagster take a range for the window that it is. Subsets are equal to those that Dagster makes by itself."""
    TimeWindowPartitionsSubset.with_partition_key_range = with_partition_key_range  # type: ignore[assignment,method-assign]
    listing = dg.TimeWindowPartitionsDefinition.get_partition_keys_in_time_window.__wrapped__
    dg.TimeWindowPartitionsDefinition.get_partition_keys_in_time_window = lru_cache(LISTED)(listing)  # type: ignore[method-assign]


def with_partition_key_range(
    subset: TimeWindowPartitionsSubset, partitions_def: Any, partition_key_range: dg.PartitionKeyRange
) -> PartitionsSubset[str]:
    """Return the subset and the partitions of a range as well."""
    if subset.included_time_windows or not _within(partitions_def, partition_key_range):
        return PartitionsSubset.with_partition_key_range(subset, partitions_def, partition_key_range)
    start = partitions_def.start_time_for_partition_key(partition_key_range.start)
    end = partitions_def.end_time_for_partition_key(partition_key_range.end)
    return partitions_def.get_partition_subset_in_time_window(dg.TimeWindow(start, end))


def _within(partitions_def: Any, keys: dg.PartitionKeyRange) -> bool:
    """Return whether a range is not empty, and all of it exists."""
    ends = partitions_def.has_partition_key(keys.start) and partitions_def.has_partition_key(keys.end)
    return ends and keys.start <= keys.end and not partitions_def.exclusions
