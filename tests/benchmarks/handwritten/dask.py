"""The three jobs, written for Dask alone: shuffle by key, then pandas on each partition."""

import uuid
from collections.abc import Sequence
from typing import Any

import dask.dataframe as dd
import pandas as pd
from distributed import Client, LocalCluster

from tests.benchmarks.handwritten import pandas as handwritten
from tests.benchmarks.jobs import MEMORY_GB, WORKERS


def begin(spill: str) -> Client:
    """Start a local cluster."""
    workers = {"n_workers": WORKERS, "threads_per_worker": 1, "memory_limit": f"{MEMORY_GB}GB"}
    return Client(LocalCluster(**workers, dashboard_address=None, local_directory=spill))


def plays(client: Client, out: str, listens: Sequence[str]) -> None:
    """Count plays and time per day, listener and recording."""
    rows = _read(listens, ["day", "user_id", "recording_id", "ms_played"])
    _write(rows.shuffle("user_id"), handwritten.count_plays, out)


def charts(client: Client, out: str, plays: Sequence[str], artist_plays: Sequence[str], names: Sequence[str]) -> None:
    """Count plays by partition, then rank the few totals in this process."""
    totals = [
        _read(files, ["day", "user_id", id_column, "plays", "ms_played"])
        .shuffle(id_column)
        .map_partitions(handwritten.count_by_week, id_column, entity)
        for files, id_column, entity in ((plays, "recording_id", "recording"), (artist_plays, "artist_id", "artist"))
    ]
    handwritten.write(handwritten.rank(dd.concat(totals).compute(), handwritten.read(names)), f"{out}/rows.parquet")


def sessions(client: Client, out: str, listens: Sequence[str]) -> None:
    """Build sessions that end after thirty minutes of silence or at the midnight that closes a day without a gap."""
    _write(_read(listens, handwritten.LISTENED).shuffle("user_id"), handwritten.sessionize, out)


def _read(files: Sequence[str], columns: list[str]) -> Any:
    return dd.from_map(handwritten.read, [[f] for f in files], columns=columns)


def _write(rows: Any, work: Any, out: str) -> None:
    rows.map_partitions(_store, work, out, meta=pd.Series(dtype="int64"), enforce_metadata=False).compute()


def _store(rows: pd.DataFrame, work: Any, out: str) -> pd.Series:
    handwritten.write(work(rows), f"{out}/{uuid.uuid4().hex}.parquet")
    return pd.Series([1])
