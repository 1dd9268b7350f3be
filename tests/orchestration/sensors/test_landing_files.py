"""The landing folder: which files are asked for, and when, whatever becomes of them meanwhile."""

import json
import os
import shutil
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.imports.batch import seen
from orchestration.definitions import build
from orchestration.sensors.landing_files import (
    BYTES,
    FILES,
    LONGEST,
    PAUSE,
    SETTLED,
    Cursor,
    Tried,
    collect,
    landing_files,
    taken,
)
from resources.folders.landing import Landed, Landing
from resources.lake.lake import Lake
from resources.storage import Storage
from tests.orchestration.support import Row, rows

NOW = 1_700_000_000_000_000  # microseconds
OLD = NOW - 3600_000_000


def landed(name: str, modified: int = OLD, size: int = 10) -> Landed:
    return Landed(f"listens/{name}", size, modified)


def asked(*files: Landed, cursor: Cursor | None = None, now: int = NOW, taken: set[Landed] | None = None) -> list[str]:
    """The names of the files asked for."""
    return [f.path.removeprefix("listens/") for f in collect(files, taken or set(), cursor or Cursor(), now)[0]]


def test_the_oldest_is_asked_for_first() -> None:
    assert asked(landed("b", OLD), landed("c", OLD - 1), landed("a", OLD)) == ["c", "a", "b"]


def test_a_backlog_is_asked_for_in_parts_and_the_oldest_is_never_passed_over() -> None:
    files = [landed(f"{n:05d}", OLD + n) for n in range(FILES + 7)]
    first, cursor = collect(files, set(), Cursor(), NOW)
    assert first == files[:FILES]
    assert collect(files, set(first), cursor, NOW)[0] == files[FILES:]


def test_a_run_is_bounded_in_bytes_but_a_larger_file_goes_alone() -> None:
    files = [landed("a", OLD, BYTES // 2), landed("b", OLD + 1, BYTES * 3), landed("c", OLD + 2, 1)]
    taken: set[Landed] = set()
    found = []
    for _ in files:
        batch, _ = collect(files, taken, Cursor(), NOW)
        found.append([f.path for f in batch])
        taken |= set(batch)
    assert found == [["listens/a"], ["listens/b"], ["listens/c"]]


def test_a_file_is_left_alone_while_it_is_written() -> None:
    young = landed("a", NOW - SETTLED // 2)
    batch, cursor = collect([young], set(), Cursor(), NOW)
    assert batch == []
    grown = landed("a", NOW + 1, 20)
    batch, cursor = collect([grown], set(), cursor, NOW + SETTLED // 2)
    assert batch == []
    assert collect([grown], set(), cursor, NOW + SETTLED)[0] == [grown]


@pytest.mark.parametrize("modified", [NOW + 10 * LONGEST, NOW + 1])
def test_a_file_from_the_future_is_asked_for_once_it_lies_still(modified: int) -> None:
    """A clock that is wrong, on this machine or where the file came from."""
    file = landed("a", modified)
    batch, cursor = collect([file], set(), Cursor(), NOW)
    assert batch == []
    batch, cursor = collect([file], set(), Cursor.read(cursor.written()), NOW)
    assert batch == [file]
    assert collect([file], {file}, cursor, NOW)[0] == []


def test_old_files_copied_in_late_are_asked_for() -> None:
    """A cursor that were a date would never look back."""
    new = landed("b", OLD)
    batch, cursor = collect([new], set(), Cursor(), NOW)
    old = landed("a", OLD - 10**15)
    assert collect([new, old], set(batch), cursor, NOW)[0] == [old]


def test_a_file_that_was_taken_in_is_asked_for_again_only_if_it_changes() -> None:
    file = landed("a")
    assert asked(file, taken={file}) == []
    assert asked(landed("a", OLD + 1, 10), taken={file}) == ["a"]
    assert asked(landed("a", OLD, 11), taken={file}) == ["a"]


def test_a_file_that_no_run_takes_in_waits_ever_longer_and_holds_up_no_other() -> None:
    bad, cursor, now, asked_at = landed("bad"), Cursor(), NOW, []
    for _ in range(4000):
        batch, cursor = collect([bad, landed("good", OLD + 1)], set(), cursor, now)
        if bad in batch:
            asked_at.append(now)
        now += 5_000_000
    pauses = [after - before for before, after in pairwise(asked_at)]
    assert pauses[:3] == [PAUSE, 4 * PAUSE, 16 * PAUSE]
    assert all(pause <= LONGEST + 5_000_000 for pause in pauses)
    batch, _ = collect([bad, landed("new", OLD + 2)], set(), cursor, now)
    assert [f.path for f in batch] == ["listens/new"]


def test_nothing_is_asked_for_while_an_import_is_at_work_and_nothing_is_forgotten() -> None:
    old, young = landed("a"), landed("b", NOW)
    batch, cursor = collect([old, young], set(), Cursor(), NOW, busy=True)
    assert batch == []
    assert collect([old, young], set(), cursor, NOW)[0] == [old, young]


@pytest.mark.parametrize(
    "text", [None, "", "{}", "no json", '{"young": 1}', '[["a", 1, 2]]', '{"young": [[1]], "tried": []}']
)
def test_a_cursor_that_was_reset_or_is_none_of_ours_is_an_empty_one(text: str | None) -> None:
    cursor = Cursor.read(text)
    assert (list(cursor.young), dict(cursor.tried)) == ([], {})


FILE = st.builds(
    Landed, st.sampled_from(["listens/a", "listens/b", "listens/c"]), st.integers(1, 3), st.integers(OLD, OLD + 2)
)
CURSOR = st.builds(
    Cursor, st.sets(FILE, max_size=3), st.dictionaries(FILE, st.builds(Tried, st.integers(1, 9), st.just(OLD)))
)


@given(CURSOR)
def test_a_cursor_is_read_as_it_was_written(cursor: Cursor) -> None:
    assert Cursor.read(cursor.written()) == cursor


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("lands"), FILE),
        st.tuples(st.just("vanishes"), st.sampled_from(["listens/a", "listens/b", "listens/c"])),
        st.tuples(st.just("is looked at"), st.sampled_from(["taken in", "run killed", "run refuses all but one"])),
        st.tuples(st.just("cursor is reset"), st.none()),
        st.tuples(st.just("ledger is erased"), st.none()),
    ),
    max_size=30,
)


@given(EVENTS)
def test_whatever_happens_all_that_lies_there_is_taken_in_in_the_end(events: list[tuple[str, object]]) -> None:
    lying: dict[str, Landed] = {}
    ledger: set[Landed] = set()
    cursor, now = Cursor(), NOW

    def look(what: object) -> None:
        nonlocal cursor, now
        now += 5_000_000
        batch, cursor = collect(lying.values(), ledger, Cursor.read(cursor.written()), now)
        assert not set(batch) & ledger  # nothing twice
        ledger.update({"taken in": batch, "run killed": [], "run refuses all but one": batch[:1]}[str(what)])

    for what, which in events:
        if what == "lands":
            assert isinstance(which, Landed)
            lying[which.path] = which
        elif what == "vanishes":
            lying.pop(str(which), None)
        elif what == "is looked at":
            look(which)
        elif what == "cursor is reset":
            cursor = Cursor()
        else:
            ledger.clear()
    now += LONGEST
    look("taken in")
    assert set(lying.values()) <= ledger


# The sensor itself, and runs that it asks for.


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty platform."""
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def listen(user: str, second: int, title: str = "Fugue") -> str:
    said = {"artist_name": "Clara Example", "track_name": title}
    return json.dumps({"listened_at": 1_704_100_000 + second, "user_name": user, "track_metadata": said})


def land(data: Path, name: str, *lines: str, age: int = 60, folder: str = "listens") -> Path:
    """A file lands, and was last written to so many seconds ago."""
    path = data / "landing" / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    at = datetime.now(UTC).timestamp() - age
    os.utime(path, (at, at))
    return path


class Platform:
    """The sensor and the job that it asks for, with records of runs that nobody else sees."""

    def __init__(self) -> None:
        self.instance = dg.DagsterInstance.ephemeral()
        self.defs = build("laptop")
        self.cursor: str | None = None

    def requested(self) -> list[dg.RunRequest]:
        """What the sensor asks for now."""
        context = dg.build_sensor_context(self.instance, cursor=self.cursor, definitions=self.defs)
        told = landing_files(context)
        assert isinstance(told, dg.SensorResult)
        self.cursor = told.cursor
        return list(told.run_requests or [])

    def granted(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """The run that was asked for."""
        job = self.defs.resolve_job_def("import_listens")
        return job.execute_in_process(run_config=request.run_config, tags=request.tags, instance=self.instance)


@pytest.fixture
def platform(data: Path) -> Platform:
    """The platform on that data."""
    return Platform()


def heard(data: Path) -> list[tuple[str, str]]:
    """Whose listens of what were taken in."""
    return sorted((r["user_id"], r["recording_name"]) for r in rows(data, "events/raw_listens"))


def test_what_lands_is_asked_for_once_and_taken_in(data: Path, platform: Platform) -> None:
    land(data, "b.jsonl", listen("ada", 2, "Fugue"), age=60)
    land(data, "a/a.jsonl", listen("bob", 1, "Prelude"), age=120)
    (request,) = platform.requested()
    assert [Path(f).name for f in request.run_config["ops"]["imports"]["config"]["files"]] == ["a.jsonl", "b.jsonl"]
    platform.granted(request)
    assert heard(data) == [("ada", "Fugue"), ("bob", "Prelude")]
    assert platform.requested() == []
    platform.cursor = None
    assert platform.requested() == []  # the ledger knows


def test_what_lands_in_a_bucket_is_asked_for_once_and_imported(
    data: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUTTI_LANDING_URL", f"{bucket}/landing")
    platform, landing = Platform(), Storage.at(f"{bucket}/landing")
    landing.write("listens/b.jsonl", listen("ada", 2, "Fugue").encode())
    landing.write("listens/a/a.jsonl", listen("bob", 1, "Prelude").encode())
    landing.write("listens/no.jsonl", b"no record at all")
    landing.write("listens/.half.jsonl", listen("eve", 1).encode())

    def asked() -> list[str]:
        """What is asked for, once it has been there for a moment, and granted."""
        found = [*platform.requested(), *platform.requested()]
        for request in found:
            assert platform.granted(request).success
        return sorted(file for request in found for file in request.run_config["ops"]["imports"]["config"]["files"])

    assert asked() == [f"{landing}/listens/{name}" for name in ("a/a.jsonl", "b.jsonl", "no.jsonl")]
    assert heard(data) == [("ada", "Fugue"), ("bob", "Prelude")]
    assert [row["file"] for row in rows(data, "events/quarantine")] == ["no.jsonl"]
    assert asked() == []
    platform.cursor = None
    assert asked() == []  # the ledger knows
    landing.write("listens/b.jsonl", listen("ada", 2, "Canon").encode())  # likely in the same second
    assert asked() == [f"{landing}/listens/b.jsonl"]
    landing.write("listens/copy.jsonl", listen("ada", 2, "Canon").encode())
    landing.write("listens/c.jsonl", listen("zoe", 5).encode())
    job = platform.defs.resolve_job_def("import_listens")
    for _ in range(2):
        assert job.execute_in_process(instance=platform.instance).success  # of all that has landed
    assert heard(data) == [("ada", "Canon"), ("ada", "Fugue"), ("bob", "Prelude"), ("zoe", "Fugue")]
    assert not any((data / "landing").rglob("*.jsonl"))


def pressed(user: str, second: int, event: str = "play") -> str:
    return json.dumps({"event": event, "event_id": f"{second}", "user_id": user, "timestamp": 1_704_100_000 + second})


def test_application_events_are_taken_in_from_their_own_folder_or_any_other(data: Path, platform: Platform) -> None:
    land(data, "b.jsonl", pressed("ada", 2), listen("ada", 2))
    land(data, "a.jsonl", pressed("bob", 1), "broken", pressed("bob", 90_000), folder="app_events")
    (request,) = platform.requested()
    told = platform.granted(request)
    assert heard(data) == [("ada", "Fugue")]
    found = sorted((r["user_id"], r["event_id"]) for r in rows(data, "events/raw_app_events"))
    assert found == [("ada", "2"), ("bob", "1"), ("bob", "90000")]
    assert [r["file"] for r in rows(data, "events/quarantine")] == ["a.jsonl"]
    assert told.success
    days = platform.instance.get_materialized_partitions(dg.AssetKey(["events", "raw_app_events"]))
    assert days == {"2024-01-01", "2024-01-02"}
    assert platform.requested() == []


def test_what_a_social_network_tells_is_taken_in_as_listens_are(data: Path, platform: Platform) -> None:
    follow = {"type": "Follow", "actor": "ada", "object": "bob", "published": "2024-01-01T12:00:00Z"}
    land(data, "a.jsonl", json.dumps(follow), folder="social")
    land(data, "b.jsonl", listen("bob", 1))
    (request,) = platform.requested()
    platform.granted(request)
    assert [(r["user_id"], r["other_id"]) for r in rows(data, "events/raw_relationships")] == [("ada", "bob")]
    assert heard(data) == [("bob", "Fugue")]
    assert platform.requested() == []


def test_one_bad_file_holds_up_no_other_and_is_told_of_once(data: Path, platform: Platform) -> None:
    land(data, "0.jsonl", "no record at all", age=300)
    land(data, "1.zip", "PK\x03\x04 cut off", age=200)
    land(data, "2.jsonl", listen("ada", 1), age=100)
    (request,) = platform.requested()
    assert platform.granted(request).success
    assert heard(data) == [("ada", "Fugue")]
    assert {r["file"] for r in rows(data, "events/quarantine")} >= {"0.jsonl", "1.zip"}
    assert platform.requested() == []


def test_a_file_that_vanishes_is_passed_over_and_its_neighbors_are_taken_in(data: Path, platform: Platform) -> None:
    gone = land(data, "0.jsonl", listen("ada", 1), age=300)
    land(data, "1.jsonl", listen("bob", 1), age=200)
    (request,) = platform.requested()
    gone.unlink()
    assert platform.granted(request).success
    assert heard(data) == [("bob", "Fugue")]
    assert platform.requested() == []


def test_a_file_that_grew_is_taken_in_again_and_its_listens_count_once(data: Path, platform: Platform) -> None:
    land(data, "0.jsonl", listen("ada", 1, "Prelude"), listen("ada", 200, "Fugue")[:40], age=300)
    platform.granted(platform.requested()[0])
    land(data, "0.jsonl", listen("ada", 1, "Prelude"), listen("ada", 200, "Fugue"), age=100)
    platform.granted(platform.requested()[0])
    assert set(heard(data)) == {("ada", "Prelude"), ("ada", "Fugue")}
    assert platform.requested() == []


def test_the_same_content_in_another_place_changes_nothing_and_is_not_asked_for_again(
    data: Path, platform: Platform
) -> None:
    land(data, "0.jsonl", listen("ada", 1), age=300)
    land(data, "copy.jsonl", listen("ada", 1), age=200)
    platform.granted(platform.requested()[0])
    land(data, "later.jsonl", listen("ada", 1), age=100)
    platform.granted(platform.requested()[0])
    assert heard(data) == [("ada", "Fugue")]
    landed = sorted(r["landing_path"] for r in rows(data, "events/imports"))
    assert landed == ["listens/0.jsonl", "listens/copy.jsonl", "listens/later.jsonl"]
    assert platform.requested() == []


@pytest.mark.slow
def test_a_lake_made_anew_takes_in_everything_again(data: Path, platform: Platform) -> None:
    land(data, "0.jsonl", listen("ada", 1))
    platform.granted(platform.requested()[0])
    shutil.rmtree(data / "lake")
    assert heard(data) == []
    platform.cursor = None
    platform.granted(platform.requested()[0])
    assert heard(data) == [("ada", "Fugue")]


def test_no_run_is_asked_for_while_one_waits_but_killed_commands_do_not_count(data: Path, platform: Platform) -> None:
    from dagster._core.storage.dagster_run import DagsterRunStatus
    from dagster._core.test_utils import create_run_for_test

    land(data, "0.jsonl", listen("ada", 1))
    create_run_for_test(
        platform.instance, "import_listens", status=DagsterRunStatus.STARTED, tags={"tutti/by_hand": "yes"}
    )
    assert len(platform.requested()) == 1
    land(data, "1.jsonl", listen("ada", 2))
    create_run_for_test(platform.instance, "import_listens", status=DagsterRunStatus.STARTED)
    assert platform.requested() == []


@pytest.mark.slow
def test_many_small_files_cost_few_commits(data: Path, platform: Platform) -> None:
    from deltalake import DeltaTable

    for n in range(30):
        land(data, f"{n:02d}.jsonl", *(listen(f"user{n}", 300 * k) for k in range(5)))
    platform.granted(platform.requested()[0])
    assert len(heard(data)) == 150
    assert len(rows(data, "events/imports")) == 30
    assert DeltaTable(str(data / "lake" / "events" / "raw_listens")).version() <= 2
    assert len(taken(Lake(data / "lake"))) == 30


@pytest.mark.slow
def test_a_killed_run_loses_nothing_and_doubles_nothing(data: Path, platform: Platform) -> None:
    """The ledger's rows come last: where they are missing, what was written is written again in its place."""
    for n in range(6):
        lines = [listen(f"user{n}", 300 * k) for k in range(3)]
        land(data, f"{n}.jsonl", *lines, *(["broken"] if n % 2 else []), age=60 + n)
    platform.granted(platform.requested()[0])
    before: list[list[Row]] = [rows(data, t) for t in ("events/raw_listens", "events/quarantine")]
    shutil.rmtree(data / "lake" / "events" / "imports")  # as if the run had been killed before it wrote them
    land(data, "new.jsonl", listen("zoe", 1), age=600)  # the next run has other files beside them
    platform.cursor = None
    platform.granted(platform.requested()[0])
    after = [rows(data, t) for t in ("events/raw_listens", "events/quarantine")]
    assert [r for r in after[0] if r["user_id"] != "zoe"] == before[0]
    assert [{**r, "seen_at": 0} for r in after[1]] == [{**r, "seen_at": 0} for r in before[1]]
    assert len(after[0]) == len(before[0]) + 1


@pytest.mark.slow
def test_the_ledger_tells_files_as_they_lay_there(data: Path, platform: Platform) -> None:
    land(data, "0.jsonl", listen("ada", 1))
    platform.granted(platform.requested()[0])
    assert seen(Lake(data / "lake")) == {Landing(root=str(data / "landing")).look("listens/0.jsonl")}
