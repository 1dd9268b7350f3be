"""The landing folder as a source of Spark's Structured Streaming.

Spark's own file source reads a file once by its name, so it would lose records: of a file that is still written to, of
one that could not be opened the first time, of one a week older than the newest, and of one whose name begins with an
underscore. Here the rules of the sensor `landing_files` choose the next files, so that the stream imports the same
files at the same time. An offset holds the exact files of a micro-batch: a repeated micro-batch has the same files.
"""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.streaming.datasource import ReadLimit, ReadMaxFiles, SupportsTriggerAvailableNow

from orchestration.sensors.landing_files import Cursor, collect, imported_files
from orchestration.streaming.records import SCHEMA, read_files
from resources.dates import EPOCH
from resources.environments import open_lake
from resources.folders.landing import ARRIVING, Landed, Landing

Offset = dict[str, Any]  # "at": creation time, microseconds since 1970; "files": path, bytes, modified of each


class LandedSource(DataSource):
    """The records of landed files.

    Options: `data` (data folder), `landing` (landing folder), `files` (most files in a micro-batch) and `shares`
    (number of tasks that read them).
    """

    @classmethod
    def name(cls) -> str:
        """Return the name for `readStream.format`."""
        return "landed"

    def schema(self) -> Any:
        return from_arrow_schema(SCHEMA)

    def streamReader(self, schema: Any) -> DataSourceStreamReader:
        files, shares = int(self.options["files"]), int(self.options["shares"])
        return LandedReader(Path(self.options["data"]), self.options["landing"], files, shares)


class LandedReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Plans micro-batches in a process of its own, and reads their files in tasks."""

    def __init__(self, data: Path, landing: str, max_files: int, shares: int) -> None:
        self._data, self._root = data, landing
        self._max_files, self._shares = max_files, shares
        self._cursor = Cursor()
        self._only: set[Landed] | None = None

    def initialOffset(self) -> Offset:
        return {"at": 0, "files": []}

    def getDefaultReadLimit(self) -> ReadLimit:
        return ReadMaxFiles(self._max_files)

    def prepareForTriggerAvailableNow(self) -> None:
        """Limit the stream to the files that have landed. They count as completely written."""
        self._only = set(self._landed())
        self._cursor = Cursor(young=self._only)

    def latestOffset(self, start: Offset, limit: ReadLimit) -> Offset:
        """Return the offset with the next files, or `start` if there are none."""
        landed = (f for f in self._landed() if self._only is None or f in self._only)
        now, imported = int(time.time() * 1_000_000), imported_files(open_lake(self._data))
        files, self._cursor = collect(landed, imported, self._cursor, now, max_files=self._max_files)
        return {"at": now, "files": [[f.path, f.bytes, f.modified] for f in files]} if files else start

    def partitions(self, start: Offset, end: Offset) -> list[InputPartition]:
        """Divide the files among tasks."""
        if start == end:
            return []
        shares = (end["files"][n :: self._shares] for n in range(self._shares))
        return [InputPartition({"at": end["at"], "files": share}) for share in shares if share]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        files = [Landed(*file) for file in partition.value["files"]]
        return read_files(self._landing(), files, EPOCH + timedelta(microseconds=partition.value["at"]))

    def _landing(self) -> Landing:
        # Created when needed: Spark pickles this reader, and Dagster resources cannot be pickled.
        return Landing(root=self._root)

    def _landed(self) -> list[Landed]:
        return self._landing().list_files(*ARRIVING)
