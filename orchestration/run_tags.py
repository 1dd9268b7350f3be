"""Run tags that the queue, the sensors and the command line use."""

import dagster as dg

# Dagster's own.
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"
PRIORITY = "dagster/priority"  # the queued run with the highest number starts first; default 0

# Tutti's own. `dagster.yaml` limits how many runs with the first two tags run at the same time.
AUTOMATIC = "tutti/automatic"  # builds tables after imports
CUMULATIVE = "tutti/cumulative"  # reads all history, so its cost grows with it
BY_HAND = "tutti/by_hand"  # started by a command, which also starts the downstream runs


def over(keys: dg.PartitionKeyRange | None) -> dict[str, str]:
    """Return the tags that make one run build a range of partitions. Empty without a range."""
    return {RANGE_START: keys.start, RANGE_END: keys.end} if keys else {}
