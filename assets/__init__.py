"""Assets: the tables of the platform, one file per thing, in three layers.

Assets work on tables. Engines, storage and folders are resources.
"""

import warnings

from dagster import BetaWarning, PreviewWarning

# The pinned Dagster marks backfill policies, partition mappings with offsets and partitioned checks as beta or preview.
for category in (BetaWarning, PreviewWarning):
    warnings.filterwarnings("ignore", category=category)
