"""Vacuum: removing the files of a table that nobody needs any more."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from resources.files import sync, writing_to
from resources.lake.delta_table import opened, understood
from resources.lake.file_stats import replaced, unknown
from resources.lake.lease import held, lease_of
from resources.storage import Storage, Stored

LONGEST_JOB_DAYS = 1  # between the first file of a job and its commit, in a bucket, where nothing can be leased


@dataclass(frozen=True)
class Vacuumed:
    """What a vacuum removed."""

    files: int
    bytes: int


def vacuum(table: Storage, keep_days: int) -> Vacuumed:
    """Remove the files that no version of the last `keep_days` has, and those that killed jobs left behind.

    On a disk the latter go at once, in a bucket after `LONGEST_JOB_DAYS`. Files of others, which carry no lease, count
    as left behind once they are older than `keep_days`.
    """
    with writing_to(table), understood(table):
        # In this order: a file that was there, under a lease that is free by now, and is still not in the log is free.
        listed = {file.name: file for file in table.files() if file.name.endswith(".parquet")}
        leases = None if table.remote else held(Path(table))
        delta = opened(table)
        free = {name for name, file in listed.items() if _free(file, leases, keep_days)}
        gone = listed.keys() & (unknown(delta, free) | replaced(delta, keep_days))
        table.remove(gone)
    return Vacuumed(len(gone), sum(listed[name].bytes for name in gone))


def _free(file: Stored, leases: Collection[str] | None, keep_days: int) -> bool:
    """Return whether no job at work can be about to publish a file; `leases` are those held, or None in a bucket."""
    age_days = (time.time() - file.modified) / 86_400
    if (lease := lease_of(file.name)) is None:
        return age_days > keep_days
    return age_days > LONGEST_JOB_DAYS if leases is None else lease not in leases


def forget(table: Path) -> None:
    """Let the log of a table begin with its newest version, which it sums up first; a killed one is made good by the
    next.
    """
    log = table / "_delta_log"
    with writing_to(table), understood(Storage.at(table)):
        delta = opened(Storage.at(table))
        delta.create_checkpoint()
        newest = f"{delta.version():020d}"
        for path in log.iterdir():
            # What is not of the newest version is of an older one, or was never finished.
            if path.name != "_last_checkpoint" and not path.name.startswith(newest):
                path.unlink(missing_ok=True)
        sync(log)
