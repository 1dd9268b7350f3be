"""The summary of an import: new listens, duplicates, and quarantined records with their reasons."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from assets.events.duplicate_listens import DUPLICATE_LISTENS
from assets.events.listens import LISTENS
from assets.imports.ledger import IMPORTS, QUARANTINE
from orchestration.cli.progress import reasons
from resources.environments import open_lake
from resources.frames.filters import RangeFilter, ValuesFilter
from resources.locks import shared_lock
from resources.text.counted import counted

BUILT = {"events/listens": LISTENS, "events/duplicate_listens": DUPLICATE_LISTENS}


class Built(NamedTuple):
    """The raw listens from which tables are built: as a listen, or as a duplicate of one."""

    listens: int
    duplicates: int


def count_built(data: Path, listener: str | None) -> Built:
    """Count the built raw listens of one listener, or of all listeners."""
    of_listener = None if listener is None else RangeFilter("user_id", listener, listener)
    with shared_lock(data):
        scans = (open_lake(data).scan(name, schema, of_listener) for name, schema in BUILT.items())
        return Built(*(scan.dataset().count_rows() for scan in scans))


def summarize(data: Path, listener: str | None, since: datetime, before: Built, complete: bool = True) -> list[str]:
    """Return the lines of the summary of imports since `since`, of a listener or (if None) of landed files.

    `before` are the raw listens that were built before the import. Unless `complete`, some may not be built yet.
    """
    with shared_lock(data):
        lake = open_lake(data)
        rows = lake.scan("events/imports", IMPORTS).table().to_pylist()
        imports = [row for row in rows if row["listener"] == listener and row["imported_at"] >= since]
        submitted, quarantined = (sum(row[n] or 0 for row in imports) for n in ("listens", "quarantined"))
        lines = []
        if submitted:
            # Other processes may import at the same time.
            now = count_built(data, listener)
            new = min(submitted, max(0, now.listens - before.listens))
            pending = 0 if complete else max(0, submitted - (sum(now) - sum(before)))
            duplicates = max(0, submitted - new - pending)
            counts = [f"{new:,} new", counted(duplicates, "duplicates"), f"{pending:,} not built yet"]
            lines.append(f"listens: {', '.join(c for c in counts if not c.startswith('0 '))}")
        if quarantined:
            ids = ValuesFilter.of("import_id", [row["import_id"] for row in imports])
            records = lake.scan("events/quarantine", QUARANTINE, ids).table().to_pylist()
            lines.append(
                f"quarantined: {counted(quarantined, 'records')} that could not be read. docs/querying.md shows how to "
                "query their text in events/quarantine."
            )
            lines.append("Records are numbered by line from 1, or by index from 0 in a JSON array:")
            lines += reasons((row["reason"], f"{row['file']} record {row['record']}") for row in records)
    return lines
