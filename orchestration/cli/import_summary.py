"""What an import brought, told in a few lines: listens that are new, and what is in quarantine, with the reasons."""

from datetime import datetime
from pathlib import Path

from assets.events.listens import LISTENS
from assets.imports.ledger import IMPORTS, QUARANTINE
from orchestration.cli.progress import reasons
from resources.environments import open_lake
from resources.frames.filters import RangeFilter, ValuesFilter
from resources.locks import sharing


def heard(data: Path, listener: str | None) -> int:
    """How many listens there are; of one listener, if one is named."""
    theirs = None if listener is None else RangeFilter("user_id", listener, listener)
    with sharing(data):
        return int(open_lake(data).scan("events/listens", LISTENS, theirs).dataset().count_rows())


def brought(data: Path, listener: str | None, since: datetime, before: int) -> list[str]:
    """What was imported since then for a listener, or from the landing folder; `before`, so many listens were there."""
    with sharing(data):
        lake = open_lake(data)
        rows = lake.scan("events/imports", IMPORTS).table().to_pylist()
        new = [row for row in rows if row["listener"] == listener and row["imported_at"] >= since]
        told, quarantined = (sum(row[n] or 0 for row in new) for n in ("listens", "quarantined"))
        lines = []
        if told:
            first = min(told, max(0, heard(data, listener) - before))  # others may import meanwhile
            lines.append(f"listens: {first:,} new, {told - first:,} known from elsewhere or told twice")
        if quarantined:
            ids = ValuesFilter.of("import_id", [row["import_id"] for row in new])
            held = lake.scan("events/quarantine", QUARANTINE, ids).table().to_pylist()
            where = lake.root / "events" / "quarantine"
            lines.append(f"quarantined: {quarantined:,}, each with its text in {where} (README: Asking the lake)")
            lines += reasons((row["reason"], f"{row['file']} record {row['record']}") for row in held)
    return lines
