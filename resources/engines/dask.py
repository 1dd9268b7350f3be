"""Dask: all cores, or many machines. Rows are shuffled by key, then each partition runs as on pandas."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from resources.engines.local import run
from resources.errors import TuttiError
from resources.frames.frame import PARTS_PER_CORE, Engine, Frame, Step, Writer, sort
from resources.frames.scan import Scan, ScanPart
from resources.permissions import restrict

CONNECT_TIMEOUT_S = 10
PAUSE_LIMIT_S = 30  # by then a worker has freed the memory that it was sending or spilling
# A shuffle buffers a sixteenth of a worker's memory. Dask's default is a gigabyte, half the memory of a small worker.
MEMORY_PER_SHUFFLE_BUFFER = 16


@dataclass(frozen=True)
class DaskEngine(Engine):
    """Tables are Dask dataframes with Arrow's types; a shuffle makes at least `shuffle_partitions` partitions."""

    scheduler: str | None = None
    workers: int = 2
    memory_gb: int = 4
    shuffle_partitions: int = 8
    spill_dir: str | None = None
    needs_combiner = True
    required_package = "distributed"

    @property
    def client(self) -> Any:
        """Return the client of this process: of the named scheduler, or of a local cluster started on first use.

        Raises `TuttiError` if the scheduler does not answer.
        """
        import dask
        from distributed import Client, LocalCluster

        # Dask logs the start and the end of each shuffle as warnings, two lines for each table.
        logging.getLogger("distributed.shuffle._scheduler_plugin").setLevel(logging.ERROR)
        dask.config.set({"dataframe.convert-string": False})  # it would turn Arrow's strings into pandas strings
        try:
            return Client.current()
        except ValueError:
            pass
        if not self.scheduler:
            local = {"n_workers": self.workers, "threads_per_worker": 1, "memory_limit": f"{self.memory_gb}GB"}
            shuffle_buffer = f"{1000 * self.memory_gb // MEMORY_PER_SHUFFLE_BUFFER}MB"
            dask.config.set({"distributed.p2p.comm.buffer": shuffle_buffer})  # workers inherit it
            return _with_plugin(Client(LocalCluster(**local, dashboard_address=None, local_directory=self.spill_dir)))
        try:
            return _with_plugin(Client(self.scheduler, timeout=CONNECT_TIMEOUT_S))
        except (OSError, ValueError) as error:
            _close_failed_client()
            raise TuttiError(
                f"no Dask scheduler answers at {self.scheduler!r}. Start one with `dask scheduler`, correct "
                "TUTTI_DASK_SCHEDULER, or unset it to use a local cluster."
            ) from error

    def from_arrow(self, table: pa.Table) -> Frame:
        import dask.dataframe as dd

        self.client  # noqa: B018 (connects)
        rows = dd.from_pandas(
            to_pandas(table), npartitions=max(1, min(self.shuffle_partitions, len(table))), sort=False
        )
        return Frame(self, rows.clear_divisions())  # the index has no meaning and is not kept

    def read(self, scan: Scan) -> Frame:
        import dask.dataframe as dd

        parts = list(scan.split())
        if not parts:
            return self.from_arrow(scan.schema.empty_table())
        self.client  # noqa: B018
        return Frame(self, dd.from_map(_read, parts, meta=to_pandas(scan.schema.empty_table())))

    def per(self, keys: list[str], step: Step, *natives: Any) -> Any:
        if not keys:
            return self._map_partitions(step, *(n.repartition(npartitions=1) for n in natives))
        # At least as many as the inputs have, so that a partition's size is bounded however long the table is.
        partitions = max(self.shuffle_partitions, *(n.npartitions for n in natives))
        return self._map_partitions(step, *(_shuffled(n, keys, partitions) for n in natives))

    def map(self, step: Step, native: Any, *small: Any) -> Any:
        if step.heavy:
            cores = sum(self.client.nthreads().values())
            native = native.repartition(npartitions=max(native.npartitions, PARTS_PER_CORE * cores))
        return self._map_partitions(step, native, *(s.repartition(npartitions=1) for s in small))

    def _map_partitions(self, step: Step, *natives: Any) -> Any:
        """Run a step on every partition; a run on empty tables determines its columns."""
        import dask.dataframe as dd

        schema = step.schema or run(step, *(to_arrow(n._meta) for n in natives)).schema
        step = replace(step, schema=schema)
        meta = to_pandas(schema.empty_table())
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
        with _killed_workers_explained():
            return to_arrow(native.compute())

    def store(self, native: Any, write: Writer, order: Sequence[str] = ()) -> list[str]:
        import dask

        with _killed_workers_explained():
            results = dask.compute(
                *(dask.delayed(_store)(partition, write, order) for partition in native.to_delayed())
            )
        return [file for partition in results for file in partition]


@contextmanager
def _killed_workers_explained() -> Iterator[None]:
    """Raise `TuttiError` if Dask gives up because its workers die repeatedly on the same rows."""
    from distributed import KilledWorker

    try:
        yield
    except KilledWorker as error:
        raise TuttiError(
            "Dask's workers died repeatedly on the same rows, most likely out of memory. Give each more memory "
            "(`memory_gb` of the resource `engine`) or make smaller partitions (raise `shuffle_partitions`)."
        ) from error


def _close_failed_client() -> None:
    """Close a client that could not connect: it is the process's default client, so later work would wait for it."""
    from distributed import default_client

    try:
        client = default_client()
    except ValueError:
        return
    if client.status != "running":
        client.close()


def _with_plugin(client: Any, pause_limit_s: int = PAUSE_LIMIT_S) -> Any:
    """Register a plugin on a client's workers, later ones too, and return the client.

    The plugin keeps Arrow's types in a shuffle and ends a worker that Dask has paused for `pause_limit_s` seconds.
    """
    from distributed import WorkerPlugin
    from tornado.ioloop import PeriodicCallback

    class TuttiPlugin(WorkerPlugin):  # defined here so that Dask is imported only when it is used
        name = "tutti"

        def setup(self, worker: Any) -> None:
            restrict()  # it spills rows to its disk
            _keep_types()
            self.check = PeriodicCallback(PausedWorkerCheck(worker, pause_limit_s), 1000)
            self.check.start()

        def teardown(self, worker: Any) -> None:
            self.check.stop()

    client.register_plugin(TuttiPlugin())
    return client


@dataclass
class PausedWorkerCheck:
    """A check that runs once a second in a worker: free unused memory while the worker is paused, and end it at last.

    Dask pauses a worker until it uses less memory. If Dask does not know what holds the memory, the worker stays paused
    indefinitely, and so does the work that waits for it. A worker that ends is restarted, and Dask repeats its work.
    """

    worker: Any
    pause_limit_s: int
    paused_s: int = 0

    def __call__(self) -> None:
        from distributed.core import Status

        self.paused_s = self.paused_s + 1 if self.worker.status == Status.paused else 0
        if self.paused_s:
            pa.default_memory_pool().release_unused()
        if self.paused_s >= self.pause_limit_s and self.worker.nanny:
            os._exit(1)


def _keep_types() -> None:
    """Keep shuffled text as Arrow strings: as Dask's Python objects it takes two to five times the memory."""
    import pandas as pd
    from dask.dataframe.dispatch import from_pyarrow_table_dispatch

    default = from_pyarrow_table_dispatch.dispatch(pd.DataFrame)
    if default.__module__ == __name__:
        return

    def convert(meta: Any, table: pa.Table, **options: Any) -> Any:
        if any(isinstance(t, pd.ArrowDtype) for t in meta.dtypes):
            options["types_mapper"], options["ignore_metadata"] = pd.ArrowDtype, True
            table = table.drop_columns([c for c in table.column_names if c.startswith("__index_level_")])
        return default(meta, table, **options)

    from_pyarrow_table_dispatch.register(pd.DataFrame, convert)


def _shuffled(native: Any, keys: list[str], partitions: int) -> Any:
    """Shuffle rows so that equal keys are in one partition.

    Dates are hashed as numbers, because pandas would hash them one by one. The number columns are added inside each
    partition: Dask would shuffle the frame once more to align it with a column that is computed outside.
    """
    import pandas as pd

    dates = {k: f"{k} as a number" for k in keys if native.dtypes[k] == pd.ArrowDtype(pa.date32())}
    by = [dates.get(k, k) for k in keys]
    rows = native.map_partitions(_with_numbers, dates, enforce_metadata=False) if dates else native
    return rows.shuffle(by, npartitions=partitions, shuffle_method=_shuffle_method(native))[list(native.columns)]


def _with_numbers(partition: Any, dates: dict[str, str]) -> Any:
    """Add number columns for some date columns to a partition."""
    import pandas as pd

    return partition.assign(**{name: partition[day].astype(pd.ArrowDtype(pa.int32())) for day, name in dates.items()})


def _shuffle_method(native: Any) -> str | None:
    """Return Dask's shuffle method: None for its own choice, "tasks" for lists, which peer-to-peer cannot transfer."""
    return "tasks" if any("list<" in str(t) for t in native.dtypes) else None


def to_pandas(table: pa.Table) -> Any:
    """Convert an Arrow table to a pandas frame with Arrow's types."""
    import pandas as pd

    return table.to_pandas(types_mapper=pd.ArrowDtype)


def to_arrow(rows: Any) -> pa.Table:
    """Convert a pandas frame to an Arrow table, without its index."""
    return pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata()


def _read(part: ScanPart, columns: Sequence[str] | None = None) -> Any:
    """Read a part on the worker that needs it; Dask passes `columns` if it needs only these."""
    return to_pandas(part.table(columns))


def _run(step: Step, *partitions: Any) -> Any:
    return to_pandas(run(step, *map(to_arrow, partitions)))


def _store(partition: Any, write: Writer, order: Sequence[str]) -> list[str]:
    return write([sort(to_arrow(partition), order)])
