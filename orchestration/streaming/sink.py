"""The sink of the stream: it commits micro-batches of landed files to the lake and reports them to Dagster."""

import json
import pickle
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from assets.events.imports import table_metadata
from assets.imports.batch import Batch, Incoming
from assets.imports.ledger import COUNTS, TABLES, commit, report_changed_days
from assets.imports.record_type import RecordType
from assets.imports.record_types import RECORD_TYPES
from orchestration.streaming.records import HAPPENED, LANDED, OUTCOME, REFUSED, Outcome
from resources.dates import EPOCH
from resources.engines.cogroup import SIDE, side_column
from resources.environments import landing_of, open_lake
from resources.errors import TuttiError
from resources.folders.landing import Landed, Landing
from resources.frames.filters import ValuesFilter
from resources.frames.frame import Frame
from resources.lake.lake import Lake
from resources.lake.write_transaction import FILE_ROWS
from resources.locks import shared_lock

IMPORTS = dg.AssetKey(["events", "imports"])


@dataclass
class Sink:
    """Imports micro-batches. `report` sends events to Dagster, `log` prints a line."""

    engine: Any  # SparkEngine
    data: Path
    report: Callable[[Sequence[dg.AssetMaterialization]], object]
    log: Callable[[str], object]
    cause: TuttiError | None = None  # why a micro-batch failed
    lock: Any = field(default_factory=threading.Lock)

    @property
    def lake(self) -> Lake:
        """The lake of the data folder."""
        return open_lake(self.data)

    @property
    def landing(self) -> Landing:
        """The landing folder of the data folder."""
        return landing_of(self.data)

    @property
    def checkpoint(self) -> Path:
        """The folder of Spark's checkpoint. Without it only the watermark is lost, since the ledger has the files."""
        folder = self.data / "stream" / "listens"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def import_batch(self, rows: Any, number: int) -> None:
        """Import the files of micro-batch `number`. Files that are already imported change nothing."""
        with self.lock, shared_lock(self.data):
            try:
                self._import(rows.persist(), self.watermark(number))
            except TuttiError as error:
                self.cause = error
                raise
            finally:
                rows.unpersist()

    def watermark(self, number: int) -> datetime | None:
        """Return the watermark of a micro-batch, which Spark stores before it starts. The first has none."""
        metadata = (self.checkpoint / "offsets" / str(number)).read_text().splitlines()[1]
        watermark_ms = json.loads(metadata)["batchWatermarkMs"]
        return EPOCH + timedelta(milliseconds=watermark_ms) if watermark_ms else None

    def _import(self, rows: Any, watermark: datetime | None) -> None:
        read = {}
        for outcome in outcomes(rows):
            if outcome.postponed:
                self.log(f"{outcome.file.path} is skipped and will be tried again: {outcome.postponed}")
            else:
                read[outcome.file] = outcome
        ids = {Incoming.of(file, Path(file.path)): o.import_id for file, o in read.items()}
        batch = Batch(None, self.lake, datetime.now(UTC), self._report_days, leave_out=lambda *_: None)
        entered = batch.enter(ids, partial(self._write, rows, read))
        if new := [row for row, is_new in entered if is_new]:
            paths = {row["landing_path"] for row in new}
            records = records_of(rows, [o for o in read.values() if o.file.path in paths])
            late = records.where(records[HAPPENED] < watermark).count() if watermark else 0
            self._report(new, late, watermark)

    def _write(
        self, rows: Any, read: Mapping[Landed, Outcome], new: Mapping[str, Incoming]
    ) -> dict[str, dict[str, Any]]:
        """Write the records of new files, and return each file's row of `imports` by import id.

        Raises `TuttiError` if records were lost on the way.
        """
        chosen = [read[file.landed] for file in new.values() if file.landed]
        parts, imports = tables(self.engine, records_of(rows, chosen), chosen), ValuesFilter.of("import_id", new)
        if commit([parts], self.lake, imports) != sum(sum(counts(o)) for o in chosen):
            # A worker was lost, and its files were removed before another worker could read them.
            raise TuttiError(
                "some records were lost between reading and writing, so nothing was imported. Start the stream again"
            )
        days = {k.table: {day for o in chosen for day in o.days.get(k.table, ())} for k in RECORD_TYPES}
        report_changed_days(days, [o.row for o in chosen], self.lake, imports, self._report_days)
        return {o.import_id: o.row for o in chosen}

    def _report_days(self, kind: RecordType, days: Sequence[date]) -> None:
        self.report([dg.AssetMaterialization(kind.key, partition=day.isoformat()) for day in days])

    def _report(self, new: Sequence[dict[str, Any]], late: int, watermark: datetime | None) -> None:
        """Report and log the imported files by their rows of `imports`."""
        metadata = dict(table_metadata(new, self.lake))
        if watermark:
            metadata[IMPORTS] |= {"late": late, "watermark": dg.MetadataValue.timestamp(watermark)}
        self.report([dg.AssetMaterialization(key, metadata=values) for key, values in metadata.items()])
        files = "1 file" if len(new) == 1 else f"{len(new):,} files"
        counts = {n.replace("_", " "): sum(row[n] or 0 for row in new) for n in COUNTS}
        rows = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "no records"
        lateness = f", {late:,} late (watermark {watermark:%Y-%m-%d %H:%M} UTC)" if watermark and late else ""
        self.log(f"imported {files}: {rows}{lateness}")


def outcomes(rows: Any) -> list[Outcome]:
    """Return the outcomes of the files of a micro-batch, oldest file first."""
    last = rows.where(rows[OUTCOME].isNotNull()).select(OUTCOME).collect()
    unpickled = [pickle.loads(row[OUTCOME]) for row in last]  # noqa: S301 (our own tasks wrote them)
    return sorted(unpickled, key=lambda o: (o.file.modified, o.file.path))


def records_of(rows: Any, files: Sequence[Outcome]) -> Any:
    """Return the records of these files. A refused file has only the row that quarantines it."""
    refused = rows[LANDED].isin([o.file.path for o in files if o.refused])
    read = rows[LANDED].isin([o.file.path for o in files if not o.refused])
    return rows.where((rows[REFUSED] & refused) | (~rows[REFUSED] & read))


def counts(file: Outcome) -> list[int]:
    """Return the number of rows of a file for each of the ledger's `TABLES`."""
    return [file.row[n] for n in COUNTS[: len(TABLES)]]


def tables(engine: Any, rows: Any, files: Sequence[Outcome]) -> list[Frame | None]:
    """Return the rows for each of the ledger's `TABLES`, or None without rows.

    Each frame has as many partitions as the table needs files.
    """
    frames: list[Frame | None] = []
    for side, sizes in enumerate(zip(*map(counts, files), strict=True)):
        table = rows.where(rows[SIDE] == side).select(f"{side_column(side)}.*").coalesce(1 + sum(sizes) // FILE_ROWS)
        frames.append(Frame(engine, table) if sum(sizes) else None)
    return frames
