"""Packs: a day of an intake is one file in the end, and no line is lost on the way."""

import gzip
import json
import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.imports import packing
from assets.imports.batch import import_landed, seen
from assets.imports.ledger import IMPORTS, untold
from assets.imports.listens import RAW_LISTENS
from assets.imports.packing import YOUNG, pack
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
    """A time at which the day of what has landed is over: a bucket notes when that was, by its own clock."""
    return datetime.now(UTC) + 2 * YOUNG if landing.store.remote else NOW


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def hand_over(landing: Landing, n: int, at: datetime, folder: str = SCROBBLES, name: str = "") -> Path:
    """A file of two listens as an intake hands it over."""
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


def take_all(landing: Landing, lake: Lake) -> int:
    """Take in what has landed and was not taken in; how many files that were."""
    taken = seen(lake) if lake.exists("events/imports") else set()
    files = [f for f in landing.list_files("listens") if f not in taken]
    return len(list(import_landed(landing, files, None, lake, NOW, untold, print)))


def listens(lake: Lake) -> Counter[tuple[Any, ...]]:
    """What was heard, whichever file told of it."""
    rows = lake.scan("events/raw_listens", RAW_LISTENS).table().to_pylist()
    return Counter((r["user_id"], r["listened_at"], r["recording_name"]) for r in rows)


def lying(landing: Landing) -> list[str]:
    return sorted(Path(f.path).name for f in landing.list_files("listens"))


def test_a_day_that_is_over_becomes_one_file_with_every_line(landing: Landing, lake: Lake) -> None:
    files = [hand_over(landing, n, NOW - 2 * YOUNG + timedelta(seconds=n)) for n in range(3)]
    lines = [line for file in files for line in file.read_text().splitlines()]
    take_all(landing, lake)
    before = lake.scan("events/raw_listens", RAW_LISTENS).table()
    told = [(file.path, count) for file, count in pack(landing, lake, NOW)]
    day = (NOW - 2 * YOUNG).date()
    assert told == [(f"{SCROBBLES}/{day}.jsonl.gz", 3)]
    assert gzip.decompress(Path(landing.root, told[0][0]).read_bytes()).decode().splitlines() == lines
    assert lying(landing) == [f"{day}.jsonl.gz"]
    assert take_all(landing, lake) == 0
    assert lake.scan("events/raw_listens", RAW_LISTENS).table().equals(before)
    rows = lake.scan("events/imports", IMPORTS).table().to_pylist()
    assert sum(r["listens"] for r in rows) == 6
    assert [r["landing_path"] for r in rows if r["landing_path"]] == [told[0][0]]
    assert {r["import_id"] for r in before.to_pylist()} <= {r["import_id"] for r in rows}
    assert list(pack(landing, lake, NOW)) == []


def test_what_is_young_not_taken_in_half_written_or_none_of_an_intakes_stays(landing: Landing, lake: Lake) -> None:
    long_ago = NOW - 2 * YOUNG
    hand_over(landing, 1, NOW - YOUNG + timedelta(minutes=1), name="young.jsonl")
    hand_over(landing, 2, long_ago, "listens/mine", "mine.jsonl")
    take_all(landing, lake)
    hand_over(landing, 3, long_ago, name="not taken in.jsonl")
    hand_over(landing, 4, long_ago, name=".half.jsonl")
    assert list(pack(landing, lake, NOW)) == []
    assert lying(landing) == ["mine.jsonl", "not taken in.jsonl", "young.jsonl"]
    assert Path(landing.root, SCROBBLES, ".half.jsonl").exists()


def test_a_lake_made_anew_takes_in_packs_as_any_file(landing: Landing, lake: Lake, tmp_path: Path) -> None:
    for n in range(4):
        hand_over(landing, n, NOW - 3 * YOUNG + timedelta(days=n % 2))
    take_all(landing, lake)
    assert len(list(pack(landing, lake, NOW))) == 2
    anew = Lake(tmp_path / "anew")
    assert take_all(landing, anew) == 2
    assert listens(anew) == listens(lake)


@BOTH
def test_late_files_of_a_day_that_is_packed_make_a_second_pack(landing: Landing, lake: Lake) -> None:
    at = later(landing) - 2 * YOUNG
    for n in range(2):
        hand_over(landing, n, at)
        take_all(landing, lake)
        assert len(list(pack(landing, lake, later(landing)))) == 1
    assert lying(landing) == [f"{at.date()}-2.jsonl.gz", f"{at.date()}.jsonl.gz"]
    assert take_all(landing, lake) == 0
    assert len(listens(lake)) == 4


STEPS: dict[str, tuple[object, str]] = {
    "before it is entered": (packing.Lake, "replace"),
    "before it is seen": (Landing, "publish"),
    "before files are forgotten": (packing, "_forget"),
    "before files are gone": (Storage, "remove"),
}


@BOTH
@pytest.mark.parametrize("step", STEPS)
def test_packing_that_breaks_off_loses_no_line_and_is_made_up_for(
    landing: Landing, lake: Lake, tmp_path: Path, step: str
) -> None:
    for n in range(3):
        hand_over(landing, n, NOW - 2 * YOUNG)
    take_all(landing, lake)
    wanted = listens(lake)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*STEPS[step], _killed)
        with pytest.raises(KeyboardInterrupt):
            list(pack(landing, lake, later(landing)))
    # Only at the end files are looked at again: the ledger knows their content, no longer their places.
    assert take_all(landing, lake) == (3 if step == "before files are gone" else 0)
    assert listens(lake) == wanted
    assert set(anew(landing, tmp_path / "broken off")) == set(wanted)
    list(pack(landing, lake, later(landing)))
    assert not [name for name in lying(landing) if not name.endswith(".gz")]
    assert take_all(landing, lake) == 0
    assert listens(lake) == wanted
    assert set(anew(landing, tmp_path / "made up for")) == set(wanted)


@pytest.mark.parametrize("landing", [pytest.param("bucket", marks=pytest.mark.process)], indirect=True)
def test_a_pack_that_a_bucket_has_and_the_ledger_not_yet_brings_nothing_new(landing: Landing, lake: Lake) -> None:
    """It is entered before it can be seen, but only the bucket says when it was written."""
    for n in range(3):
        hand_over(landing, n, NOW)
    take_all(landing, lake)
    wanted, publish = listens(lake), Landing.publish

    def killed(self: Landing, draft: Path, name: str) -> None:
        publish(self, draft, name)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Landing, "publish", killed)
        with pytest.raises(KeyboardInterrupt):
            list(pack(landing, lake, later(landing)))
    assert take_all(landing, lake) == 1  # the pack, whose content is known
    assert take_all(landing, lake) == 0
    assert listens(lake) == wanted
    assert [count for _, count in pack(landing, lake, later(landing))] == [3]
    assert len(lying(landing)) == 1
    assert listens(lake) == wanted


def test_of_two_at_once_one_leaves_it_to_the_other(landing: Landing, lake: Lake) -> None:
    for n in range(4):
        hand_over(landing, n, NOW - 3 * YOUNG + timedelta(days=n % 2))
    take_all(landing, lake)
    packs = pack(landing, lake, NOW)
    next(packs)
    assert list(pack(landing, lake, NOW)) == []
    assert len(list(packs)) == 1


def anew(landing: Landing, root: Path) -> Counter[tuple[Any, ...]]:
    """What a new lake knows of what has landed."""
    lake = Lake(root)
    take_all(landing, lake)
    return listens(lake)


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
