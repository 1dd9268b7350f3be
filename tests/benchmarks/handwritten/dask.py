"""The three jobs as one would write them for Dask alone: shuffle by key, then pandas on each share."""

import uuid
from collections.abc import Sequence
from typing import Any

import dask.dataframe as dd
import pandas as pd
from distributed import Client, LocalCluster

from tests.benchmarks.handwritten import pandas as share
from tests.benchmarks.jobs import MEMORY_GB, WORKERS


def begin(spill: str) -> Client:
    """A local cluster."""
    workers = {"n_workers": WORKERS, "threads_per_worker": 1, "memory_limit": f"{MEMORY_GB}GB"}
    return Client(LocalCluster(**workers, dashboard_address=None, local_directory=spill))


def plays(client: Client, out: str, listens: Sequence[str]) -> None:
    """Plays and time of each day, listener and recording."""
    rows = _read(listens, ["day", "user_id", "recording_id", "ms_played"])
    _write(rows.shuffle("user_id"), share.count_plays, out)


def charts(client: Client, out: str, plays: Sequence[str], artist_plays: Sequence[str], names: Sequence[str]) -> None:
    """Weekly charts of recordings and artists: counted in shares, ranked in one place, where they are few."""
    heard = [
        _read(files, ["day", "user_id", id, "plays", "ms_played"]).shuffle(id).map_partitions(share.of_each, id, entity)
        for files, id, entity in ((plays, "recording_id", "recording"), (artist_plays, "artist_id", "artist"))
    ]
    share.write(share.rank(dd.concat(heard).compute(), share.read(names)), f"{out}/rows.parquet")


def sessions(client: Client, out: str, listens: Sequence[str]) -> None:
    """Sessions of thirty minutes' silence, cut at the closing midnight of a day without a gap."""
    _write(_read(listens, share.LISTENED).shuffle("user_id"), share.sessionize, out)


def _read(files: Sequence[str], columns: list[str]) -> Any:
    return dd.from_map(share.read, [[f] for f in files], columns=columns)


def _write(rows: Any, work: Any, out: str) -> None:
    rows.map_partitions(_store, work, out, meta=pd.Series(dtype="int64"), enforce_metadata=False).compute()


def _store(rows: pd.DataFrame, work: Any, out: str) -> pd.Series:
    share.write(work(rows), f"{out}/{uuid.uuid4().hex}.parquet")
    return pd.Series([1])
