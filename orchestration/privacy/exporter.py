"""The exporter: it writes all data of a listener to a zip in the format of ListenBrainz's own export.

The listens are the raw records, duplicates included. Each has its source and client, so importing the zip again gives
the same listens. Every table with personal data is added with all its columns as JSON lines, since the format has no
place for them.
"""

import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from assets.imports.feedback import FEEDBACK_RECORDS
from assets.imports.listens import LISTEN_RECORDS, RAW_LISTENS
from assets.imports.record_type import BY_ARRIVAL
from orchestration.privacy.eraser import owned
from resources.files import sync
from resources.frames.filters import RangeFilter
from resources.lake.lake import Lake
from resources.privacy.person import Person
from resources.privacy.tables import Removal, personal
from resources.sources.formats import listenbrainz, listenbrainz_feedback

FOLDER = "exports"  # in the data folder, readable only by its owner
ORDER = [(n, "ascending") for n in ("listened_at", *BY_ARRIVAL)]  # the order that detects duplicates


@dataclass(frozen=True)
class Exporter:
    """Exports one listener from a lake."""

    name: str
    lake: Lake
    schemas: Mapping[str, pa.Schema]  # declared schema of each table

    def write(self, data: Path, now: datetime) -> tuple[Path, dict[str, int]]:
        """Write the export atomically. Return its path and the number of rows by table."""
        folder = data / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"{Person(self.name).folder}.{now:%Y%m%dT%H%M%SZ}.zip"
        draft = path.with_name(f".{path.name}.draft")
        try:
            with os.fdopen(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600), "w+b") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                    counts = self._members(partial(_member, archive, now))
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        sync(folder)
        return path, counts

    def _members(self, new_member: Callable[[str], IO[bytes]]) -> dict[str, int]:
        with new_member("user.json") as member:
            member.write(json.dumps({"username": self.name}).encode())
        for first, following in self._months():
            with new_member(f"listens/{first.year}/{first.month}.jsonl") as member:
                for row in self._month(first, following).to_pylist():
                    _line(member, listenbrainz.record(row))
        with new_member("feedback.jsonl") as member:
            for row in self._rows(FEEDBACK_RECORDS.table, set()):
                _line(member, listenbrainz_feedback.record(row))
        imports, counts = owned(self.name, self.lake, self.schemas), {}
        existing = set(self.lake.tables())
        for table, schema in sorted(self.schemas.items()):
            if not personal(schema) or table not in existing:
                continue
            with new_member(f"tutti/{table}.jsonl") as member:
                rows = 0
                for row in self._rows(table, imports):
                    _line(member, {"table": table, "row": row})  # no reader mistakes this for a record of its format
                    rows += 1
                counts[table] = rows
        return {table: rows for table, rows in counts.items() if rows}

    def _rows(self, table: str, imports: set[str]) -> Iterator[dict[str, Any]]:
        """Yield the listener's rows of a table."""
        schema = self.schemas[table]
        removal = Removal.of(schema, Person(self.name), imports)
        for batch in self.lake.scan(table, schema).dataset().to_batches():
            rows = pa.Table.from_batches([batch])
            yield from rows.filter(pa.array(removal.going(rows))).to_pylist()

    def _months(self) -> list[tuple[date, date]]:
        """Return the months with listens, each as its first day and the first day of the next month."""
        of_listener = RangeFilter("user_id", self.name, self.name)
        days = self.lake.scan(LISTEN_RECORDS.table, RAW_LISTENS, of_listener).select(["day"]).table()["day"].unique()
        firsts = sorted({day.replace(day=1) for day in days.to_pylist()})
        return [(day, date(day.year + day.month // 12, day.month % 12 + 1, 1)) for day in firsts]

    def _month(self, first: date, following: date) -> pa.Table:
        """Return the listens of a month, in order."""
        days = RangeFilter("day", first, following - timedelta(days=1))
        of_listener = RangeFilter("user_id", self.name, self.name).arrow
        listens = self.lake.scan(LISTEN_RECORDS.table, RAW_LISTENS, days).dataset()
        return listens.to_table(filter=of_listener).sort_by(ORDER)


def _member(archive: zipfile.ZipFile, now: datetime, name: str) -> IO[bytes]:
    """Open a new member of a zip with the modification time `now` (UTC)."""
    member = zipfile.ZipInfo(name, now.timetuple()[:6])
    member.compress_type = archive.compression
    return archive.open(member, "w")


def _line(file: IO[bytes], value: Any) -> None:
    file.write(json.dumps(value, ensure_ascii=False, default=lambda value: value.isoformat()).encode() + b"\n")
