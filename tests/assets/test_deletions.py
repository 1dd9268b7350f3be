"""What is taken back by its id alone is gone, told before or after, and however often it is told again."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.events.posts import POSTS
from assets.events.relationships import FOLLOWS, FRIENDSHIPS
from assets.events.shares import SHARES
from assets.imports.batch import import_file
from assets.imports.record_type import RecordType
from assets.imports.record_types import RECORD_TYPES
from resources.frames.filters import RangeFilter
from resources.frames.frame import Engine
from resources.lake.lake import Lake
from tests.examples import examples
from tests.oracle import Row, assert_same
from tests.transformations import TRANSFORMATIONS

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOST = "https://music.example/users"
MADE = {t.name: t for t in TRANSFORMATIONS}
RAW = {kind.table.split("/")[1]: kind for kind in RECORD_TYPES}
BY_DAY = {"posts": ("raw_posts", POSTS), "shares": ("raw_shares", SHARES)}
EVER = {"follows": FOLLOWS, "friendships": FRIENDSHIPS}

WHO, IDS, TIMES = ("ada", "bob"), ("1", "2", "3"), [f"2024-02-{day}T12:00:00Z" for day in (27, 28, 29)]


def activity(kind: str, who: str, id: str, at: str, told: str) -> dict[str, Any]:
    """What somebody does: by which activity something is told, or taken back by its id alone."""
    ada, bob = (f"{HOST}/{name}" for name in WHO)
    other = bob if who == "ada" else ada
    about: Any = {
        "Create": {"type": "Note", "id": f"{HOST}/{id}", "published": at, "content": told},
        "Announce": f"{HOST}/{told}",
        "Follow": other,
        "Add": {"type": "Relationship", "subject": ada, "object": bob, "relationship": "friendOf", "startTime": at},
        "Delete": {"type": "Tombstone", "id": f"{HOST}/{id}"},
        "Undo": f"{HOST}/{id}",
    }[kind]
    published = {} if kind == "Delete" else {"published": at}
    return {"type": kind, "id": f"{HOST}/{id}", "actor": f"{HOST}/{who}", "object": about} | published


ABOUT = tuple(map(st.sampled_from, (WHO, IDS, TIMES, ("a", "b"))))
ACTIVITIES = st.tuples(
    st.lists(
        st.builds(activity, st.sampled_from(("Create", "Announce", "Follow", "Add", "Delete", "Undo")), *ABOUT),
        max_size=4,
    ),
    st.builds(  # and one that is certainly taken back
        lambda kinds, *about: [activity(kind, *about) for kind in kinds],
        st.sampled_from((("Create", "Delete"), ("Announce", "Undo"), ("Follow", "Undo"))),
        *ABOUT,
    ),
).map(lambda drawn: [*drawn[0], *drawn[1]])


def taken_in(lake: Lake, engine: Engine, folder: Path, files: Sequence[list[dict[str, Any]]]) -> None:
    """Take in files, one after the other, and after each make the days again that are told of."""
    for file in files:
        told: dict[str, set[date]] = {}

        def tell(kind: RecordType, days: Sequence[date], told: dict[str, set[date]] = told) -> None:
            told.setdefault(kind.table.split("/")[1], set()).update(days)

        path = folder / "file.jsonl"
        path.write_text("\n".join(map(json.dumps, file)))
        import_file(path, None, lake, NOW, tell)
        for name, (raw, schema) in BY_DAY.items():
            for day in told.get(raw, ()):
                slice = RangeFilter("day", day, day)
                made = MADE[name].run(*(read(lake, engine, n, slice) for n in MADE[name].reads), span=(day, day))
                lake.replace(f"events/{name}", made, schema, slice)


def read(lake: Lake, engine: Engine, name: str, slice: RangeFilter) -> Any:
    if name not in RAW:
        return engine.from_arrow(MADE["posts"].reads[name].empty_table())
    return engine.read(lake.scan(RAW[name].table, RAW[name].schema, slice if RAW[name].dated else None))


def found(lake: Lake, engine: Engine) -> dict[str, list[Row]]:
    """What is kept of days, and what is made of all of it."""
    ever = (NOW.date(), NOW.date())
    rows: dict[str, pa.Table] = {n: lake.scan(f"events/{n}", schema).table() for n, (_, schema) in BY_DAY.items()}
    for name, schema in EVER.items():
        whole = (engine.read(lake.scan(RAW[n].table, RAW[n].schema)) for n in ("relationships", "deletions"))
        rows[name] = MADE[name].run(*whole, span=ever).collect(schema)
    return {name: table.to_pylist() for name, table in rows.items()}


@pytest.mark.slow
@examples(12)
@given(activities=ACTIVITIES, data=st.data())
def test_files_in_any_order_leave_what_one_file_leaves(
    activities: list[dict[str, Any]],
    data: st.DataObject,
    pandas: Engine,
    duckdb: Engine,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """One engine builds the days of one file, the other those of a file for each activity."""
    folder = tmp_path_factory.mktemp("data")
    one, other = data.draw(st.permutations([pandas, duckdb]))
    batch, late = Lake(folder / "batch"), Lake(folder / "late")
    taken_in(batch, one, folder, [activities])
    again = data.draw(st.lists(st.sampled_from(activities), max_size=2))
    taken_in(late, other, folder, [[each] for each in data.draw(st.permutations([*activities, *again]))])
    want, got = found(batch, one), found(late, other)
    for name, schema in (EVER | {n: s for n, (_, s) in BY_DAY.items()}).items():
        table = pa.Table.from_pylist(got[name], schema)
        assert_same(table, want[name], schema)


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True])
def test_a_tombstone_takes_a_post_back_whichever_comes_first(late: bool, pandas: Engine, tmp_path: Path) -> None:
    post, gone = (activity(kind, "ada", "1", TIMES[0], "hi") for kind in ("Create", "Delete"))
    anothers = activity("Delete", "bob", "2", TIMES[0], "")
    kept = activity("Create", "ada", "2", TIMES[0], "ho")
    files = [[kept], [anothers], *([[post], [gone]] if late else [[gone], [post]])]
    taken_in(Lake(tmp_path / "lake"), pandas, tmp_path, files)
    assert [p["text"] for p in found(Lake(tmp_path / "lake"), pandas)["posts"]] == ["ho"]
