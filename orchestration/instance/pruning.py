"""Pruning of Dagster's history: old events that newer ones replace, and the logs of old runs.

The newest materialization and the newest check of every partition stay, and every plan that was never carried out:
automation reads from these which tables are stale and which partitions failed. Runs stay with their tags, by which
backfills resume. Only SQLite is pruned; PostgreSQL has tools of its own.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

KEPT = timedelta(days=30)  # in which a run or an event is still looked at
BUSY_S = 60  # wait for others who write
REPLACED = (
    # Of a partition, or of a table without any, the newest materialization stays, and a plan that nothing followed.
    """DELETE FROM event_logs WHERE timestamp < :before
       AND dagster_event_type IN ('ASSET_MATERIALIZATION', 'ASSET_MATERIALIZATION_PLANNED')
       AND EXISTS (SELECT 1 FROM event_logs AS newer WHERE newer.asset_key = event_logs.asset_key
                   AND newer.dagster_event_type = 'ASSET_MATERIALIZATION'
                   AND newer.partition IS event_logs.partition AND newer.id > event_logs.id)""",
    # How checks ended is also in a table of its own, from which Dagster reads it.
    """DELETE FROM event_logs WHERE timestamp < :before
       AND dagster_event_type IN ('ASSET_CHECK_EVALUATION', 'ASSET_CHECK_EVALUATION_PLANNED')""",
    """DELETE FROM asset_check_executions WHERE create_timestamp < :before
       AND EXISTS (SELECT 1 FROM asset_check_executions AS newer
                   WHERE newer.asset_key = asset_check_executions.asset_key
                   AND newer.check_name = asset_check_executions.check_name
                   AND newer.partition IS asset_check_executions.partition
                   AND newer.execution_status IN ('SUCCEEDED', 'FAILED') AND newer.id > asset_check_executions.id)""",
    "DELETE FROM asset_event_tags WHERE event_id NOT IN (SELECT id FROM event_logs)",
)
ENDED = "SELECT run_id FROM runs WHERE status IN ('SUCCESS', 'FAILURE', 'CANCELED') AND update_timestamp < :before"


def prune(home: Path, now: datetime, say: Callable[[str], object]) -> None:
    """Remove from the history in a Dagster home what is older than `KEPT` and replaced, and say how much that freed."""
    index, runs = home / "history" / "runs" / "index.db", home / "history" / "runs.db"
    if not (index.exists() and runs.exists()):
        return
    before, size = {"before": str((now.astimezone(UTC) - KEPT).replace(tzinfo=None))}, _bytes(home)
    with closing(sqlite3.connect(runs, timeout=BUSY_S)) as database:
        ended = [run_id for (run_id,) in database.execute(ENDED, before)]
    ended = [run_id for run_id in ended if (index.parent / f"{run_id}.db").exists()]
    for run_id in ended:
        for file in index.parent.glob(f"{run_id}.db*"):
            file.unlink(missing_ok=True)
        shutil.rmtree(home / "storage" / run_id, ignore_errors=True)
    gone = 0
    with closing(sqlite3.connect(index, timeout=BUSY_S)) as database:
        try:
            with database:
                gone = sum(database.execute(statement, before).rowcount for statement in REPLACED)
            if gone:
                database.execute("VACUUM")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:  # others write, or the disk is full; the next maintenance tries again
            say(f"Dagster's history keeps its size for now: {error}")
    freed = max(0, size - _bytes(home)) / 1e6
    say(f"Dagster's history: {gone:,} replaced events and {len(ended):,} logs of runs removed, {freed:,.1f} MB freed")


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
