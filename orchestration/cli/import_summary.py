"""The summary of an import: new listens, duplicates, and quarantined records with their reasons."""

from datetime import datetime
from pathlib import Path

from assets.events.listens import LISTENS
from assets.imports.ledger import IMPORTS, QUARANTINE
from orchestration.cli.progress import reasons
from resources.environments import open_lake
from resources.frames.filters import RangeFilter, ValuesFilter
from resources.locks import shared_lock


def count_listens(data: Path, listener: str | None) -> int:
    """Return the number of listens of one listener, or of all listeners."""
    of_listener = None if listener is None else RangeFilter("user_id", listener, listener)
    with shared_lock(data):
        return int(open_lake(data).scan("events/listens", LISTENS, of_listener).dataset().count_rows())


def summarize(data: Path, listener: str | None, since: datetime, before: int) -> list[str]:
    """Return the lines of the summary of imports since `since`, of a listener or (if None) of landed files.

    `before` is the number of listens before the import.
    """
    with shared_lock(data):
        lake = open_lake(data)
        rows = lake.scan("events/imports", IMPORTS).table().to_pylist()
        imports = [row for row in rows if row["listener"] == listener and row["imported_at"] >= since]
        submitted, quarantined = (sum(row[n] or 0 for row in imports) for n in ("listens", "quarantined"))
        lines = []
        if submitted:
            # Other processes may import at the same time.
            new = min(submitted, max(0, count_listens(data, listener) - before))
            counts = {"new": new, "duplicates": submitted - new}
            lines.append(f"listens: {', '.join(f'{n:,} {label}' for label, n in counts.items() if n)}")
        if quarantined:
            ids = ValuesFilter.of("import_id", [row["import_id"] for row in imports])
            records = lake.scan("events/quarantine", QUARANTINE, ids).table().to_pylist()
            where = lake.root / "events" / "quarantine"
            lines.append(f"quarantined: {quarantined:,} records that could not be read. Their text is in {where}.")
            lines.append("Records are numbered by line from 1, or by index from 0 in a JSON array:")
            lines += reasons((row["reason"], f"{row['file']} record {row['record']}") for row in records)
    return lines
