"""Spark: many machines. Spark plans Narwhals functions; opaque functions run on shuffled Arrow batches."""

import os
import re
import socket
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import narwhals as nw
import pyarrow as pa

from resources import permissions
from resources.engines.cogroup import SIDE, key_column, parts, side_column, untagged
from resources.engines.java import java_home
from resources.engines.local import run
from resources.errors import TuttiError
from resources.frames.frame import PARTS_PER_CORE, Engine, Frame, Step, Writer
from resources.frames.scan import Scan

# PySpark warns in each function that takes batches. Here these take Arrow's, and all engines are tested to agree.
warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas", category=FutureWarning)

CONNECT_TIMEOUT_S = 10
FILES = pa.schema([("file", pa.string())])


@dataclass(frozen=True)
class SparkEngine(Engine):
    """Tables are Spark dataframes; a shuffle makes `shuffle_partitions` partitions; `conf` overrides any setting."""

    master: str | None = None
    memory_gb: int = 4
    shuffle_partitions: int = 8
    spill_dir: str | None = None
    conf: dict[str, str] = field(default_factory=dict, hash=False)
    required_package = "pyspark"

    @property
    def session(self) -> Any:
        """Return the Spark session of this process, started on first use by Dagster's Spark resource.

        Raises `TuttiError` if the master does not answer or there is no Java.
        """
        from pyspark.sql import SparkSession

        if session := SparkSession.getActiveSession():
            return session
        from dagster import build_init_resource_context
        from dagster_pyspark import PySparkResource

        _check_master(self.master)
        os.environ["JAVA_HOME"] = java_home()
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # otherwise workers use the first python on PATH
        spark = PySparkResource(spark_config=self._settings())
        spark.setup_for_execution(build_init_resource_context())
        spark.spark_context.setLogLevel("ERROR")
        return spark.spark_session

    def _settings(self) -> dict[str, str]:
        local = self.master is None or self.master.startswith("local")
        here = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"} if local else {}
        spill = {"spark.local.dir": self.spill_dir} if self.spill_dir else {}
        return {
            "spark.master": self.master or "local[*]",
            "spark.app.name": "tutti",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": str(self.shuffle_partitions),
            "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
            "spark.driver.memory": f"{self.memory_gb}g",
            "spark.hadoop.fs.permissions.umask-mode": f"{permissions.configured():03o}",  # not the process's umask
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            # Workers import our modules from the driver's paths: a cluster must see the same folders, as with the lake.
            "spark.executorEnv.PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            **here,
            **spill,
            **self.conf,
        }

    def from_arrow(self, table: pa.Table) -> Frame:
        return Frame(self, self.session.createDataFrame(table))

    def read(self, scan: Scan) -> Frame:
        from pyspark.sql.pandas.types import from_arrow_schema

        if not scan.files:
            return self.from_arrow(scan.schema.empty_table())
        if scan.remote:
            return Frame(self, self._read_remote(scan))
        rows = self.session.read.schema(from_arrow_schema(scan.stored)).parquet(*scan.files)
        if scan.filter:
            rows = nw.from_native(rows).filter(scan.filter.narwhals).to_native()
        return Frame(self, self.select(rows, scan.schema.names))

    def _read_remote(self, scan: Scan) -> Any:
        """Read with Arrow, one task per part: Spark comes without the jars for buckets."""
        from pyspark.sql.pandas.types import from_arrow_schema

        parts = list(scan.split())

        def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for n in batch["id"].to_pylist():
                    yield from parts[n].table().to_batches()

        numbers = self.session.range(0, len(parts), 1, len(parts))
        return numbers.mapInArrow(read, from_arrow_schema(scan.schema))

    def per(self, keys: list[str], step: Step, *natives: Any) -> Any:
        if step.kernel == "narwhals":
            return step.fn(*map(nw.from_native, natives)).to_native()
        return self._per_opaque(step, keys, *natives)

    def map(self, step: Step, native: Any, *small: Any) -> Any:
        from pyspark.sql import functions as F
        from pyspark.sql.pandas.types import from_arrow_schema

        if step.kernel == "narwhals":
            return step.fn(nw.from_native(native), *(nw.from_native(F.broadcast(s)) for s in small)).to_native()
        sent = [self.collect(s) for s in small]
        schema = step.schema or run(step, _empty(native), *(s.slice(0, 0) for s in sent)).schema

        def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                yield from run(step, pa.Table.from_batches([batch]), *sent).to_batches()

        if step.heavy:
            native = native.repartition(PARTS_PER_CORE * self.session.sparkContext.defaultParallelism)
        return native.mapInArrow(work, from_arrow_schema(schema))

    def _per_opaque(self, step: Step, keys: list[str], *natives: Any) -> Any:
        """Tag the rows of all tables, shuffle and sort them together by key, and run the step on one part at a time."""
        from pyspark.sql import functions as F
        from pyspark.sql.pandas.types import from_arrow_schema

        empty = [_empty(n) for n in natives]
        schema = step.schema or run(step, *empty).schema
        tagged = [
            native.select(
                F.lit(side).alias(SIDE),
                *(F.col(key).alias(key_column(n)) for n, key in enumerate(keys)),
                F.struct(*(native[c] for c in native.columns)).alias(side_column(side)),
            )
            for side, native in enumerate(natives)
        ]
        rows = tagged[0]
        for other in tagged[1:]:
            rows = rows.unionByName(other, allowMissingColumns=True)
        by = [key_column(n) for n in range(len(keys))]
        # Shuffle by a hash of the keys: Spark omits a shuffle by the same keys as an earlier step's, and may then read
        # that step's rows where they are, with equal keys in several places.
        grouped = (
            rows.repartition(self.shuffle_partitions, F.xxhash64(*by)).sortWithinPartitions(*by)
            if by
            else rows.coalesce(1)
        )

        def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for part in parts(batches, len(keys)):
                yield from run(step, *untagged(part, [e.schema for e in empty])).to_batches()

        return grouped.mapInArrow(work, from_arrow_schema(schema))

    def select(self, native: Any, columns: list[str]) -> Any:
        return native.select(*columns)

    def concat(self, natives: list[Any]) -> Any:
        rows = natives[0]
        for other in natives[1:]:
            rows = rows.unionByName(other)
        return rows

    def persist(self, native: Any) -> Any:
        return native.persist()

    def columns(self, native: Any) -> list[str]:
        return list(native.columns)

    def collect(self, native: Any) -> pa.Table:
        return native.toArrow()

    def store(self, native: Any, write: Writer, order: Sequence[str] = ()) -> list[str]:
        """Write each task's partition, and return the names of the files of successful tasks."""
        from pyspark.errors import PythonException
        from pyspark.sql.pandas.types import from_arrow_schema

        def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            files = write(pa.Table.from_batches([b]) for b in batches)
            yield from pa.table({"file": pa.array(files, pa.string())}).to_batches()

        rows = native.sortWithinPartitions(*order) if order else native
        try:
            return [row.file for row in rows.mapInArrow(work, from_arrow_schema(FILES)).collect()]
        except PythonException as error:
            if message := re.search(r"TuttiError: (.+)", str(error)):
                raise TuttiError(message[1]) from error  # Spark wraps a task's one-line error in a hundred lines
            raise


def _empty(native: Any) -> pa.Table:
    """Return an empty Arrow table with the columns of a Spark table."""
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(native.schema, timezone="UTC").empty_table()


def _check_master(master: str | None) -> None:
    """Raise `TuttiError` within seconds if nothing listens at the master's address; Spark would try for minutes."""
    if master is None or not master.startswith("spark://"):
        return
    try:
        url = urlsplit(master)
        socket.create_connection((url.hostname or "", url.port or 7077), CONNECT_TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        raise TuttiError(
            f"no Spark master answers at {master!r}. Start one, correct TUTTI_SPARK_MASTER, or unset it to run locally."
        ) from error
