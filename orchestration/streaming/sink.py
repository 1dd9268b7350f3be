"""Where micro-batches of landed files go: into the lake by way of the ledger, and to Dagster as news."""

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

from assets.events.imports import told_of
from assets.imports.batch import Batch, Incoming
from assets.imports.ledger import COUNTS, TABLES, commit, tell_of
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
from resources.locks import sharing

IMPORTS = dg.AssetKey(["events", "imports"])


@dataclass
class Sink:
    """Takes in micro-batches: `report` tells Dagster, `say` a person."""

    engine: Any  # SparkEngine
    data: Path
    report: Callable[[Sequence[dg.AssetMaterialization]], object]
    say: Callable[[str], object]
    cause: TuttiError | None = None  # of a micro-batch that failed
    at_work: Any = field(default_factory=threading.Lock)

    @property
    def lake(self) -> Lake:
        """The tables."""
        return open_lake(self.data)

    @property
    def landing(self) -> Landing:
        """The landing folder."""
        return landing_of(self.data)

    @property
    def checkpoint(self) -> Path:
        """Where Spark notes how far the stream is. Without it the ledger still knows; only the watermark is lost."""
        folder = self.data / "stream" / "listens"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def take(self, rows: Any, number: int) -> None:
        """Take in the files of a micro-batch; those that are in already change nothing."""
        with self.at_work, sharing(self.data):
            try:
                self._take(rows.persist(), self.watermark(number))
            except TuttiError as error:
                self.cause = error
                raise
            finally:
                rows.unpersist()

    def watermark(self, number: int) -> datetime | None:
        """The watermark of a micro-batch, which Spark notes before it begins; there is none for the first."""
        noted = (self.checkpoint / "offsets" / str(number)).read_text().splitlines()[1]
        told = json.loads(noted)["batchWatermarkMs"]
        return EPOCH + timedelta(milliseconds=told) if told else None

    def _take(self, rows: Any, watermark: datetime | None) -> None:
        read = {}
        for outcome in outcomes(rows):
            if outcome.later:
                self.say(f"{outcome.file.path} is left for the next time: {outcome.later}")
            else:
                read[outcome.file] = outcome
        ids = {Incoming.of(file, Path(file.path)): o.import_id for file, o in read.items()}  # tasks have read them
        batch = Batch(None, self.lake, datetime.now(UTC), self._tell, leave_out=lambda *_: None)
        entered = batch.enter(ids, partial(self._write, rows, read))
        if new := [row for row, is_new in entered if is_new]:
            places = {row["landing_path"] for row in new}
            kept = those_of(rows, [o for o in read.values() if o.file.path in places])
            late = kept.where(kept[HAPPENED] < watermark).count() if watermark else 0
            self._sum_up(new, late, watermark)

    def _write(
        self, rows: Any, read: Mapping[Landed, Outcome], new: Mapping[str, Incoming]
    ) -> dict[str, dict[str, Any]]:
        """Write the records of new files; what the ledger says of each."""
        chosen = [read[file.landed] for file in new.values() if file.landed]
        parts, slice = tables(self.engine, those_of(rows, chosen), chosen), ValuesFilter.of("import_id", new)
        if commit([parts], self.lake, slice) != sum(sum(counts(o)) for o in chosen):
            # A worker was lost, and before another had read its files again, they were gone.
            raise TuttiError("some records were lost between reading and writing, so none count as in: start it again")
        days = {k.table: {day for o in chosen for day in o.days.get(k.table, ())} for k in RECORD_TYPES}
        tell_of(days, [o.told for o in chosen], self.lake, slice, self._tell)
        return {o.import_id: o.told for o in chosen}

    def _tell(self, kind: RecordType, days: Sequence[date]) -> None:
        self.report([dg.AssetMaterialization(kind.key, partition=day.isoformat()) for day in days])

    def _sum_up(self, new: Sequence[dict[str, Any]], late: int, watermark: datetime | None) -> None:
        """Tell of the files that are in: their rows of `imports`."""
        told = dict(told_of(new, self.lake))
        if watermark:
            told[IMPORTS] |= {"late": late, "watermark": dg.MetadataValue.timestamp(watermark)}
        self.report([dg.AssetMaterialization(key, metadata=metadata) for key, metadata in told.items()])
        files = "1 file" if len(new) == 1 else f"{len(new):,} files"
        rows = ", ".join(f"{sum(row[n] or 0 for row in new):,} {n.replace('_', ' ')}" for n in COUNTS)
        lateness = f"; {late:,} from before the watermark, {watermark:%Y-%m-%d %H:%M} UTC" if watermark else ""
        self.say(f"{files} taken in: {rows}{lateness}")


def outcomes(rows: Any) -> list[Outcome]:
    """What became of the files of a micro-batch, oldest first."""
    last = rows.where(rows[OUTCOME].isNotNull()).select(OUTCOME).collect()
    found = [pickle.loads(row[OUTCOME]) for row in last]  # noqa: S301 (our own tasks')
    return sorted(found, key=lambda o: (o.file.modified, o.file.path))


def those_of(rows: Any, files: Sequence[Outcome]) -> Any:
    """The rows that count of these files."""
    refused = rows[LANDED].isin([o.file.path for o in files if o.refused])
    read = rows[LANDED].isin([o.file.path for o in files if not o.refused])
    return rows.where((rows[REFUSED] & refused) | (~rows[REFUSED] & read))


def counts(file: Outcome) -> list[int]:
    """How many rows a file has for each of the ledger's `TABLES`."""
    return [file.told[n] for n in COUNTS[: len(TABLES)]]


def tables(engine: Any, rows: Any, files: Sequence[Outcome]) -> list[Frame | None]:
    """The rows for each of the ledger's `TABLES`, in no more parts than files they need; none where there are none."""
    found: list[Frame | None] = []
    for side, sizes in enumerate(zip(*map(counts, files), strict=True)):
        table = rows.where(rows[SIDE] == side).select(f"{side_column(side)}.*").coalesce(1 + sum(sizes) // FILE_ROWS)
        found.append(Frame(engine, table) if sum(sizes) else None)
    return found
