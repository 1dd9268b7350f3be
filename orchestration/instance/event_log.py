"""Dagster's event log in SQLite, with the events of a range of partitions stored together and once.

Dagster stores two events (planned and materialized) for each partition of a range. It stores each twice: in the file of
the run, and in the index of all assets. Each repeats the metadata of the whole range. So the history of ten years of
days would be twenty times as large as their tables. This storage writes a range in one transaction:

- The file of the run has one event for each asset and range.
- In the index, the newest partition has the metadata and tags of the range. Each other partition has a packed event
  with its numbers.
- A planned event is removed once its partition is materialized. Dagster reads only planned events without a
  materialization, which mean that a partition is in progress or failed.
- A check of a range has one row. Dagster stores one for each partition, none of which gets the result of the check.
  A failed check also has a row for each partition, since automation blocks their downstream partitions.

To use PostgreSQL instead, configure it in `dagster.yaml`.
"""

import json
import os
import shutil
import sqlite3
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster
from dagster import AssetCheckKey, AssetMaterialization, EventLogEntry, MetadataValue
from dagster._core.events import ASSET_EVENTS, DagsterEventType
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData, serialize_value
from dagster_shared.record import copy
from sqlalchemy import Connection, Engine, bindparam, create_engine, event, select, text
from sqlalchemy.exc import DisconnectionError

from orchestration.instance.failed_checks import failed_checks
from orchestration.instance.packed_event import pack, unpacked
from resources.dates import tagged_days
from resources.permissions import restrict
from resources.text.printable import printable

MAX_ENGINES = 16  # shards with an open connection per process; each run adds a shard
BATCH_SIZE = "10000"  # events, more than there are days; without it, Dagster stores events one by one
PARTITION_PREFIX = "dagster/partition_"  # of metadata that differs between partitions
PLANNED, MATERIALIZED = DagsterEventType.ASSET_MATERIALIZATION_PLANNED, DagsterEventType.ASSET_MATERIALIZATION
PLANNED_CHECK = DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
RETURNING = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
# Few checks fail: with this index, a command finds them without reading the others.
FAILED_CHECKS = """CREATE INDEX IF NOT EXISTS tutti_failed_checks ON asset_check_executions (asset_key, check_name)
    WHERE execution_status = 'FAILED'"""
EMPTY_SHARD = f"empty-run.{dagster.__version__}"  # file name of a shard without events


class BatchingEventLog(SqliteEventLogStorage):
    """Dagster's SQLite storage with batches. Its folder is relative to DAGSTER_HOME, so the home can move."""

    supports_partition_subset_in_asset_materialization_planned_events = True
    supports_asset_checks = True  # otherwise Dagster looks for the checks table with each check event

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}  # by shard, most recently used last
        weakref.finalize(self, _close, self._engines)
        super().__init__(base_dir, inst_data)

    def dispose(self) -> None:
        """Close all connections, which merges SQLite's write-ahead logs into the databases."""
        super().dispose()
        with self._db_lock:
            _close(self._engines)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "BatchingEventLog":
        """Open the storage in a folder of DAGSTER_HOME. Every process of Dagster does this before it writes."""
        restrict()
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", BATCH_SIZE)
        return cls(os.path.join(os.environ["DAGSTER_HOME"], config_value["base_dir"]), inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """Yield the connection to a shard, in a transaction.

        Dagster would open a connection for each event, which takes ten times as long as storing it.
        """
        path = self.path_for_shard(shard)
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs or not os.path.exists(path):  # it may have been pruned
                self._prepare(shard, engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                changes = driver.total_changes
                with connection.begin():
                    yield connection
                if driver.total_changes > changes:
                    os.utime(path)  # the UI watches this file, but SQLite writes to the write-ahead log

    def _engine(self, shard: str) -> Engine:
        """Return the engine of a shard. If there are too many, close the least recently used one."""
        self._engines[shard] = engine = self._engines.pop(shard, None) or self._opened(shard)
        if len(self._engines) > MAX_ENGINES:
            self._engines.pop(next(iter(self._engines))).dispose()
        return engine

    def _prepare(self, shard: str, engine: Engine) -> None:
        """Create the tables of a new shard by copying an empty one. Creating them takes Dagster 0.2 CPU seconds."""
        path, empty = Path(self.path_for_shard(shard)), Path(self._base_dir, EMPTY_SHARD)
        if shard == INDEX_SHARD_NAME or path.exists():
            self._initdb(engine)
            if shard == INDEX_SHARD_NAME:
                with engine.begin() as index:
                    index.execute(text(FAILED_CHECKS))
            return
        if not empty.exists():
            new = Path(self.path_for_shard(f"{uuid4()}-empty"))
            new_engine = self._opened(new.stem)
            self._initdb(new_engine)
            new_engine.dispose()
            new.rename(empty)
        draft = path.with_suffix(f".{uuid4()}")
        shutil.copyfile(empty, draft)
        with suppress(FileExistsError):  # another process created it in the meantime
            os.link(draft, path)
        draft.unlink()

    def _opened(self, shard: str) -> Engine:
        """Return a new engine with a pool of one connection."""
        connect_args = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
        engine = create_engine(self.conn_string_for_shard(shard), pool_size=1, connect_args=connect_args)
        event.listen(engine, "connect", _connected)
        event.listen(engine, "checkout", partial(_is_current, self.path_for_shard(shard)))
        return engine

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event. The UI shows log messages as a terminal does, so names in them are escaped."""
        if event.dagster_event is None:
            event = event._replace(user_message="\n".join(map(printable, event.user_message.split("\n"))))
        if event.dagster_event_type == PLANNED_CHECK:
            self._plan_checks(event.run_id, [event])
        else:
            super().store_event(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store asset events and planned checks in one transaction of the run's shard and one of the index.

        Other events are stored one by one.
        """
        by_run: dict[str, list[EventLogEntry]] = {}
        checks: dict[str, list[EventLogEntry]] = {}
        for entry in events:
            if entry.dagster_event_type in ASSET_EVENTS:
                by_run.setdefault(entry.run_id, []).append(entry)
            elif entry.dagster_event_type == PLANNED_CHECK:
                checks.setdefault(entry.run_id, []).append(entry)
            else:
                self.store_event(entry)
        for run_id, batch in checks.items():
            self._plan_checks(run_id, batch)
        for run_id, batch in by_run.items():
            newest = {(entry.dagster_event_type, entry.get_dagster_event().asset_key): entry for entry in batch}
            with self.run_connection(run_id) as shard:
                shard.execute(SqlEventLogStorageTable.insert(), [self._event_to_row(e) for e in newest.values()])
            complete = {id(entry) for entry in newest.values()}
            rows = [row for entry in batch for row in self._rows(entry, id(entry) in complete)]
            with self.index_transaction() as index:
                self._index(index, rows)

    def _plan_checks(self, run_id: str, batch: Sequence[EventLogEntry]) -> None:
        """Store the planned checks of a run, each as one row for its partition or range."""
        rows = [self._event_to_row(entry) for entry in batch]
        with self.run_connection(run_id) as shard:
            shard.execute(SqlEventLogStorageTable.insert(), rows)
        with self.index_transaction() as index:
            ids = index.execute(RETURNING, rows).scalars()
            plans = [self._planned(entry, i) for entry, i in zip(batch, ids, strict=True)]
            index.execute(AssetCheckExecutionsTable.insert(), plans)

    def _planned(self, entry: EventLogEntry, event_id: int) -> dict[str, Any]:
        """Return the row of a planned check in Dagster's format."""
        event = entry.get_dagster_event()
        data: Any = event.event_specific_data
        days = list(data.partitions_subset.get_partition_keys()) if data.partitions_subset else []
        if len(days) > 1:
            entry = entry._replace(dagster_event=event._replace(event_specific_data=copy(data, partitions_subset=None)))
        return {
            "asset_key": data.asset_key.to_string(),
            "check_name": data.check_name,
            "partition": days[0] if len(days) == 1 else None,
            "run_id": entry.run_id,
            "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
            "evaluation_event": serialize_value(entry),
            "evaluation_event_timestamp": self._event_insert_timestamp(entry),
            "evaluation_event_storage_id": event_id,
        }

    def _index(self, index: Connection, rows: Sequence[tuple[EventLogEntry, Mapping[str, Any]]]) -> None:
        """Store the rows of a run's events in the index of all assets."""
        ids = list(index.execute(RETURNING, [row for _, row in rows]).scalars())
        self._store_asset_event_tags(index, [entry for entry, _ in rows], ids)
        newest = {entry.get_dagster_event().asset_key: (entry, i) for (entry, _), i in zip(rows, ids, strict=True)}
        for entry, i in newest.values():
            self._store_asset_event(index, entry, i)
        materialized = [row for _, row in rows if row["dagster_event_type"] == MATERIALIZED.value and row["partition"]]
        if materialized:
            columns = SqlEventLogStorageTable.c
            delete_plans = SqlEventLogStorageTable.delete().where(
                columns.asset_key == bindparam("of_asset"),
                columns.dagster_event_type == PLANNED.value,
                columns.partition == bindparam("of_partition"),
                columns.run_id == bindparam("of_run"),
            )
            index.execute(
                delete_plans,
                [
                    {"of_asset": r["asset_key"], "of_partition": r["partition"], "of_run": r["run_id"]}
                    for r in materialized
                ],
            )

    def _rows(self, entry: EventLogEntry, complete: bool) -> Iterator[tuple[EventLogEntry, Mapping[str, Any]]]:
        """Yield an event and its row in the index: packed and brief, unless it is to be `complete`.

        A plan has a row for each partition that the run builds, since Dagster searches by partition.
        """
        data: Any = entry.get_dagster_event().event_specific_data
        if entry.dagster_event_type == PLANNED and data.partitions_subset:
            row, days = self._event_to_row(entry), self._days(entry.run_id)
            plan = json.loads(row["event"])
            plan_data = plan["dagster_event"]["event_specific_data"]
            plan_data["partitions_subset"] = None
            for partition in data.partitions_subset.get_partition_keys():
                if not days or date.fromisoformat(partition) in days:
                    plan_data["partition"] = partition
                    yield entry, {**row, "event": pack(json.dumps(plan)), "partition": partition}
        elif complete:
            yield entry, self._event_to_row(entry)
        else:
            brief = _brief(entry)
            row = self._event_to_row(brief)
            yield brief, {**row, "event": pack(row["event"])} if _is_numbers(brief) else row

    @lru_cache(maxsize=1)  # noqa: B019 (the storage lives as long as the process)
    def _days(self, run_id: str) -> frozenset[date]:
        """Return the days of its range that a run builds, or an empty set if it builds all of them."""
        run = self._instance.get_run_by_id(run_id) if self.has_instance else None
        return tagged_days(run.tags if run else {})

    def store_asset_check_event(self, event: EventLogEntry, event_id: int | None) -> None:
        """Store the result of a check: once for a range of partitions, and for each failed partition."""
        result = event.get_dagster_event()
        data: Any = result.event_specific_data
        rows = [data]
        if data.partition is None:
            partition = self._planned_for(event.run_id, data)
            rows = [copy(data, partition=partition)]
            rows += () if partition else self._of_each_partition(event.run_id, data)
        for row in rows:
            entry = event._replace(dagster_event=result._replace(event_specific_data=row))
            super().store_asset_check_event(entry, event_id)

    def _of_each_partition(self, run_id: str, result: Any) -> Iterator[Any]:
        """Yield the result of a check of a range for each partition where it fails now or failed last."""
        failed = self._failed(result) if result.passed else None
        if result.passed and not failed:
            return
        planned = (entry.get_dagster_event() for entry in self.get_logs_for_run(run_id, of_type=PLANNED_CHECK))
        plans: Any = (event.event_specific_data for event in planned)
        subset = next((p.partitions_subset for p in plans if p.asset_check_key == result.asset_check_key), None)
        days = self._days(run_id)
        checked = {
            key
            for key in (subset.get_partition_keys() if subset else ())
            if (failed is None or key in failed) and (not days or date.fromisoformat(key) in days)
        }
        newest = self.get_latest_storage_id_by_partition(result.asset_key, MATERIALIZED, checked)
        for partition in sorted(checked):
            target = result.target_materialization_data
            target = target and copy(target, storage_id=newest.get(partition, target.storage_id))
            yield copy(result, partition=partition, target_materialization_data=target)

    def _failed(self, result: Any) -> set[str]:
        """Return the partitions whose last result of a check is a failure."""
        with self.index_connection() as index:
            checks = failed_checks(index, [result.asset_key])
        failed = checks.get(AssetCheckKey(result.asset_key, result.check_name), set())
        return {partition for partition in failed if partition is not None}

    def _planned_for(self, run_id: str, result: Any) -> str | None:
        """Return the partition that a check was planned for. Dagster omits it if a range has only one partition."""
        planned, name = AssetCheckExecutionsTable.c, result.asset_key.to_string()
        query = select(planned.partition).where(
            planned.run_id == run_id, planned.asset_key == name, planned.check_name == result.check_name
        )
        with self.index_connection() as index:
            partition: str | None = index.execute(query).scalar()
        return partition


def _brief(entry: EventLogEntry) -> EventLogEntry:
    """Return an event of one partition of a range without the metadata that the newest partition's event has."""
    complete = entry.get_dagster_event()
    data: Any = complete.event_specific_data
    if complete.event_type == MATERIALIZED:
        full = data.materialization
        metadata = {name: value for name, value in full.metadata.items() if _is_own(name, value)}
        data = data._replace(
            materialization=AssetMaterialization(full.asset_key, metadata=metadata, partition=full.partition)
        )
    return entry._replace(
        user_message="",
        dagster_event=complete._replace(
            event_specific_data=data, message=None, logging_tags={}, pid=None, node_handle=None, step_handle=None
        ),
    )


def _is_own(name: str, metadata: MetadataValue[Any]) -> bool:
    """Return whether metadata is of one partition. Any number may be, and Dagster plots it."""
    return name.startswith(PARTITION_PREFIX) or isinstance(metadata.value, int | float)


def _is_numbers(brief: EventLogEntry) -> bool:
    """Return whether a brief event is a materialization whose metadata are all numbers."""
    materialization = brief.asset_materialization
    return materialization is not None and all(
        isinstance(v.value, int | float) for v in materialization.metadata.values()
    )


def _connected(connection: sqlite3.Connection, _: Any) -> None:
    """Unpack events when reading, and let each transaction wait for the disk, whatever SQLite's default is."""
    connection.row_factory = unpacked
    connection.execute("PRAGMA synchronous = FULL")


def _is_current(path: str, _: Any, record: Any, __: Any) -> None:
    """Raise `DisconnectionError`, so that SQLAlchemy reconnects, if the open file was removed or replaced."""
    inode = os.stat(path).st_ino if os.path.exists(path) else None
    if record.info.setdefault("inode", inode) != inode:
        raise DisconnectionError(f"{path} is another file now")


def _close(engines: dict[str, Engine]) -> None:
    while engines:
        engines.popitem()[1].dispose()
