"""The summary that the command `import` prints."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets.events.duplicate_listens import DUPLICATE_LISTENS
from assets.events.listens import LISTENS
from assets.imports.ledger import COUNTS, IMPORTS, QUARANTINE
from orchestration.cli.import_summary import Built, count_built, summarize
from resources.lake.lake import Lake

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def put(data: Path, table: str, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
    Lake(data / "lake").replace(table, iter([pa.Table.from_pylist(rows, schema)]), schema)


def listens(data: Path, **each: int) -> None:
    """Store a number of listens for each listener."""
    constant = {"day": NOW.date(), "listened_at": NOW, "source": "lastfm", "artist_ids": []}
    names = dict.fromkeys(("recording_id", "artist_name", "recording_name"), "Fugue")
    put(
        data,
        "events/listens",
        LISTENS,
        [{"user_id": n, **constant, **names} for n, count in each.items() for _ in range(count)],
    )


def imported(import_id: str, listener: str | None, at: datetime, **counts: int) -> dict[str, Any]:
    return (
        {"import_id": import_id, "file": f"{import_id}.json", "listener": listener, "imported_at": at}
        | dict.fromkeys(COUNTS, 0)
        | counts
    )


def quarantined(import_id: str, record: int, reason: str) -> dict[str, Any]:
    file = f"{import_id}.json"
    return {"file": file, "record": record, "reason": reason, "raw": "", "seen_at": NOW, "import_id": import_id}


def test_summary_has_new_listens_and_quarantine_of_this_import_only(tmp_path: Path) -> None:
    assert (count_built(tmp_path, "ada"), summarize(tmp_path, "ada", NOW, Built(0, 0))) == ((0, 0), [])
    listens(tmp_path, ada=10, bob=90)
    before = count_built(tmp_path, "ada")
    assert (before.listens, count_built(tmp_path, None).listens) == (10, 100)
    listens(tmp_path, ada=13, bob=95)
    ledger = [
        imported("old", "ada", NOW - timedelta(days=1), listens=10, quarantined=1),
        imported("a", "ada", NOW, listens=4, quarantined=3),
        imported("b", "ada", NOW, listens=1),
        imported("c", "bob", NOW, listens=5, quarantined=1),
    ]
    put(tmp_path, "events/imports", IMPORTS, ledger)
    records = [
        ("old", 0, "no time"),
        ("c", 0, "no time"),
        ("a", 7, "no title"),
        ("a", 8, "no time"),
        ("a", 9, "no time"),
    ]
    put(tmp_path, "events/quarantine", QUARANTINE, [quarantined(*record) for record in records])
    lines = summarize(tmp_path, "ada", NOW, before)
    assert lines[0] == "listens: 3 new, 2 duplicates"
    assert lines[1].startswith("quarantined: 3 ") and "docs/querying.md" in lines[1]
    assert lines[3:] == [
        "  2 × no time: a.json record 8, a.json record 9",
        "  1 × no title: a.json record 7",
    ]
    assert summarize(tmp_path, "ada", NOW + timedelta(seconds=1), Built(13, 0)) == []


def test_summary_of_a_stopped_import_counts_listens_that_are_not_built(tmp_path: Path) -> None:
    before = count_built(tmp_path, "ada")
    put(tmp_path, "events/imports", IMPORTS, [imported("a", "ada", NOW, listens=3_000)])
    assert summarize(tmp_path, "ada", NOW, before, complete=False) == ["listens: 3,000 not built yet"]
    listens(tmp_path, ada=1_000)
    values: dict[str, Any] = {f.name: None for f in DUPLICATE_LISTENS} | {"user_id": "ada", "day": NOW.date()}
    put(tmp_path, "events/duplicate_listens", DUPLICATE_LISTENS, [values] * 500)
    (line,) = summarize(tmp_path, "ada", NOW, before, complete=False)
    assert line == "listens: 1,000 new, 500 duplicates, 1,500 not built yet"
    assert summarize(tmp_path, "ada", NOW, before) == ["listens: 1,000 new, 2,000 duplicates"]
