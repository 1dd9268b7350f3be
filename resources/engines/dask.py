"""Dask: every core, or many machines of Python. Keys are shuffled, then each share runs as on pandas."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from resources.engines.local import run
from resources.errors import TuttiError
from resources.frames.frame import HEAVY, Engine, Frame, Step, Writer, sort
from resources.frames.scan import Scan, Share

PATIENCE = 10  # seconds to wait for a scheduler that somebody named
STUCK = 30  # seconds: memory that is on its way to others or to disk is gone by then
UNDERWAY = 16  # part of a worker's memory that may be on its way to others; Dask allows a gigabyte, half a small one


@dataclass(frozen=True)
class DaskEngine(Engine):
    """Tables are Dask dataframes with Arrow's types; a shuffle makes at least `shuffle_partitions` partitions."""

    scheduler: str | None = None
    workers: int = 2
    memory_gb: int = 4
    shuffle_partitions: int = 8
    spill_dir: str | None = None
    scattered = True
    needs = "distributed"

    @property
    def client(self) -> Any:
        """The process's connection to its scheduler, or its own local cluster, started on first use."""
        import dask
        from distributed import Client, LocalCluster

        dask.config.set({"dataframe.convert-string": False})  # it would turn Arrow's strings into pandas'
        try:
            return Client.current()
        except ValueError:
            pass
        if not self.scheduler:
            local = {"n_workers": self.workers, "threads_per_worker": 1, "memory_limit": f"{self.memory_gb}GB"}
            underway = f"{1000 * self.memory_gb // UNDERWAY}MB"
            dask.config.set({"distributed.p2p.comm.buffer": underway})  # workers inherit it
            return _prepared(Client(LocalCluster(**local, dashboard_address=None, local_directory=self.spill_dir)))
        try:
            return _prepared(Client(self.scheduler, timeout=PATIENCE))
        except (OSError, ValueError) as error:
            _forget_failed()
            raise TuttiError(
                f"no Dask scheduler answers at {self.scheduler!r}: start one with `dask scheduler`, correct "
                "TUTTI_DASK_SCHEDULER, or unset it for a local cluster"
            ) from error

    def from_arrow(self, table: pa.Table) -> Frame:
        import dask.dataframe as dd

        self.client  # noqa: B018 (connects)
        rows = dd.from_pandas(lend(table), npartitions=max(1, min(self.shuffle_partitions, len(table))), sort=False)
        return Frame(self, rows.clear_divisions())  # rows have no index that means anything, and keep none

    def read(self, scan: Scan) -> Frame:
        import dask.dataframe as dd

        shares = list(scan.split())
        if not shares:
            return self.from_arrow(scan.schema.empty_table())
        self.client  # noqa: B018
        return Frame(self, dd.from_map(_read, shares, meta=lend(scan.schema.empty_table())))

    def per(self, keys: list[str], step: Step, *natives: Any) -> Any:
        if not keys:
            return self._each(step, *(n.repartition(npartitions=1) for n in natives))
        shares = max(
            self.shuffle_partitions, *(n.npartitions for n in natives)
        )  # each of bounded size, however long the table
        return self._each(step, *(_shuffled(n, keys, shares) for n in natives))

    def map(self, step: Step, native: Any, *small: Any) -> Any:
        if step.heavy:
            places = sum(self.client.nthreads().values())
            native = native.repartition(npartitions=max(native.npartitions, HEAVY * places))
        return self._each(step, native, *(s.repartition(npartitions=1) for s in small))

    def _each(self, step: Step, *natives: Any) -> Any:
        """Run a step on every share; its columns are learned from a share without rows."""
        import dask.dataframe as dd

        schema = step.schema or run(step, *(borrow(n._meta) for n in natives)).schema
        step = replace(step, schema=schema)
        meta = lend(schema.empty_table())
        return dd.map_partitions(_run, step, *natives, meta=meta, align_dataframes=False, enforce_metadata=False)

    def select(self, native: Any, columns: list[str]) -> Any:
        return native[columns]

    def concat(self, natives: list[Any]) -> Any:
        import dask.dataframe as dd

        return dd.concat(natives)

    def persist(self, native: Any) -> Any:
        return native.persist()

    def columns(self, native: Any) -> list[str]:
        return list(native.columns)

    def collect(self, native: Any) -> pa.Table:
        with _lasting():
            return borrow(native.compute())

    def store(self, native: Any, write: Writer, order: Sequence[str] = ()) -> list[str]:
        import dask

        with _lasting():
            shares = dask.compute(*(dask.delayed(_store)(share, write, order) for share in native.to_delayed()))
        return [file for share in shares for file in share]


@contextmanager
def _lasting() -> Iterator[None]:
    """Raise `TuttiError` where Dask gives up because workers die of the same rows again and again."""
    from distributed import KilledWorker

    try:
        yield
    except KilledWorker as error:
        raise TuttiError(
            "Dask's workers died of the same rows again and again, for want of memory most likely: give each more "
            "(`memory_gb` of the resource `engine`), or have the rows in more parts (`shuffle_partitions`)"
        ) from error


def _forget_failed() -> None:
    """Close a client that could not connect: it has become the process's own, and all work after it would wait."""
    from distributed import default_client

    try:
        client = default_client()
    except ValueError:
        return
    if client.status != "running":
        client.close()


def _prepared(client: Any, stuck: int = STUCK) -> Any:
    """A client whose workers, later ones too, keep Arrow's types in a shuffle, and none of which is stuck for ever."""
    from distributed import WorkerPlugin
    from tornado.ioloop import PeriodicCallback

    class Prepared(WorkerPlugin):  # here, so that Dask is imported by those who use it
        name = "prepared"

        def setup(self, worker: Any) -> None:
            _keep_types()
            self.looking = PeriodicCallback(Relief(worker, stuck), 1000)
            self.looking.start()

        def teardown(self, worker: Any) -> None:
            self.looking.stop()

    client.register_plugin(Prepared())
    return client


@dataclass
class Relief:
    """What a worker does while Dask has it paused, looking once a second: give back what nobody uses, else end.

    A paused worker takes no work until it has less memory. Where that is of nothing Dask knows, it never has, and all
    that waits for it waits for ever. Ended, it is started anew, and what it was at is done again.
    """

    worker: Any
    stuck: int  # seconds until it ends
    paused: int = 0

    def __call__(self) -> None:
        from distributed.core import Status

        self.paused = self.paused + 1 if self.worker.status == Status.paused else 0
        if self.paused:
            pa.default_memory_pool().release_unused()
        if self.paused >= self.stuck and self.worker.nanny:
            os._exit(1)


def _keep_types() -> None:
    """Have shuffled text arrive as Arrow's: Dask makes Python objects of it, two to five times the memory."""
    import pandas as pd
    from dask.dataframe.dispatch import from_pyarrow_table_dispatch

    usual = from_pyarrow_table_dispatch.dispatch(pd.DataFrame)
    if usual.__module__ == __name__:
        return

    def arrived(meta: Any, table: pa.Table, **options: Any) -> Any:
        if any(isinstance(t, pd.ArrowDtype) for t in meta.dtypes):
            options["types_mapper"], options["ignore_metadata"] = pd.ArrowDtype, True
            table = table.drop_columns([c for c in table.column_names if c.startswith("__index_level_")])
        return usual(meta, table, **options)

    from_pyarrow_table_dispatch.register(pd.DataFrame, arrived)


def _shuffled(native: Any, keys: list[str], shares: int) -> Any:
    """The rows with equal keys together; dates travel as numbers too, since pandas would hash them one by one.

    Each share adds its own: a column computed beside the frame would be brought together with it by shuffling both.
    """
    import pandas as pd

    dates = {k: f"{k} as a number" for k in keys if native.dtypes[k] == pd.ArrowDtype(pa.date32())}
    by = [dates.get(k, k) for k in keys]
    rows = native.map_partitions(_numbered, dates, enforce_metadata=False) if dates else native
    return rows.shuffle(by, npartitions=shares, shuffle_method=_way(native))[list(native.columns)]


def _numbered(share: Any, dates: dict[str, str]) -> Any:
    """A share with some dates as numbers, under other names."""
    import pandas as pd

    return share.assign(**{name: share[day].astype(pd.ArrowDtype(pa.int32())) for day, name in dates.items()})


def _way(native: Any) -> str | None:
    """How to shuffle: Dask's own choice, but its peer-to-peer way cannot carry lists."""
    return "tasks" if any("list<" in str(t) for t in native.dtypes) else None


def lend(table: pa.Table) -> Any:
    """An Arrow table as pandas with Arrow's types."""
    import pandas as pd

    return table.to_pandas(types_mapper=pd.ArrowDtype)


def borrow(rows: Any) -> pa.Table:
    """A pandas frame as Arrow, without its index."""
    return pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata()


def _read(share: Share, columns: Sequence[str] | None = None) -> Any:
    """Read a share where it is needed; Dask passes `columns` when fewer are used."""
    return lend(share.table(columns))


def _run(step: Step, *shares: Any) -> Any:
    return lend(run(step, *map(borrow, shares)))


def _store(share: Any, write: Writer, order: Sequence[str]) -> list[str]:
    return write([sort(borrow(share), order)])
