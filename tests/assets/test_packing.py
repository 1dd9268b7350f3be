"""Packs: a day of scrobbles becomes one file, and no line is lost."""

import gzip
import json
import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.imports import packing
from assets.imports.batch import import_landed, read_imported_files
from assets.imports.ledger import IMPORTS, ignore_days
from assets.imports.listens import RAW_LISTENS
from assets.imports.packing import MIN_AGE, pack
from resources.folders.landing import Landing
from resources.lake.lake import Lake
from resources.scrobble_endpoint.journal import SCROBBLES
from resources.storage import Storage

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)


BOTH = pytest.mark.parametrize("landing", ["disk", pytest.param("bucket", marks=pytest.mark.process)], indirect=True)


@pytest.fixture
def landing(tmp_path: Path, request: pytest.FixtureRequest) -> Landing:
    in_bucket = getattr(request, "param", "disk") == "bucket"
    return Landing(root=request.getfixturevalue("bucket") if in_bucket else str(tmp_path / "landing"))


def later(landing: Landing) -> datetime:
    """Return a time at which landed files are old enough to pack. A bucket dates files by its own clock."""
    return datetime.now(UTC) + 2 * MIN_AGE if landing.store.remote else NOW


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def land(landing: Landing, n: int, at: datetime, folder: str = SCROBBLES, name: str = "") -> Path:
    """Write a landed file of two listens, as the scrobble endpoint does."""
    path = Path(landing.root, folder, name or f"{at:%Y%m%dT%H%M%S}-{n}.jsonl")
    lines = [
        {
            "listened_at": 1_600_000_000 + 1_000 * n + i,
            "user_name": "bob",
            "track_metadata": {"artist_name": "A", "track_name": f"{n}-{i}", "additional_info": {"mood": "new"}},
        }
        for i in range(2)
    ]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    landing.store.write(f"{folder}/{path.name}", content.encode())
    if not landing.store.remote:
        os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def import_new(landing: Landing, lake: Lake) -> int:
    """Import the landed files that are not imported yet. Return their number."""
    imported = read_imported_files(lake) if lake.exists("events/imports") else set()
    files = [f for f in landing.list_files("listens") if f not in imported]
    return len(list(import_landed(landing, files, None, lake, NOW, ignore_days, print)))


def listens(lake: Lake) -> Counter[tuple[Any, ...]]:
    """Return the imported listens, independent of their files."""
    rows = lake.scan("events/raw_listens", RAW_LISTENS).table().to_pylist()
    return Counter((r["user_id"], r["listened_at"], r["recording_name"]) for r in rows)


def names(landing: Landing) -> list[str]:
    return sorted(Path(f.path).name for f in landing.list_files("listens"))


def test_a_finished_day_becomes_one_file_with_every_line(landing: Landing, lake: Lake) -> None:
    files = [land(landing, n, NOW - 2 * MIN_AGE + timedelta(seconds=n)) for n in range(3)]
    lines = [line for file in files for line in file.read_text().splitlines()]
    import_new(landing, lake)
    before = lake.scan("events/raw_listens", RAW_LISTENS).table()
    packs = [(file.path, count) for file, count in pack(landing, lake, NOW)]
    day = (NOW - 2 * MIN_AGE).date()
    assert packs == [(f"{SCROBBLES}/{day}.jsonl.gz", 3)]
    assert gzip.decompress(Path(landing.root, packs[0][0]).read_bytes()).decode().splitlines() == lines
    assert names(landing) == [f"{day}.jsonl.gz"]
    assert import_new(landing, lake) == 0
    assert lake.scan("events/raw_listens", RAW_LISTENS).table().equals(before)
    rows = lake.scan("events/imports", IMPORTS).table().to_pylist()
    assert sum(r["listens"] for r in rows) == 6
    assert [r["landing_path"] for r in rows if r["landing_path"]] == [packs[0][0]]
    assert {r["import_id"] for r in before.to_pylist()} <= {r["import_id"] for r in rows}
    assert list(pack(landing, lake, NOW)) == []


def test_packs_only_old_imported_complete_files_of_the_endpoint(landing: Landing, lake: Lake) -> None:
    long_ago = NOW - 2 * MIN_AGE
    land(landing, 1, NOW - MIN_AGE + timedelta(minutes=1), name="young.jsonl")
    land(landing, 2, long_ago, "listens/mine", "mine.jsonl")
    import_new(landing, lake)
    land(landing, 3, long_ago, name="not imported.jsonl")
    land(landing, 4, long_ago, name=".half.jsonl")
    assert list(pack(landing, lake, NOW)) == []
    assert names(landing) == ["mine.jsonl", "not imported.jsonl", "young.jsonl"]
    assert Path(landing.root, SCROBBLES, ".half.jsonl").exists()


def test_a_rebuilt_lake_imports_packs_like_any_file(landing: Landing, lake: Lake, tmp_path: Path) -> None:
    for n in range(4):
        land(landing, n, NOW - 3 * MIN_AGE + timedelta(days=n % 2))
    import_new(landing, lake)
    assert len(list(pack(landing, lake, NOW))) == 2
    rebuilt = Lake(tmp_path / "rebuilt")
    assert import_new(landing, rebuilt) == 2
    assert listens(rebuilt) == listens(lake)


@BOTH
def test_late_files_of_a_packed_day_become_a_second_pack(landing: Landing, lake: Lake) -> None:
    at = later(landing) - 2 * MIN_AGE
    for n in range(2):
        land(landing, n, at)
        import_new(landing, lake)
        assert len(list(pack(landing, lake, later(landing)))) == 1
    assert names(landing) == [f"{at.date()}-2.jsonl.gz", f"{at.date()}.jsonl.gz"]
    assert import_new(landing, lake) == 0
    assert len(listens(lake)) == 4


STEPS: dict[str, tuple[object, str]] = {
    "before it is entered": (packing.Lake, "replace"),
    "before it is visible": (Landing, "publish"),
    "before paths are forgotten": (packing, "_forget_paths"),
    "before files are removed": (Storage, "remove"),
}


@BOTH
@pytest.mark.parametrize("step", STEPS)
def test_packing_that_is_killed_loses_no_line_and_resumes(
    landing: Landing, lake: Lake, tmp_path: Path, step: str
) -> None:
    for n in range(3):
        land(landing, n, NOW - 2 * MIN_AGE)
    import_new(landing, lake)
    expected = listens(lake)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*STEPS[step], _killed)
        with pytest.raises(KeyboardInterrupt):
            list(pack(landing, lake, later(landing)))
    # Only in the last step files are read again: the ledger has their content, and no longer their paths.
    assert import_new(landing, lake) == (3 if step == "before files are removed" else 0)
    assert listens(lake) == expected
    assert set(rebuilt(landing, tmp_path / "killed")) == set(expected)
    list(pack(landing, lake, later(landing)))
    assert not [name for name in names(landing) if not name.endswith(".gz")]
    assert import_new(landing, lake) == 0
    assert listens(lake) == expected
    assert set(rebuilt(landing, tmp_path / "resumed")) == set(expected)


@pytest.mark.parametrize("landing", [pytest.param("bucket", marks=pytest.mark.process)], indirect=True)
def test_a_pack_in_a_bucket_before_its_ledger_entry_adds_nothing(landing: Landing, lake: Lake) -> None:
    """The ledger has it before it is visible, but only the bucket knows its time of writing."""
    for n in range(3):
        land(landing, n, NOW)
    import_new(landing, lake)
    expected, publish = listens(lake), Landing.publish

    def killed(self: Landing, draft: Path, name: str) -> None:
        publish(self, draft, name)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Landing, "publish", killed)
        with pytest.raises(KeyboardInterrupt):
            list(pack(landing, lake, later(landing)))
    assert import_new(landing, lake) == 1  # the pack, whose content the ledger has
    assert import_new(landing, lake) == 0
    assert listens(lake) == expected
    assert [count for _, count in pack(landing, lake, later(landing))] == [3]
    assert len(names(landing)) == 1
    assert listens(lake) == expected


def test_only_one_process_packs_at_a_time(landing: Landing, lake: Lake) -> None:
    for n in range(4):
        land(landing, n, NOW - 3 * MIN_AGE + timedelta(days=n % 2))
    import_new(landing, lake)
    packs = pack(landing, lake, NOW)
    next(packs)
    assert list(pack(landing, lake, NOW)) == []
    assert len(list(packs)) == 1


def rebuilt(landing: Landing, root: Path) -> Counter[tuple[Any, ...]]:
    """Return the listens of a new lake that imports all landed files."""
    lake = Lake(root)
    import_new(landing, lake)
    return listens(lake)


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
