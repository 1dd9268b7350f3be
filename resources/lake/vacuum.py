"""Vacuum: removing the files of a table that nobody needs any more."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from resources.files import sync, writing_to
from resources.lake.delta_table import opened, understood
from resources.lake.file_stats import replaced, unknown
from resources.lake.lease import held, lease_of


@dataclass(frozen=True)
class Vacuumed:
    """What a vacuum removed."""

    files: int
    bytes: int


def vacuum(table: Path, keep_days: int) -> Vacuumed:
    """Remove the files that no version of the last `keep_days` has, and at once those that killed jobs left behind.

    Files of others, that carry no lease, count as left behind once they are as old as that.
    """
    with writing_to(table), understood(table):
        # In this order: what was there, under a lease that is free by now, and still is not in the log, is nobody's.
        listed = dict(_files(table))
        leases = held(table)
        delta = opened(table)
        old = time.time() - keep_days * 86_400
        claims = {name: lease_of(name) for name in listed}
        free = {n for n, claim in claims.items() if claim not in leases and (claim or listed[n].st_mtime < old)}
        gone = listed.keys() & (unknown(delta, free) | replaced(delta, keep_days))
        for name in gone:
            (table / name).unlink(missing_ok=True)
    return Vacuumed(len(gone), sum(listed[name].st_size for name in gone))


def forget(table: Path) -> None:
    """Let the log of a table begin with its newest version, which it sums up first; a killed one is made good by the
    next.
    """
    log = table / "_delta_log"
    with writing_to(table), understood(table):
        delta = opened(table)
        delta.create_checkpoint()
        newest = f"{delta.version():020d}"
        for path in log.iterdir():
            # What is not of the newest version is of an older one, or was never finished.
            if path.name != "_last_checkpoint" and not path.name.startswith(newest):
                path.unlink(missing_ok=True)
        sync(log)


def _files(table: Path) -> Iterator[tuple[str, os.stat_result]]:
    """The Parquet files in a table's folder, whether its log has them or not."""
    for path in table.glob("*.parquet"):
        try:
            yield path.name, path.stat()
        except FileNotFoundError:
            continue  # somebody else removed it
