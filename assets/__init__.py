"""Assets: the tables of the platform, one file per thing, in three layers. They know tables, not engines or folders."""

import warnings

from dagster import BetaWarning, PreviewWarning

# Backfill policies, mappings before a partition's start and partitioned checks are marked so in the release we pin.
for mark in (BetaWarning, PreviewWarning):
    warnings.filterwarnings("ignore", category=mark)
