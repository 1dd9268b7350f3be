"""DuckDB: all cores of one machine. It plans whole queries and spills to disk when memory runs short."""

import tempfile
import uuid
import weakref
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa

from resources.engines.cogroup import SIDE, key_column, parts, side_column, untagged
from resources.engines.local import run
from resources.engines.workers import CORES
from resources.frames.frame import Engine, Frame, Step, Writer
from resources.frames.scan import Scan
from resources.storage import BUCKET

BATCH_ROWS = 200_000  # rows that an opaque function or the writer gets at once: tens of megabytes


class _Cleanup:
    """Calls `release` once no relation refers to this object any more."""

    def __init__(self, release: Callable[[], object]) -> None:
        weakref.finalize(self, release).atexit = False  # at the end of the process everything is released anyway


@dataclass(frozen=True)
class Rows:
    """A relation, and the cleanups of the temporary tables and files that it reads."""

    relation: Any
    cleanups: tuple[_Cleanup, ...] = ()


@dataclass(frozen=True)
class DuckEngine(Engine):
    """Tables are relations of a private in-memory database; beyond `memory_gb` it spills to `spill_dir`."""

    memory_gb: int = 4
    spill_dir: str | None = None

    @property
    def db(self) -> Any:
        """Return the connection to the engine's database, opened on first use."""
        return _database(self).connection

    def from_arrow(self, table: pa.Table) -> Frame:
        return Frame(self, Rows(self.db.from_arrow(table)))

    def read(self, scan: Scan) -> Frame:
        if not scan.files:
            return self.from_arrow(scan.schema.empty_table())
        files = self._readable_names(scan.files) if scan.remote else list(scan.files)
        rows = self.db.read_parquet(files, union_by_name=len(files) > 1)
        declared = self.db.from_arrow(scan.stored.empty_table())
        new = [
            f'NULL::{t} AS "{c}"'
            for c, t in zip(declared.columns, declared.types, strict=True)
            if c not in rows.columns
        ]
        rows = rows.project(", ".join(["*", *new]))  # columns that the table got after these files were written
        if scan.filter:
            rows = nw.from_native(rows).filter(scan.filter.narwhals).to_native()
        return Frame(self, self.select(Rows(rows), scan.schema.names))

    def _readable_names(self, files: Sequence[str]) -> list[str]:
        """Return names of files in a bucket under which the database can read them."""
        from resources.engines.remote_files import PROTOCOL, RemoteFiles

        if not self.db.filesystem_is_registered(PROTOCOL):
            self.db.register_filesystem(RemoteFiles())
        return [f"{PROTOCOL}://{file.removeprefix(BUCKET)}" for file in files]

    def per(self, keys: list[str], step: Step, *natives: Rows) -> Rows:
        if step.kernel == "arrow":
            return self._spool(self._parts(keys, step, *natives))
        rows = step.fn(*(nw.from_native(n.relation) for n in natives)).to_native()
        return Rows(rows, tuple(cleanup for n in natives for cleanup in n.cleanups))

    def map(self, step: Step, native: Rows, *small: Rows) -> Rows:
        if step.kernel == "arrow":
            sent = [self.collect(s) for s in small]
            with closing(self._batches(native)) as batches:
                return self._spool(run(step, batch, *sent, processes=CORES) for batch in batches)
        return self.per([], step, native, *small)

    def select(self, native: Rows, columns: list[str]) -> Rows:
        return Rows(native.relation.select(*(f'"{c}"' for c in columns)), native.cleanups)

    def concat(self, natives: list[Rows]) -> Rows:
        rows = natives[0].relation
        for other in natives[1:]:
            rows = rows.union(other.relation)
        return Rows(rows, tuple(cleanup for n in natives for cleanup in n.cleanups))

    def persist(self, native: Rows) -> Rows:
        table = f"persisted_{uuid.uuid4().hex}"
        native.relation.create(table)
        drop = partial(_database(self).connection.cursor().execute, f"DROP TABLE {table}")  # may run during a query
        return Rows(self.db.table(table), (_Cleanup(drop),))

    def columns(self, native: Rows) -> list[str]:
        return list(native.relation.columns)

    def collect(self, native: Rows) -> pa.Table:
        return native.relation.to_arrow_table()

    def store(self, native: Rows, write: Writer, order: Sequence[str] = ()) -> list[str]:
        rows = native.relation.order(", ".join(f'"{c}"' for c in order)) if order else native.relation
        with closing(self._batches(Rows(rows, native.cleanups))) as batches:
            return write(batches)

    def _batches(self, native: Rows) -> Generator[pa.Table, None, None]:
        """Yield the rows in batches, after an empty table with their columns. The caller closes the generator."""
        reader = native.relation.to_arrow_reader(BATCH_ROWS)
        try:
            yield reader.schema.empty_table()
            for batch in reader:
                yield pa.Table.from_batches([batch])
        finally:
            reader.close()  # an open result would lock the connection

    def _parts(self, keys: list[str], step: Step, *natives: Rows) -> Generator[pa.Table, None, None]:
        """Yield the results of a step on parts of whole keys, after its result on empty tables."""
        empty = [n.relation.limit(0).to_arrow_table() for n in natives]
        yield run(step, *empty)
        structs = ["{" + ", ".join(f"'{c}': \"{c}\"" for c in n.relation.columns) + "}" for n in natives]
        types = [n.relation.project(struct).types[0] for n, struct in zip(natives, structs, strict=True)]
        tagged = []
        for side, native in enumerate(natives):
            fields = [structs[side] if i == side else f"NULL::{t}" for i, t in enumerate(types)]
            columns = [f"{side} AS {SIDE}", *(f'"{key}" AS {key_column(n)}' for n, key in enumerate(keys))]
            columns += [f"{rows} AS {side_column(i)}" for i, rows in enumerate(fields)]
            tagged.append(Rows(native.relation.project(", ".join(columns))))
        rows = self.concat(tagged).relation
        by = ", ".join(key_column(n) for n in range(len(keys)))
        reader = (rows.order(by) if by else rows).to_arrow_reader(BATCH_ROWS)
        try:
            for part in parts(reader, len(keys)):
                yield run(step, *untagged(part, [e.schema for e in empty]))
        finally:
            reader.close()

    def _spool(self, tables: Generator[pa.Table, None, None]) -> Rows:
        """Write the results of a Python function to a temporary file as they come, so that they can be read twice."""
        import pyarrow.parquet as pq

        path = Path(_database(self).folder, f"{uuid.uuid4().hex}.parquet")
        with closing(tables):
            first = next(tables)
            with pq.ParquetWriter(path, first.schema, compression="lz4") as out:
                out.write_table(first)
                for table in tables:
                    out.write_table(table)
        return Rows(self.db.read_parquet(str(path)), (_Cleanup(partial(path.unlink, missing_ok=True)),))


class _Database:
    """A connection and the folder that it spills to, which is removed when the process ends."""

    def __init__(self, engine: DuckEngine) -> None:
        import duckdb

        if engine.spill_dir:
            Path(engine.spill_dir).mkdir(parents=True, exist_ok=True)
        self._held = tempfile.TemporaryDirectory(prefix="duckdb-", dir=engine.spill_dir)
        self.folder = self._held.name
        self.connection = duckdb.connect(":memory:", config={"memory_limit": f"{engine.memory_gb}GB"})
        self.connection.execute("SET TimeZone='UTC'; SET preserve_insertion_order=false")
        self.connection.execute(f"SET enable_progress_bar=false; SET temp_directory='{self.folder}'")


@cache
def _database(engine: DuckEngine) -> _Database:
    """Return the database of an engine with these settings, one per process."""
    return _Database(engine)
