"""Pruning of Dagster's history: it removes superseded events and outdated run logs.

The newest materialization and check of every partition stay, and so do plans without a materialization. Automation
reads from these which tables are stale and which partitions failed. Runs stay with their tags, which backfills need to
resume. Only SQLite is pruned, since PostgreSQL has tools of its own.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

RETENTION = timedelta(days=30)
BUSY_TIMEOUT_S = 60  # to wait for other writers
PRUNE = (
    # The newest materialization of a partition (or of a table without partitions) stays, and a plan without one.
    """DELETE FROM event_logs WHERE timestamp < :before
       AND dagster_event_type IN ('ASSET_MATERIALIZATION', 'ASSET_MATERIALIZATION_PLANNED')
       AND EXISTS (SELECT 1 FROM event_logs AS newer WHERE newer.asset_key = event_logs.asset_key
                   AND newer.dagster_event_type = 'ASSET_MATERIALIZATION'
                   AND newer.partition IS event_logs.partition AND newer.id > event_logs.id)""",
    # Dagster reads the results of checks from a table of their own.
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


def prune(home: Path, now: datetime, log: Callable[[str], object]) -> None:
    """Remove superseded events and run logs older than `RETENTION` from a Dagster home, and log the freed space."""
    index, runs = home / "history" / "runs" / "index.db", home / "history" / "runs.db"
    if not (index.exists() and runs.exists()):
        return
    before, size = {"before": str((now.astimezone(UTC) - RETENTION).replace(tzinfo=None))}, _bytes(home)
    with closing(sqlite3.connect(runs, timeout=BUSY_TIMEOUT_S)) as database:
        ended = [run_id for (run_id,) in database.execute(ENDED, before)]
    ended = [run_id for run_id in ended if (index.parent / f"{run_id}.db").exists()]
    for run_id in ended:
        for file in index.parent.glob(f"{run_id}.db*"):
            file.unlink(missing_ok=True)
        shutil.rmtree(home / "storage" / run_id, ignore_errors=True)
    events = 0
    with closing(sqlite3.connect(index, timeout=BUSY_TIMEOUT_S)) as database:
        try:
            with database:
                events = sum(database.execute(statement, before).rowcount for statement in PRUNE)
            if events:
                database.execute("VACUUM")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:  # busy, or the disk is full
            log(f"Dagster's history was not compacted: {error}. The next maintenance tries again.")
    freed = max(0, size - _bytes(home)) / 1e6
    log(f"Dagster's history: {events:,} superseded events and {len(ended):,} run logs removed, {freed:,.1f} MB freed")


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
