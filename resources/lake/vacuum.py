"""Vacuum: remove a table's files and versions that are no longer needed."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from resources.files import sync, writing_to
from resources.lake.delta_table import open_table, plain_errors
from resources.lake.file_stats import replaced_files, untracked_files
from resources.lake.lease import held, lease_of
from resources.storage import Storage, Stored

LONGEST_JOB_DAYS = 1  # longest time between a job's first file and its commit, in a bucket, where there are no leases


@dataclass(frozen=True)
class Vacuumed:
    """The number of files and bytes that a vacuum removed."""

    files: int
    bytes: int


def vacuum(table: Storage, keep_days: int) -> Vacuumed:
    """Remove files that no version of the last `keep_days` days contains, and files that killed jobs left behind.

    Files of killed jobs are removed at once from a disk, and after `LONGEST_JOB_DAYS` from a bucket. Files of other
    programs, which have no lease, are removed if they are not in the log and older than `keep_days`.
    """
    with writing_to(table), plain_errors(table):
        # The order matters: a file that was listed, whose lease is free afterwards, and that is still not in the log
        # cannot be published any more.
        listed = {file.name: file for file in table.files() if file.name.endswith(".parquet")}
        leases = None if table.remote else held(Path(table))
        delta = open_table(table)
        free = {name for name, file in listed.items() if _free(file, leases, keep_days)}
        removed = listed.keys() & (untracked_files(delta, free) | replaced_files(delta, keep_days))
        table.remove(removed)
    return Vacuumed(len(removed), sum(listed[name].bytes for name in removed))


def _free(file: Stored, leases: Collection[str] | None, keep_days: int) -> bool:
    """Return whether no running job can publish a file any more; `leases` are the held ones, or None in a bucket."""
    age_days = (time.time() - file.modified) / 86_400
    if (lease := lease_of(file.name)) is None:
        return age_days > keep_days
    return age_days > LONGEST_JOB_DAYS if leases is None else lease not in leases


def drop_history(table: Path) -> None:
    """Remove all versions but the newest from a table's log, after a checkpoint.

    If it is killed, the next call completes it.
    """
    log = table / "_delta_log"
    with writing_to(table), plain_errors(Storage.at(table)):
        delta = open_table(Storage.at(table))
        delta.create_checkpoint()
        newest = f"{delta.version():020d}"
        for path in log.iterdir():
            # Other files belong to an older version, or were never finished.
            if path.name != "_last_checkpoint" and not path.name.startswith(newest):
                path.unlink(missing_ok=True)
        sync(log)
