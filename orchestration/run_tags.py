"""Tags of runs: what the queue, the sensors and the command line know a run by."""

import dagster as dg

# Dagster's own.
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"
PRIORITY = "dagster/priority"  # of waiting runs the highest goes first, 0 if there is no tag

# Ours. `dagster.yaml` limits how many runs with these two tags go at the same time.
AUTOMATIC = "tutti/automatic"  # builds tables after imports
CUMULATIVE = "tutti/cumulative"  # reads all history, so that its cost grows with it
BY_HAND = "tutti/by_hand"  # a command's run: the command starts the runs that follow from it


def over(keys: dg.PartitionKeyRange | None) -> dict[str, str]:
    """Return the tags that make one run build a range of partitions; none without a range."""
    return {RANGE_START: keys.start, RANGE_END: keys.end} if keys else {}
