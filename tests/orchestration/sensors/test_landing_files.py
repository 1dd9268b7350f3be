"""The sensor of landed files: which files it requests, and when, through failures and changes."""

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

from assets.imports.batch import read_imported_files
from orchestration.definitions import build
from orchestration.sensors.landing_files import (
    MAX_BYTES,
    MAX_FILES,
    MAX_RETRY_US,
    RETRY_US,
    SETTLED_US,
    Attempts,
    Cursor,
    collect,
    imported_files,
    landing_files,
)
from resources.folders.landing import Landed, Landing
from resources.lake.lake import Lake
from resources.storage import Storage
from tests.orchestration.support import Row, rows

NOW = 1_700_000_000_000_000  # microseconds
OLD = NOW - 3600_000_000


def landed(name: str, modified: int = OLD, size: int = 10) -> Landed:
    return Landed(f"listens/{name}", size, modified)


def requested(
    *files: Landed, cursor: Cursor | None = None, now: int = NOW, imported: set[Landed] | None = None
) -> list[str]:
    """Return the names of the requested files."""
    return [f.path.removeprefix("listens/") for f in collect(files, imported or set(), cursor or Cursor(), now)[0]]


def test_requests_the_oldest_file_first() -> None:
    assert requested(landed("b", OLD), landed("c", OLD - 1), landed("a", OLD)) == ["c", "a", "b"]


def test_requests_a_backlog_in_parts_oldest_first() -> None:
    files = [landed(f"{n:05d}", OLD + n) for n in range(MAX_FILES + 7)]
    first, cursor = collect(files, set(), Cursor(), NOW)
    assert first == files[:MAX_FILES]
    assert collect(files, set(first), cursor, NOW)[0] == files[MAX_FILES:]


def test_a_run_has_bounded_bytes_but_a_larger_file_gets_its_own() -> None:
    files = [landed("a", OLD, MAX_BYTES // 2), landed("b", OLD + 1, MAX_BYTES * 3), landed("c", OLD + 2, 1)]
    imported: set[Landed] = set()
    batches = []
    for _ in files:
        batch, _ = collect(files, imported, Cursor(), NOW)
        batches.append([f.path for f in batch])
        imported |= set(batch)
    assert batches == [["listens/a"], ["listens/b"], ["listens/c"]]


def test_waits_while_a_file_is_written() -> None:
    young = landed("a", NOW - SETTLED_US // 2)
    batch, cursor = collect([young], set(), Cursor(), NOW)
    assert batch == []
    grown = landed("a", NOW + 1, 20)
    batch, cursor = collect([grown], set(), cursor, NOW + SETTLED_US // 2)
    assert batch == []
    assert collect([grown], set(), cursor, NOW + SETTLED_US)[0] == [grown]


@pytest.mark.parametrize("modified", [NOW + 10 * MAX_RETRY_US, NOW + 1])
def test_requests_a_file_from_the_future_once_it_is_stable(modified: int) -> None:
    """The clock is wrong on this machine or where the file came from."""
    file = landed("a", modified)
    batch, cursor = collect([file], set(), Cursor(), NOW)
    assert batch == []
    batch, cursor = collect([file], set(), Cursor.read(cursor.written()), NOW)
    assert batch == [file]
    assert collect([file], {file}, cursor, NOW)[0] == []


def test_requests_old_files_that_land_late() -> None:
    """A cursor that stores only a date would miss them."""
    new = landed("b", OLD)
    batch, cursor = collect([new], set(), Cursor(), NOW)
    old = landed("a", OLD - 10**15)
    assert collect([new, old], set(batch), cursor, NOW)[0] == [old]


def test_requests_an_imported_file_again_only_if_it_changes() -> None:
    file = landed("a")
    assert requested(file, imported={file}) == []
    assert requested(landed("a", OLD + 1, 10), imported={file}) == ["a"]
    assert requested(landed("a", OLD, 11), imported={file}) == ["a"]


def test_a_failing_file_waits_longer_each_time_and_blocks_no_other() -> None:
    bad, cursor, now, requested_at = landed("bad"), Cursor(), NOW, []
    for _ in range(4000):
        batch, cursor = collect([bad, landed("good", OLD + 1)], set(), cursor, now)
        if bad in batch:
            requested_at.append(now)
        now += 5_000_000
    pauses = [after - before for before, after in pairwise(requested_at)]
    assert pauses[:3] == [RETRY_US, 4 * RETRY_US, 16 * RETRY_US]
    assert all(pause <= MAX_RETRY_US + 5_000_000 for pause in pauses)
    batch, _ = collect([bad, landed("new", OLD + 2)], set(), cursor, now)
    assert [f.path for f in batch] == ["listens/new"]


def test_requests_nothing_during_an_import_and_forgets_nothing() -> None:
    old, young = landed("a"), landed("b", NOW)
    batch, cursor = collect([old, young], set(), Cursor(), NOW, busy=True)
    assert batch == []
    assert collect([old, young], set(), cursor, NOW)[0] == [old, young]


@pytest.mark.parametrize(
    "text", [None, "", "{}", "no json", '{"young": 1}', '[["a", 1, 2]]', '{"young": [[1]], "tried": []}']
)
def test_a_reset_or_invalid_cursor_reads_as_empty(text: str | None) -> None:
    cursor = Cursor.read(text)
    assert (list(cursor.young), dict(cursor.attempts)) == ([], {})


FILE = st.builds(
    Landed, st.sampled_from(["listens/a", "listens/b", "listens/c"]), st.integers(1, 3), st.integers(OLD, OLD + 2)
)
CURSOR = st.builds(
    Cursor, st.sets(FILE, max_size=3), st.dictionaries(FILE, st.builds(Attempts, st.integers(1, 9), st.just(OLD)))
)


@given(CURSOR)
def test_a_cursor_survives_a_round_trip(cursor: Cursor) -> None:
    assert Cursor.read(cursor.written()) == cursor


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("lands"), FILE),
        st.tuples(st.just("vanishes"), st.sampled_from(["listens/a", "listens/b", "listens/c"])),
        st.tuples(st.just("tick"), st.sampled_from(["imported", "run killed", "run refuses all but one"])),
        st.tuples(st.just("cursor is reset"), st.none()),
        st.tuples(st.just("ledger is erased"), st.none()),
    ),
    max_size=30,
)


@given(EVENTS)
def test_all_landed_files_are_imported_whatever_happens(events: list[tuple[str, object]]) -> None:
    files: dict[str, Landed] = {}
    ledger: set[Landed] = set()
    cursor, now = Cursor(), NOW

    def tick(outcome: object) -> None:
        nonlocal cursor, now
        now += 5_000_000
        batch, cursor = collect(files.values(), ledger, Cursor.read(cursor.written()), now)
        assert not set(batch) & ledger  # nothing twice
        ledger.update({"imported": batch, "run killed": [], "run refuses all but one": batch[:1]}[str(outcome)])

    for what, which in events:
        if what == "lands":
            assert isinstance(which, Landed)
            files[which.path] = which
        elif what == "vanishes":
            files.pop(str(which), None)
        elif what == "tick":
            tick(which)
        elif what == "cursor is reset":
            cursor = Cursor()
        else:
            ledger.clear()
    now += MAX_RETRY_US
    tick("imported")
    assert set(files.values()) <= ledger


# The sensor itself, and the runs that it requests.


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty platform."""
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def listen(user: str, second: int, title: str = "Fugue") -> str:
    names = {"artist_name": "Clara Example", "track_name": title}
    return json.dumps({"listened_at": 1_704_100_000 + second, "user_name": user, "track_metadata": names})


def land(data: Path, name: str, *lines: str, age: int = 60, folder: str = "listens") -> Path:
    """Write a landed file that was last changed `age` seconds ago."""
    path = data / "landing" / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    at = datetime.now(UTC).timestamp() - age
    os.utime(path, (at, at))
    return path


class Platform:
    """The sensor and its job, with a Dagster instance of their own."""

    def __init__(self) -> None:
        self.instance = dg.DagsterInstance.ephemeral()
        self.defs = build("laptop")
        self.cursor: str | None = None

    def requested(self) -> list[dg.RunRequest]:
        """Return what the sensor requests now."""
        context = dg.build_sensor_context(self.instance, cursor=self.cursor, definitions=self.defs)
        result = landing_files(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return list(result.run_requests or [])

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Run a request."""
        job = self.defs.resolve_job_def("import_listens")
        return job.execute_in_process(run_config=request.run_config, tags=request.tags, instance=self.instance)


@pytest.fixture
def platform(data: Path) -> Platform:
    """Return the platform on that data."""
    return Platform()


def raw_listens(data: Path) -> list[tuple[str, str]]:
    """Return the listener and title of each raw listen."""
    return sorted((r["user_id"], r["recording_name"]) for r in rows(data, "events/raw_listens"))


def test_landed_files_are_requested_once_and_imported(data: Path, platform: Platform) -> None:
    land(data, "b.jsonl", listen("ada", 2, "Fugue"), age=60)
    land(data, "a/a.jsonl", listen("bob", 1, "Prelude"), age=120)
    (request,) = platform.requested()
    assert [Path(f).name for f in request.run_config["ops"]["imports"]["config"]["files"]] == ["a.jsonl", "b.jsonl"]
    platform.run(request)
    assert raw_listens(data) == [("ada", "Fugue"), ("bob", "Prelude")]
    assert platform.requested() == []
    platform.cursor = None
    assert platform.requested() == []  # the ledger knows


def test_files_in_a_bucket_are_requested_once_and_imported(
    data: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUTTI_LANDING_URL", f"{bucket}/landing")
    platform, landing = Platform(), Storage.at(f"{bucket}/landing")
    landing.write("listens/b.jsonl", listen("ada", 2, "Fugue").encode())
    landing.write("listens/a/a.jsonl", listen("bob", 1, "Prelude").encode())
    landing.write("listens/no.jsonl", b"no record at all")
    landing.write("listens/.half.jsonl", listen("eve", 1).encode())

    def requested() -> list[str]:
        """Run what is requested once files are stable, and return the files."""
        requests = [*platform.requested(), *platform.requested()]
        for request in requests:
            assert platform.run(request).success
        return sorted(file for request in requests for file in request.run_config["ops"]["imports"]["config"]["files"])

    assert requested() == [f"{landing}/listens/{name}" for name in ("a/a.jsonl", "b.jsonl", "no.jsonl")]
    assert raw_listens(data) == [("ada", "Fugue"), ("bob", "Prelude")]
    assert [row["file"] for row in rows(data, "events/quarantine")] == ["no.jsonl"]
    assert requested() == []
    platform.cursor = None
    assert requested() == []  # the ledger knows
    landing.write("listens/b.jsonl", listen("ada", 2, "Canon").encode())  # likely in the same second
    assert requested() == [f"{landing}/listens/b.jsonl"]
    landing.write("listens/copy.jsonl", listen("ada", 2, "Canon").encode())
    landing.write("listens/c.jsonl", listen("zoe", 5).encode())
    job = platform.defs.resolve_job_def("import_listens")
    for _ in range(2):
        assert job.execute_in_process(instance=platform.instance).success  # of all that has landed
    assert raw_listens(data) == [("ada", "Canon"), ("ada", "Fugue"), ("bob", "Prelude"), ("zoe", "Fugue")]
    assert not any((data / "landing").rglob("*.jsonl"))


def app_event(user: str, second: int, event: str = "play") -> str:
    return json.dumps({"event": event, "event_id": f"{second}", "user_id": user, "timestamp": 1_704_100_000 + second})


def test_application_events_are_imported_from_any_folder(data: Path, platform: Platform) -> None:
    land(data, "b.jsonl", app_event("ada", 2), listen("ada", 2))
    land(data, "a.jsonl", app_event("bob", 1), "broken", app_event("bob", 90_000), folder="app_events")
    (request,) = platform.requested()
    result = platform.run(request)
    assert raw_listens(data) == [("ada", "Fugue")]
    found = sorted((r["user_id"], r["event_id"]) for r in rows(data, "events/raw_app_events"))
    assert found == [("ada", "2"), ("bob", "1"), ("bob", "90000")]
    assert [r["file"] for r in rows(data, "events/quarantine")] == ["a.jsonl"]
    assert result.success
    days = platform.instance.get_materialized_partitions(dg.AssetKey(["events", "raw_app_events"]))
    assert days == {"2024-01-01", "2024-01-02"}
    assert platform.requested() == []


def test_social_activities_are_imported_like_listens(data: Path, platform: Platform) -> None:
    follow = {"type": "Follow", "actor": "ada", "object": "bob", "published": "2024-01-01T12:00:00Z"}
    land(data, "a.jsonl", json.dumps(follow), folder="social")
    land(data, "b.jsonl", listen("bob", 1))
    (request,) = platform.requested()
    platform.run(request)
    assert [(r["user_id"], r["other_id"]) for r in rows(data, "events/raw_relationships")] == [("ada", "bob")]
    assert raw_listens(data) == [("bob", "Fugue")]
    assert platform.requested() == []


def test_a_bad_file_blocks_no_other_and_is_quarantined_once(data: Path, platform: Platform) -> None:
    land(data, "0.jsonl", "no record at all", age=300)
    land(data, "1.zip", "PK\x03\x04 cut off", age=200)
    land(data, "2.jsonl", listen("ada", 1), age=100)
    (request,) = platform.requested()
    assert platform.run(request).success
    assert raw_listens(data) == [("ada", "Fugue")]
    assert {r["file"] for r in rows(data, "events/quarantine")} >= {"0.jsonl", "1.zip"}
    assert platform.requested() == []


def test_a_removed_file_is_skipped_and_the_others_are_imported(data: Path, platform: Platform) -> None:
    removed = land(data, "0.jsonl", listen("ada", 1), age=300)
    land(data, "1.jsonl", listen("bob", 1), age=200)
    (request,) = platform.requested()
    removed.unlink()
    assert platform.run(request).success
    assert raw_listens(data) == [("bob", "Fugue")]
    assert platform.requested() == []


def test_a_file_that_grew_is_imported_again_without_duplicates(data: Path, platform: Platform) -> None:
    land(data, "0.jsonl", listen("ada", 1, "Prelude"), listen("ada", 200, "Fugue")[:40], age=300)
    platform.run(platform.requested()[0])
    land(data, "0.jsonl", listen("ada", 1, "Prelude"), listen("ada", 200, "Fugue"), age=100)
    platform.run(platform.requested()[0])
    assert set(raw_listens(data)) == {("ada", "Prelude"), ("ada", "Fugue")}
    assert platform.requested() == []


def test_a_copy_of_an_imported_file_changes_nothing(data: Path, platform: Platform) -> None:
    land(data, "0.jsonl", listen("ada", 1), age=300)
    land(data, "copy.jsonl", listen("ada", 1), age=200)
    platform.run(platform.requested()[0])
    land(data, "later.jsonl", listen("ada", 1), age=100)
    platform.run(platform.requested()[0])
    assert raw_listens(data) == [("ada", "Fugue")]
    landed = sorted(r["landing_path"] for r in rows(data, "events/imports"))
    assert landed == ["listens/0.jsonl", "listens/copy.jsonl", "listens/later.jsonl"]
    assert platform.requested() == []


@pytest.mark.slow
def test_a_new_lake_imports_everything_again(data: Path, platform: Platform) -> None:
    land(data, "0.jsonl", listen("ada", 1))
    platform.run(platform.requested()[0])
    shutil.rmtree(data / "lake")
    assert raw_listens(data) == []
    platform.cursor = None
    platform.run(platform.requested()[0])
    assert raw_listens(data) == [("ada", "Fugue")]


def test_requests_no_run_while_one_runs_unless_a_command_started_it(data: Path, platform: Platform) -> None:
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
    platform.run(platform.requested()[0])
    assert len(raw_listens(data)) == 150
    assert len(rows(data, "events/imports")) == 30
    assert DeltaTable(str(data / "lake" / "events" / "raw_listens")).version() <= 2
    assert len(imported_files(Lake(data / "lake"))) == 30


@pytest.mark.slow
def test_a_killed_run_loses_and_duplicates_nothing(data: Path, platform: Platform) -> None:
    """The ledger's rows are written last. If they are missing, the next run replaces the other rows."""
    for n in range(6):
        lines = [listen(f"user{n}", 300 * k) for k in range(3)]
        land(data, f"{n}.jsonl", *lines, *(["broken"] if n % 2 else []), age=60 + n)
    platform.run(platform.requested()[0])
    before: list[list[Row]] = [rows(data, t) for t in ("events/raw_listens", "events/quarantine")]
    shutil.rmtree(data / "lake" / "events" / "imports")  # as if the run had been killed before it wrote them
    land(data, "new.jsonl", listen("zoe", 1), age=600)  # the next run has other files beside them
    platform.cursor = None
    platform.run(platform.requested()[0])
    after = [rows(data, t) for t in ("events/raw_listens", "events/quarantine")]
    assert [r for r in after[0] if r["user_id"] != "zoe"] == before[0]
    assert [{**r, "seen_at": 0} for r in after[1]] == [{**r, "seen_at": 0} for r in before[1]]
    assert len(after[0]) == len(before[0]) + 1


@pytest.mark.slow
def test_the_ledger_has_path_size_and_time_of_landed_files(data: Path, platform: Platform) -> None:
    land(data, "0.jsonl", listen("ada", 1))
    platform.run(platform.requested()[0])
    assert read_imported_files(Lake(data / "lake")) == {Landing(root=str(data / "landing")).state_of("listens/0.jsonl")}
