"""Dagster's event log in SQLite, with the events of a range of partitions stored together.

A run over a range tells Dagster of every partition twice, planned and done. SQLite stores these one by one, each in a
few connections of its own; fifteen years of days would take many minutes. Here a batch takes one transaction.
Where Dagster has PostgreSQL, name that in `dagster.yaml` instead: it does the same by itself.
"""

import os
from collections.abc import Sequence
from typing import Any

from dagster import EventLogEntry
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData

BATCH = "500"  # events; Dagster reads it from DAGSTER_EVENT_BATCH_SIZE and otherwise stores one at a time


class BatchingEventLog(SqliteEventLogStorage):
    """Dagster's own storage but for batches; its folder is told from DAGSTER_HOME, which may move."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "BatchingEventLog":
        """Open the storage in a folder of DAGSTER_HOME."""
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", BATCH)
        return cls(os.path.join(os.environ["DAGSTER_HOME"], config_value["base_dir"]), inst_data)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of assets in one transaction of the run's shard and one of the index; others one by one."""
        by_run: dict[str, list[EventLogEntry]] = {}
        for event in events:
            if event.dagster_event_type in ASSET_EVENTS:
                by_run.setdefault(event.run_id, []).append(event)
            else:
                self.store_event(event)
        for run_id, batch in by_run.items():
            rows = [self._event_to_row(event) for event in batch]
            with self.run_connection(run_id) as shard:
                shard.execute(SqlEventLogStorageTable.insert(), rows)
            with self.index_transaction() as index:
                inserted = (index.execute(SqlEventLogStorageTable.insert().values(**row)) for row in rows)
                ids: list[Any] = [next(iter(result.inserted_primary_key or ())) for result in inserted]
                self._store_asset_event_tags(index, batch, ids)
                newest = {event.get_dagster_event().asset_key: (event, i) for event, i in zip(batch, ids, strict=True)}
                for event, i in newest.values():
                    self._store_asset_event(index, event, i)
