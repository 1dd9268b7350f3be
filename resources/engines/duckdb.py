"""DuckDB: every core of one machine, planned as a whole and spilled to disk when memory runs short."""

import tempfile
import uuid
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa

from resources.frame import Engine, Frame, Step, Writer, run
from resources.scan import Scan

BATCH = 200_000  # rows lent to an opaque function, or to the writer, at once: tens of megabytes


@dataclass(frozen=True)
class DuckEngine(Engine):
    """Tables are relations of one private in-memory database; `memory_gb` bounds it, the rest goes to `spill`."""

    memory_gb: int = 4
    threads: int | None = None
    spill: str | None = None

    @property
    def db(self) -> Any:
        """The engine's own database, opened on first use."""
        return _database(self).connection

    def lift(self, table: pa.Table) -> Frame:
        return Frame(self, self.db.from_arrow(table))

    def read(self, scan: Scan) -> Frame:
        if not scan.files:
            return self.lift(scan.schema.empty_table())
        rows = self.db.read_parquet(list(scan.files), union_by_name=len(scan.files) > 1)
        wanted = self.db.from_arrow(scan.stored.empty_table())
        new = [
            f'NULL::{t} AS "{c}"' for c, t in zip(wanted.columns, wanted.types, strict=True) if c not in rows.columns
        ]
        rows = rows.project(", ".join(["*", *new]))  # columns added since these files were written
        if scan.column is not None and scan.first is not None:
            rows = rows.filter(f"\"{scan.column}\" BETWEEN DATE '{scan.first}' AND DATE '{scan.last}'")
        return Frame(self, self.select(rows, scan.schema.names))

    def per(self, keys: list[str], step: Step, *natives: Any) -> Any:
        if step.kernel == "arrow":
            return self.lift(run(step, *map(self.collect, natives))).native
        return step.fn(*map(nw.from_native, natives)).to_native()

    def map(self, step: Step, native: Any, *small: Any) -> Any:
        if step.kernel == "arrow":
            sent = [self.collect(s) for s in small]
            with closing(self._batches(native)) as batches:
                return self._spool(run(step, batch, *sent) for batch in batches)
        return self.per([], step, native, *small)

    def select(self, native: Any, columns: list[str]) -> Any:
        return native.select(*(f'"{c}"' for c in columns))

    def concat(self, natives: list[Any]) -> Any:
        rows = natives[0]
        for other in natives[1:]:
            rows = rows.union(other)
        return rows

    def keep(self, native: Any) -> Any:
        table = f"kept_{uuid.uuid4().hex}"
        native.create(table)
        return self.db.table(table)

    def columns(self, native: Any) -> list[str]:
        return list(native.columns)

    def collect(self, native: Any) -> pa.Table:
        return native.to_arrow_table()

    def store(self, native: Any, write: Writer) -> list[str]:
        with closing(self._batches(native)) as batches:
            return write(batches)

    def _batches(self, native: Any) -> Generator[pa.Table, None, None]:
        """The rows, a bounded number at a time; at least one table, so that its columns are known. To be closed."""
        reader = native.to_arrow_reader(BATCH)
        try:
            yield reader.schema.empty_table()
            for batch in reader:
                yield pa.Table.from_batches([batch])
        finally:
            reader.close()  # an open result would lock the connection

    def _spool(self, tables: Iterator[pa.Table]) -> Any:
        """Rows that a Python function made, on disk as they come, so that they can be read twice."""
        import pyarrow.parquet as pq

        path = str(Path(_database(self).folder, f"{uuid.uuid4().hex}.parquet"))
        first = next(tables)
        with pq.ParquetWriter(path, first.schema) as out:
            out.write_table(first)
            for table in tables:
                out.write_table(table)
        return self.db.read_parquet(path)


class _Database:
    """A connection and the folder it spills to, which is gone when the process ends."""

    def __init__(self, engine: DuckEngine) -> None:
        import duckdb

        if engine.spill:
            Path(engine.spill).mkdir(parents=True, exist_ok=True)
        self._held = tempfile.TemporaryDirectory(prefix="duckdb-", dir=engine.spill)
        self.folder = self._held.name
        self.connection = duckdb.connect(":memory:", config={"memory_limit": f"{engine.memory_gb}GB"})
        self.connection.execute("SET TimeZone='UTC'; SET preserve_insertion_order=false")
        self.connection.execute(f"SET enable_progress_bar=false; SET temp_directory='{self.folder}'")
        if engine.threads:
            self.connection.execute(f"SET threads={engine.threads}")


@cache
def _database(engine: DuckEngine) -> _Database:
    """The database of an engine with these settings, one per process."""
    return _Database(engine)
