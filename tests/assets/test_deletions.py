"""Deletions by id remove posts, shares and relationships, in any order of arrival and despite repeats."""

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
BUILT = {t.name: t for t in TRANSFORMATIONS}
RAW = {kind.table.split("/")[1]: kind for kind in RECORD_TYPES}
BY_DAY = {"posts": ("raw_posts", POSTS), "shares": ("raw_shares", SHARES)}
EVER = {"follows": FOLLOWS, "friendships": FRIENDSHIPS}

WHO, IDS, TIMES = ("ada", "bob"), ("1", "2", "3"), [f"2024-02-{day}T12:00:00Z" for day in (27, 28, 29)]


def activity(kind: str, who: str, number: str, at: str, text: str) -> dict[str, Any]:
    """Return an ActivityStreams activity that creates something, or deletes it by its id."""
    ada, bob = (f"{HOST}/{name}" for name in WHO)
    other = bob if who == "ada" else ada
    about: Any = {
        "Create": {"type": "Note", "id": f"{HOST}/{number}", "published": at, "content": text},
        "Announce": f"{HOST}/{text}",
        "Follow": other,
        "Add": {"type": "Relationship", "subject": ada, "object": bob, "relationship": "friendOf", "startTime": at},
        "Delete": {"type": "Tombstone", "id": f"{HOST}/{number}"},
        "Undo": f"{HOST}/{number}",
    }[kind]
    published = {} if kind == "Delete" else {"published": at}
    return {"type": kind, "id": f"{HOST}/{number}", "actor": f"{HOST}/{who}", "object": about} | published


ABOUT = tuple(map(st.sampled_from, (WHO, IDS, TIMES, ("a", "b"))))
ACTIVITIES = st.tuples(
    st.lists(
        st.builds(activity, st.sampled_from(("Create", "Announce", "Follow", "Add", "Delete", "Undo")), *ABOUT),
        max_size=4,
    ),
    st.builds(  # and one that is certainly deleted
        lambda kinds, *about: [activity(kind, *about) for kind in kinds],
        st.sampled_from((("Create", "Delete"), ("Announce", "Undo"), ("Follow", "Undo"))),
        *ABOUT,
    ),
).map(lambda drawn: [*drawn[0], *drawn[1]])


def import_all(lake: Lake, engine: Engine, folder: Path, files: Sequence[list[dict[str, Any]]]) -> None:
    """Import files one after the other, and after each rebuild the days that it reports."""
    for file in files:
        changed: dict[str, set[date]] = {}

        def report(kind: RecordType, days: Sequence[date], changed: dict[str, set[date]] = changed) -> None:
            changed.setdefault(kind.table.split("/")[1], set()).update(days)

        path = folder / "file.jsonl"
        path.write_text("\n".join(map(json.dumps, file)))
        import_file(path, None, lake, NOW, report)
        for name, (raw, schema) in BY_DAY.items():
            for day in changed.get(raw, ()):
                that_day, upstream = RangeFilter("day", day, day), BUILT[name].reads
                rows = BUILT[name].run(*(read(lake, engine, n, that_day) for n in upstream), span=(day, day))
                lake.replace(f"events/{name}", rows, schema, that_day)


def read(lake: Lake, engine: Engine, name: str, day: RangeFilter) -> Any:
    if name not in RAW:
        return engine.from_arrow(BUILT["posts"].reads[name].empty_table())
    return engine.read(lake.scan(RAW[name].table, RAW[name].schema, day if RAW[name].dated else None))


def tables(lake: Lake, engine: Engine) -> dict[str, list[Row]]:
    """Return the rows of the daily tables, and of the tables built from all records."""
    ever = (NOW.date(), NOW.date())
    rows: dict[str, pa.Table] = {n: lake.scan(f"events/{n}", schema).table() for n, (_, schema) in BY_DAY.items()}
    for name, schema in EVER.items():
        raw = (engine.read(lake.scan(RAW[n].table, RAW[n].schema)) for n in ("raw_relationships", "raw_deletions"))
        rows[name] = BUILT[name].run(*raw, span=ever).collect(schema)
    return {name: table.to_pylist() for name, table in rows.items()}


@pytest.mark.slow
@examples(12)
@given(activities=ACTIVITIES, data=st.data())
def test_files_in_any_order_give_the_same_tables_as_one_file(
    activities: list[dict[str, Any]],
    data: st.DataObject,
    pandas: Engine,
    duckdb: Engine,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """One engine builds the tables of one file, the other those of a file per activity."""
    folder = tmp_path_factory.mktemp("data")
    one, other = data.draw(st.permutations([pandas, duckdb]))
    batch, late = Lake(folder / "batch"), Lake(folder / "late")
    import_all(batch, one, folder, [activities])
    repeats = data.draw(st.lists(st.sampled_from(activities), max_size=2))
    import_all(late, other, folder, [[each] for each in data.draw(st.permutations([*activities, *repeats]))])
    expected, actual = tables(batch, one), tables(late, other)
    for name, schema in (EVER | {n: s for n, (_, s) in BY_DAY.items()}).items():
        table = pa.Table.from_pylist(actual[name], schema)
        assert_same(table, expected[name], schema)


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True])
def test_a_tombstone_deletes_its_authors_post_in_either_order(late: bool, pandas: Engine, tmp_path: Path) -> None:
    post, tombstone = (activity(kind, "ada", "1", TIMES[0], "hi") for kind in ("Create", "Delete"))
    tombstone_of_another_author = activity("Delete", "bob", "2", TIMES[0], "")
    other_post = activity("Create", "ada", "2", TIMES[0], "ho")
    files = [[other_post], [tombstone_of_another_author], *([[post], [tombstone]] if late else [[tombstone], [post]])]
    import_all(Lake(tmp_path / "lake"), pandas, tmp_path, files)
    assert [p["text"] for p in tables(Lake(tmp_path / "lake"), pandas)["posts"]] == ["ho"]
