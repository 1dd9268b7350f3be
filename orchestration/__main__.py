"""The command line: `python -m orchestration demo`, `... import LISTENER FILE...`.

Runs are Dagster runs, kept where the web UI finds them; a mistake of the person at the keyboard is one line.
"""

import argparse
import os
import shutil
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration.jobs import following
from orchestration.terminal import terminal
from resources.environments import data_folder
from resources.errors import TuttiError

DEMO_FIRST_DAY = date(2025, 2, 24)  # two ISO weeks that cross a month, and end where the USA's clocks change
DEMO_DAYS = 14


class Platform:
    """The platform in the environment's variables, and the Dagster instance beside its data."""

    def __init__(self) -> None:
        from orchestration.definitions import defs

        self.defs = defs
        self.instance = dg.DagsterInstance.get()
        self.rows: dict[str, int] = {}
        self.seconds: dict[str, float] = {}

    def run(self, job: str, keys: dg.PartitionKeyRange | None = None, config: dict[str, Any] | None = None) -> None:
        """Run a job here, for a range of its partitions; raises `TuttiError` with the reason if it fails."""
        span = {"dagster/asset_partition_range_start": keys.start, "dagster/asset_partition_range_end": keys.end} if keys else {}
        result = self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            tags=span,
            run_config={"ops": config or {}, "loggers": {"terminal": {"config": {}}}},
            raise_on_error=False,
        )
        for event in result.all_events:
            print(event.event_type_value, event.step_key)
        if not result.success:
            raise TuttiError("failed")
