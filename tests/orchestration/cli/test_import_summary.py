"""What an import is said to have brought."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets.events.listens import LISTENS
from assets.imports.ledger import COUNTS, IMPORTS, QUARANTINE
from orchestration.cli.import_summary import brought, heard
from resources.lake.lake import Lake

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def put(data: Path, table: str, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
    Lake(data / "lake").replace(table, iter([pa.Table.from_pylist(rows, schema)]), schema)


def listens(data: Path, **each: int) -> None:
    """So many listens of each listener."""
    made = {"day": NOW.date(), "listened_at": NOW, "source": "lastfm", "artist_ids": []}
    names = dict.fromkeys(("recording_id", "artist_name", "recording_name"), "Fugue")
    put(
        data,
        "events/listens",
        LISTENS,
        [{"user_id": n, **made, **names} for n, many in each.items() for _ in range(many)],
    )


def imported(id: str, listener: str | None, at: datetime, **counts: int) -> dict[str, Any]:
    return (
        {"import_id": id, "file": f"{id}.json", "listener": listener, "imported_at": at}
        | dict.fromkeys(COUNTS, 0)
        | counts
    )


def held(id: str, record: int, reason: str) -> dict[str, Any]:
    return {"file": f"{id}.json", "record": record, "reason": reason, "raw": "", "seen_at": NOW, "import_id": id}


def test_new_listens_and_why_records_are_quarantined_are_told_of_this_import_alone(tmp_path: Path) -> None:
    assert (heard(tmp_path, "ada"), brought(tmp_path, "ada", NOW, 0)) == (0, [])
    listens(tmp_path, ada=10, bob=90)
    before = heard(tmp_path, "ada")
    assert (before, heard(tmp_path, None)) == (10, 100)
    listens(tmp_path, ada=13, bob=95)
    ledger = [
        imported("old", "ada", NOW - timedelta(days=1), listens=10, quarantined=1),
        imported("a", "ada", NOW, listens=4, quarantined=3),
        imported("b", "ada", NOW, listens=1),
        imported("c", "bob", NOW, listens=5, quarantined=1),
    ]
    put(tmp_path, "events/imports", IMPORTS, ledger)
    wrong = [held("old", 0, "no time"), held("c", 0, "no time"), held("a", 7, "no title"), held("a", 8, "no time")]
    put(tmp_path, "events/quarantine", QUARANTINE, [*wrong, held("a", 9, "no time")])
    assert brought(tmp_path, "ada", NOW, before) == [
        "listens: 3 new, 2 known from elsewhere or told twice",
        f"quarantined: 3, each with its text in {tmp_path}/lake/events/quarantine (README: Asking the lake)",
        "  2 × no time: a.json record 8, a.json record 9",
        "  1 × no title: a.json record 7",
    ]
    assert brought(tmp_path, "ada", NOW + timedelta(seconds=1), 13) == []
