"""Dagster's event log in SQLite, with the events of a range of partitions stored together.

A run over a range tells Dagster of every partition twice, planned and done. SQLite stores these one by one, each in a
few connections of its own; fifteen years of days would take many minutes. Here a batch takes one transaction.

A check of a range is done once. Dagster stores for each partition that it is planned, and never how it ended: most of
its rows. Here a check of a range has one row. Where Dagster has PostgreSQL, name that in `dagster.yaml` instead.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from dagster import EventLogEntry
from dagster._core.events import ASSET_EVENTS, DagsterEventType
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from dagster_shared.record import copy
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, select

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
                insert = SqlEventLogStorageTable.insert()
                telling = insert.returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
                ids = list(index.execute(telling, rows).scalars())
                self._store_asset_event_tags(index, batch, ids)
                newest = {entry.get_dagster_event().asset_key: (entry, i) for entry, i in zip(batch, ids, strict=True)}
                for entry, i in newest.values():
                    self._store_asset_event(index, entry, i)

    def store_asset_check_event(self, event: EventLogEntry, event_id: int | None) -> None:
        """Store that a check is planned, or how it ended: of a range of partitions once."""
        told = event.get_dagster_event()
        data: Any = told.event_specific_data
        if event.dagster_event_type == DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
            if data.partitions_subset and len(data.partitions_subset) > 1:
                data = copy(data, partitions_subset=None)
        elif data.partition is None:
            data = copy(data, partition=self._planned_for(event.run_id, data))
        event = event._replace(dagster_event=told._replace(event_specific_data=data))
        super().store_asset_check_event(event, event_id)

    def _planned_for(self, run_id: str, done: Any) -> str | None:
        """The partition that a check was planned for; Dagster forgets it where a range is of one."""
        planned, name = AssetCheckExecutionsTable.c, done.asset_key.to_string()
        found = select(planned.partition).where(
            planned.run_id == run_id, planned.asset_key == name, planned.check_name == done.check_name
        )
        with self.index_connection() as index:
            partition: str | None = index.execute(found).scalar()
        return partition


def _written_once(connection: sqlite3.Connection, _: Any) -> None:
    """Wait for the disk when a connection is closed, which comes at once, and not after each transaction as well."""
    connection.execute("PRAGMA synchronous = NORMAL")
