"""Dagster's event log in SQLite, with the events of a range of partitions stored together.

A run over a range tells Dagster of every partition twice, planned and done. SQLite stores these one by one, each in a
few connections of its own; fifteen years of days would take many minutes. Here a batch takes one transaction.
Where Dagster has PostgreSQL, name that in `dagster.yaml` instead: it does the same by itself.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from dagster import EventLogEntry
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, NullPool, create_engine, event

ENGINES = 32  # shards that are remembered how to talk to; a server sees a new one with each run
BATCH = "500"  # events; Dagster reads it from DAGSTER_EVENT_BATCH_SIZE and otherwise stores one at a time


class BatchingEventLog(SqliteEventLogStorage):
    """Dagster's own storage but for batches; its folder is told from DAGSTER_HOME, which may move."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engine = lru_cache(ENGINES)(self._opened)
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "BatchingEventLog":
        """Open the storage in a folder of DAGSTER_HOME."""
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", BATCH)
        return cls(os.path.join(os.environ["DAGSTER_HOME"], config_value["base_dir"]), inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """A connection of its own to a shard, in a transaction.

        Dagster makes an engine for each, which learns anew how to say what the last one said.
        """
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _opened(self, shard: str) -> Engine:
        """An engine that closes each connection: who watches a run watches its file, which is written then."""
        waits = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
        engine = create_engine(self.conn_string_for_shard(shard), poolclass=NullPool, connect_args=waits)
        event.listen(engine, "connect", _written_once)
        return engine

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of assets in one transaction of the run's shard and one of the index; others one by one."""
        by_run: dict[str, list[EventLogEntry]] = {}
        for entry in events:
            if entry.dagster_event_type in ASSET_EVENTS:
                by_run.setdefault(entry.run_id, []).append(entry)
            else:
                self.store_event(entry)
        for run_id, batch in by_run.items():
            rows = [self._event_to_row(entry) for entry in batch]
            with self.run_connection(run_id) as shard:
                shard.execute(SqlEventLogStorageTable.insert(), rows)
            with self.index_transaction() as index:
                inserted = (index.execute(SqlEventLogStorageTable.insert().values(**row)) for row in rows)
                ids: list[Any] = [next(iter(result.inserted_primary_key or ())) for result in inserted]
                self._store_asset_event_tags(index, batch, ids)
                newest = {entry.get_dagster_event().asset_key: (entry, i) for entry, i in zip(batch, ids, strict=True)}
                for entry, i in newest.values():
                    self._store_asset_event(index, entry, i)


def _written_once(connection: sqlite3.Connection, _: Any) -> None:
    """Wait for the disk when a connection is closed, which comes at once, and not after each transaction as well."""
    connection.execute("PRAGMA synchronous = NORMAL")
