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

from orchestration.sensors.landing_files import Cursor, collect, taken
from orchestration.streaming.records import TRAVELLING, travelling
from resources.dates import EPOCH
from resources.environments import open_lake
from resources.folders.landing import ARRIVING, Landed, Landing

Offset = dict[str, Any]  # "at": when it was made, in microseconds since 1970; "files": path, bytes, modified of each


class LandedSource(DataSource):
    """Records of landed files, as they travel. Options: `data`, the data folder; `landing`, the landing folder;
    `files`, the most in a micro-batch; `shares`, the tasks that read them."""

    @classmethod
    def name(cls) -> str:
        """As `readStream.format` has it."""
        return "landed"

    def schema(self) -> Any:
        return from_arrow_schema(TRAVELLING)

    def streamReader(self, schema: Any) -> DataSourceStreamReader:
        files, shares = int(self.options["files"]), int(self.options["shares"])
        return LandedReader(Path(self.options["data"]), self.options["landing"], files, shares)


class LandedReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Plans micro-batches, in a process of its own, and reads them, in tasks."""

    def __init__(self, data: Path, landing: str, most: int, shares: int) -> None:
        self._data, self._root = data, landing
        self._most, self._shares = most, shares
        self._cursor = Cursor()
        self._only: set[Landed] | None = None

    def initialOffset(self) -> Offset:
        return {"at": 0, "files": []}

    def getDefaultReadLimit(self) -> ReadLimit:
        return ReadMaxFiles(self._most)

    def prepareForTriggerAvailableNow(self) -> None:
        """What lies there now is all there is, and has settled."""
        self._only = set(self._lying())
        self._cursor = Cursor(young=self._only)

    def latestOffset(self, start: Offset, limit: ReadLimit) -> Offset:
        """The files to take in next; the same as before, if there are none."""
        lying = (f for f in self._lying() if self._only is None or f in self._only)
        now, known = int(time.time() * 1_000_000), taken(open_lake(self._data))
        files, self._cursor = collect(lying, known, self._cursor, now, most=self._most)
        return {"at": now, "files": [[f.path, f.bytes, f.modified] for f in files]} if files else start

    def partitions(self, start: Offset, end: Offset) -> list[InputPartition]:
        """The files, dealt out to tasks."""
        if start == end:
            return []
        shares = (end["files"][n :: self._shares] for n in range(self._shares))
        return [InputPartition({"at": end["at"], "files": share}) for share in shares if share]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        files = [Landed(*file) for file in partition.value["files"]]
        return travelling(self._landing(), files, EPOCH + timedelta(microseconds=partition.value["at"]))

    def _landing(self) -> Landing:  # made anew: this reader travels, and Dagster's resources do not
        return Landing(root=self._root)

    def _lying(self) -> list[Landed]:
        return self._landing().lying(*ARRIVING)
