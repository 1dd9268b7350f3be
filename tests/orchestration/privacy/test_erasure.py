"""Erasure and export of a listener: no trace is left, and everything else is as if they had never been there."""

import json
import os
import re
import shutil
import sqlite3
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from assets.imports import packing
from assets.imports.batch import read_imported_files
from orchestration.definitions import build
from orchestration.privacy.erasure import scanner
from resources.artifacts.artifacts import Artifact, Artifacts
from resources.folders.landing import Landing
from resources.lake.lake import Lake
from resources.locks import exclusive_lock, shared_lock
from resources.privacy.scanner import Trace
from resources.storage import Storage
from tests.orchestration.support import TUTTI, Process, Row, rows, rows_by_table, table, tables

ADA, BOB, SIMILAR_NAMES = "ada", "bob", ("ada2", "Adagio for Strings")
RENEE = 'Renée "R" O\'Neil ♫'
VOLATILE = ("imported_at", "seen_at", "modified_at", "bytes", "import_id", "canonical_import_id")
START = 1_709_280_000  # 2024-03-01

PREPARE = """
import json, sys
from orchestration.instance.home import dagster_home
dagster_home()
from orchestration.cli.runner import Runner
runner = Runner()
for listener, file in json.loads(sys.argv[1]):
    runner.run("import_listens", config={"imports": {"config": {"listener": listener, "files": [file]}}})
runner.import_and_build({})
"""
KILL = """
import os, signal, sys
what, times = sys.argv[1], int(sys.argv[2])
from orchestration.instance.home import dagster_home
dagster_home()
from orchestration.cli import erase as command
from orchestration.cli.runner import Runner
from orchestration.privacy import eraser, erasure
from resources.artifacts.artifacts import Artifacts
from resources.lake.lake import Lake
from resources.privacy import database, files
owner = {
    "keep": eraser.Plan, "end": eraser.Plan, "remove_listener": files, "rewrite": Lake, "import_landed": eraser,
    "drop_history": Lake, "erase": Artifacts, "redact": database, "remove_previews": database,
    "import_and_build": Runner, "run": Runner, "replace": Lake, "end_time_travel": erasure,
}[what]
original, calls = getattr(owner, what), 0
def call_or_die(*args, **kwargs):
    global calls
    calls += 1
    if calls == times:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **kwargs)
setattr(owner, what, call_or_die)
command.erase(["--listener", "ada", "--yes"])
"""
STEPS = (
    *(("keep", 1), ("remove_listener", 2), ("rewrite", 4), ("import_landed", 1), ("drop_history", 3), ("erase", 1)),
    *(("redact", 2), ("remove_previews", 2), ("keep", 2), ("import_and_build", 1), ("run", 3), ("replace", 5)),
    *(("end_time_travel", 2), ("end", 1)),
)
"""The steps of an erasure, in their order. Each is killed at a call of its function."""


ONLY_ADAS = "Quincunx Ensemble"  # an artist that nobody else played
ADAS_FILES = (b"history_of_ada", b"the_same_once_more")


def listen(n: int, who: str | None = None, artist: str = "Clara Example", client: str | None = None) -> Row:
    """Return the nth listen of a listener in ListenBrainz's format."""
    info: Row = {"duration_played": 200} | ({"submission_client": client} if client else {})
    names: Row = {"artist_name": artist, "track_name": f"Song {n % 5}", "additional_info": info}
    return {"listened_at": START + n * 1_000, "track_metadata": names} | ({"user_name": who} if who else {})


def lines(records: list[Row]) -> str:
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records)


def write_files(folder: Path, data: Path, without: str | None = None) -> list[tuple[str, str]]:
    """Write files of several listeners, some landed, and return the others with their listeners.

    `without` names a listener to leave out.
    """

    def of(records: list[Row]) -> list[Row]:
        return [r for r in records if r.get("user_name") != without]

    folder.mkdir()
    landing = data / "landing" / "listens"
    (landing / "scrobbles").mkdir(parents=True)
    histories = {}
    for who in (ADA, BOB, RENEE):
        histories[who] = folder / f"history_of_{'r' if who == RENEE else who}.jsonl"
        artist = "ada" if who == BOB else "Clara Example"  # bob's artist has the same name as a listener
        feedback = {"recording_msid": "9cb0b6f0-8a5e-4e2d-9c6a-1d4f1f2a5b6c", "score": 1, "created": START}
        records = [listen(n * 7, None, artist, "player") for n in range(60)]
        if who == ADA:
            records += [listen(n * 7 + 3, None, ONLY_ADAS, "player") for n in range(40)]
        histories[who].write_text(lines(records) + "{broken\n" + lines([feedback]))
    people = (ADA, BOB, *SIMILAR_NAMES)
    mixed = [listen(n * 3 + 1, people[n % 4]) for n in range(60)]
    (landing / "scrobbles" / "20240301T000000.000000Z-0a.jsonl").write_text(lines(of(mixed)))
    only_ada = of([listen(n * 11 + 2, ADA) for n in range(10)])
    if only_ada:
        (landing / "scrobbles" / "20240301T000001.000000Z-0b.jsonl").write_text(lines(only_ada))
        pulled = landing / "listenbrainz" / ADA / "2024-03-01...2024-03-02"
        pulled.mkdir(parents=True)
        (pulled / "20240301T000000Z-00.jsonl").write_text(lines([listen(n * 13 + 5, ADA) for n in range(9)]))
        (pulled.parent / ".pull.json").write_text(json.dumps({"done": ["2024-03-01...2024-03-02"], "cursors": {}}))
    with zipfile.ZipFile(landing / "dump.zip", "w") as dump:
        dump.writestr("listens/1.jsonl", lines(of([listen(n * 17 + 3, people[n % 2], "ada") for n in range(20)])))
        if only_ada:
            dump.writestr("listens/2.jsonl", lines([listen(n * 19 + 4, ADA) for n in range(5)]))
    for path in (landing / "scrobbles").iterdir():
        os.utime(path, (START, START))  # old enough to be packed
    app_events = [
        {"event": event, "event_id": f"{n}", "user_id": people[n % 2], "timestamp": START + n * 60, "properties": {}}
        for n, event in enumerate(("play", "play", "skip", "like", "play", "page view"))
    ]
    app_events[1]["properties"] = {} if without else {"friend": ADA}
    (data / "landing" / "app_events").mkdir()
    (data / "landing" / "app_events" / "a.jsonl").write_text(lines([e for e in app_events if e["user_id"] != without]))
    follows = [(ADA, BOB), (BOB, ADA), (BOB, "ada2"), ("ada2", BOB)]
    activities = [
        {"type": "Follow", "actor": a, "object": b, "published": "2024-03-01T12:00:00Z"}
        for a, b in follows
        if without not in (a, b)
    ]
    (data / "landing" / "social").mkdir()
    (data / "landing" / "social" / "b.jsonl").write_text(lines(activities))
    copy = folder / "the_same_once_more.jsonl"
    shutil.copyfile(histories[ADA], copy)
    return [(who, str(file)) for who, file in (*histories.items(), (ADA, copy)) if who != without]


@dataclass
class Worlds:
    """The data folders of a world with ada and of the same world without ada."""

    with_ada: Path
    without: Path

    def erase(self, data: Path, who: str = ADA) -> Process:
        return Process((*TUTTI, "erase", "--listener", who, "--yes"), data)


def traces(data: Path, who: str) -> list[Trace]:
    """Return the places that name a listener in a data folder, which may be a copy."""
    return list(scanner(who, data, data / "dagster").traces())


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    """Two worlds, materialized once."""
    processes = []
    for name, without in (("with", None), ("without", ADA)):
        folder = tmp_path_factory.mktemp(name)
        imports = write_files(folder / "files", folder / "data", without)
        command = (sys.executable, "-c", PREPARE, json.dumps(imports))
        processes.append((folder / "data", Process(command, folder / "data")))
    for _, process in processes:
        process.fine()
    return Worlds(processes[0][0], processes[1][0])


@pytest.fixture(scope="module")
def erased(worlds: Worlds, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Process]:
    """A copy of the world from which the command erased ada."""
    data = tmp_path_factory.mktemp("erased") / "data"
    shutil.copytree(worlds.with_ada, data)
    offsets = data / "stream" / "listens" / "offsets"
    offsets.mkdir(parents=True)
    (offsets / "0").write_text(json.dumps({"files": [["listens/listenbrainz/ada/x.jsonl", 1, 1]]}))
    return data, worlds.erase(data).fine()


def contents(data: Path) -> dict[str, list[Row]]:
    """Return the rows of every table without times and ids that differ between imports."""
    return {name: table_rows for name, table_rows in rows_by_table(data, VOLATILE).items() if table_rows}


def test_tables_equal_those_of_a_world_without_the_listener(worlds: Worlds, erased: tuple[Path, Process]) -> None:
    data, _ = erased
    remaining, expected = contents(data), contents(worlds.without)
    assert remaining.keys() == expected.keys()
    for name, table_rows in expected.items():
        assert remaining[name] == table_rows, name


def test_scanner_finds_the_listener_before_and_not_after(worlds: Worlds, erased: tuple[Path, Process]) -> None:
    before = {str(trace.path.relative_to(worlds.with_ada)): trace.where for trace in traces(worlds.with_ada, ADA)}
    for place in ("lake/events/raw_listens/", "lake/derived/recording_plays/", "dagster/history/runs.db"):
        assert any(path.startswith(place) for path in before), place
    assert any("_delta_log" in path for path in before)
    assert {"landing/listens/dump.zip", "landing/listens/listenbrainz/ada"} <= before.keys()
    assert traces(erased[0], ADA) == []


def test_other_listeners_are_kept(worlds: Worlds, erased: tuple[Path, Process]) -> None:
    for who in (BOB, *SIMILAR_NAMES, RENEE):
        assert traces(erased[0], who), who
    raw = table(erased[0], "events/raw_listens")
    assert set(raw["user_id"].to_pylist()) == {BOB, *SIMILAR_NAMES, RENEE}
    assert "ada" in raw["artist_name"].to_pylist()


def test_no_file_has_the_name_as_a_listener(erased: tuple[Path, Process]) -> None:
    """Search without the scanner: for the name as a JSON value, or in a column of listeners."""
    data, _ = erased
    for path in (p for p in data.rglob("*") if p.is_file()):
        content = path.read_bytes()
        for needle in (b'"user_name": "ada"', b'"listener": "ada"', b'\\"listener\\": \\"ada\\"', *ADAS_FILES):
            assert needle not in content, path
    for name in tables(data):
        for column in {"user_id", "listener", "creator"} & set(table(data, name).column_names):
            assert ADA not in table(data, name)[column].to_pylist(), name


def test_no_version_before_the_erasure_is_readable(erased: tuple[Path, Process]) -> None:
    for name in tables(erased[0]):
        assert_no_older_version(erased[0] / "lake" / name)


def assert_no_older_version(folder: Path) -> None:
    """Check that a table's folder has only the newest version."""
    from deltalake import DeltaTable

    newest = DeltaTable(str(folder))
    live = {f["path"] for f in pa.table(newest.get_add_actions()).to_pylist()}
    assert {p.name for p in folder.glob("*.parquet")} == live
    assert all(p.name[:20] >= f"{newest.version():020d}" for p in (folder / "_delta_log").glob("0*"))


def places(data: Path, name: str) -> list[str]:
    """Return the files and tables that contain a text."""
    found = [path for path in data.rglob("*") if path.is_file() and name.encode() in path.read_bytes()]
    return [path.relative_to(data).as_posix() for path in found] + [
        table_name for table_name in tables(data) if name in repr(table(data, table_name).to_pylist())
    ]


def test_no_file_has_an_artist_that_only_the_listener_played(worlds: Worlds, erased: tuple[Path, Process]) -> None:
    before = places(worlds.with_ada, ONLY_ADAS)
    assert "derived/display_names" in before
    assert any(place.startswith("dagster/history") for place in before)  # previews
    assert places(erased[0], ONLY_ADAS) == []


def test_prints_what_was_removed_and_what_is_out_of_reach(erased: tuple[Path, Process]) -> None:
    out = erased[1].out
    assert "Erased ada " in out
    assert "backups" in out
    assert "records of others redacted: 1" in out
    assert "landed files rewritten: 4" in out  # scrobbles, the dump, application events, social activities


def test_an_erasure_that_is_killed_at_every_step_resumes(
    worlds: Worlds, erased: tuple[Path, Process], tmp_path: Path
) -> None:
    """Regression: killed while tables were rebuilt, it left no plan, and nothing named the listener any more."""
    data = tmp_path / "data"
    shutil.copytree(worlds.with_ada, data)
    for step in STEPS:
        process = Process((sys.executable, "-c", KILL, *map(str, step)), data)
        assert process.code == -9, (step, process.out, process.err)
    assert (data / ".erasing.json").exists()
    worlds.erase(data).fine()
    assert_as_calm(data, erased[0])


@pytest.mark.parametrize("step", [("keep", 2), ("replace", 5), ("end_time_travel", 2)])
def test_an_erasure_that_is_killed_once_resumes(
    step: tuple[str, int], worlds: Worlds, erased: tuple[Path, Process], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(worlds.with_ada, data)
    assert Process((sys.executable, "-c", KILL, *map(str, step)), data).code == -9
    worlds.erase(data).fine()
    assert_as_calm(data, erased[0])


def assert_as_calm(data: Path, calm: Path) -> None:
    """Compare data with those of an erasure that was not killed."""
    assert contents(data) == contents(calm)
    assert traces(data, ADA) == []
    assert places(data, ONLY_ADAS) == []
    assert not (data / ".erasing.json").exists()
    for folder in ("landing", "exports", "artifacts"):
        assert files(data / folder) == files(calm / folder), folder
    for name in tables(data):
        assert_no_older_version(data / "lake" / name)


def test_an_unknown_listener_gives_one_line_and_changes_nothing(worlds: Worlds, tmp_path: Path) -> None:
    shutil.copytree(worlds.with_ada, tmp_path / "data")
    process = worlds.erase(tmp_path / "data", "nobody")
    assert (process.code, process.out) == (1, "")  # what erasing would remove is not described
    assert process.err.startswith("tutti: no data found for 'nobody'") and process.err.count("\n") == 1
    # Regression: a failed command counted as data of the listener, and every table lost its older versions.
    assert Process((*TUTTI, "export", "--listener", "nobody"), tmp_path / "data").code == 1
    process = worlds.erase(tmp_path / "data", "nobody")
    assert process.code == 1
    assert re.search(r"no data found .* \(\d+ rows of Dagster's history were redacted\)\n$", process.err)
    assert files(tmp_path / "data" / "lake") == files(worlds.with_ada / "lake")
    assert files(tmp_path / "data" / "landing") == files(worlds.with_ada / "landing")
    assert traces(tmp_path / "data", "nobody") == []  # nor in the record of that run


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file of a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_erases_nothing_without_confirmation(worlds: Worlds) -> None:
    before = contents(worlds.with_ada)
    process = Process((*TUTTI, "erase", "--listener", ADA), worlds.with_ada)
    assert process.code == 1
    assert process.err.startswith("tutti: nothing was erased")
    assert contents(worlds.with_ada) == before


@pytest.fixture
def copied(worlds: Worlds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the world with ada, for jobs of this process."""
    shutil.copytree(worlds.with_ada, tmp_path / "data")
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "data" / "dagster"))
    return tmp_path / "data"


def job(name: str, op: str, who: str = ADA, again: str | None = None) -> dg.ExecuteInProcessResult:
    """Run a job for a listener in this process. `again` is the second name of an erasure, by default the same."""
    config = {"listener": who} | ({"listener_again": again or who} if op == "erase" else {})
    with dg.DagsterInstance.get() as instance:
        return (
            build("laptop")
            .resolve_job_def(name)
            .execute_in_process(instance=instance, run_config={"ops": {op: {"config": config}}}, raise_on_error=False)
        )


def test_job_redacts_its_own_record_and_reports_the_changed_days(worlds: Worlds, copied: Path) -> None:
    result = job("erase_listener", "erase")
    assert result.success
    assert traces(copied, ADA) == []
    with dg.DagsterInstance.get() as instance:
        run = instance.get_run_by_id(result.run_id)
        assert run
        assert run.run_config["ops"]["erase"]["config"]["listener"] == "[erased]"
        events = instance.fetch_materializations(dg.AssetKey(["events", "raw_listens"]), limit=1_000).records
    days = {event.partition_key for event in events if event.run_id == result.run_id}
    days_of_ada = {
        str(day)
        for day in table(worlds.with_ada, "events/raw_listens")
        .filter(pa.compute.equal(table(worlds.with_ada, "events/raw_listens")["user_id"], ADA))["day"]
        .to_pylist()
    }
    assert days_of_ada <= days


def test_erases_a_name_with_quotes_and_unusual_letters(worlds: Worlds, copied: Path) -> None:
    assert len(traces(copied, RENEE)) > 10
    assert job("erase_listener", "erase", RENEE).success
    assert traces(copied, RENEE) == []
    assert ADA in table(copied, "events/raw_listens")["user_id"].to_pylist()


def test_files_that_vanish_after_they_are_listed_are_skipped(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: SQLite removed the file with the suffix -shm of a database, and the erasure failed."""
    walk, vanished = os.walk, ["index.db-shm", "index.db-wal", "gone.db", "gone.json", ".gone.without"]

    def walk_and_list_more(*args: Any, **kwargs: Any) -> Iterator[tuple[str, list[str], list[str]]]:
        for place, folders, names in walk(*args, **kwargs):
            yield place, folders, [*names, *(name for name in vanished if name not in names)]

    monkeypatch.setattr(os, "walk", walk_and_list_more)
    assert job("erase_listener", "erase").success
    monkeypatch.undo()
    assert traces(copied, ADA) == []


def test_removes_all_versions_of_artifacts_with_their_data_only(worlds: Worlds, copied: Path) -> None:
    artifacts = Artifacts(Storage.at(copied / "artifacts"))
    for n in range(2):
        artifacts.publish("derived/taste", Artifact({"factors": b"%d" % n}), personal=True)
        artifacts.publish(
            "derived/page", Artifact({"page.json": b'{"user_id": "ada"}', "n": b"%d" % n}), personal=False
        )
        artifacts.publish("content/sounds", Artifact({"index": b"%d" % n}), personal=False)
    assert not job("erase_listener", "erase", "nobody").success  # an unknown name removes nothing
    assert not job("erase_listener", "erase", again="Ada").success  # nor does a second name that differs
    assert artifacts.all() == ["content/sounds", "derived/page", "derived/taste"]
    assert job("erase_listener", "erase").success
    assert artifacts.all() == ["content/sounds"]
    assert artifacts.read("content/sounds").files == {"index": b"1"}
    assert traces(copied, ADA) == []


def test_packs_are_rewritten_without_duplicating_other_listeners(worlds: Worlds, copied: Path) -> None:
    lake, landing = Lake(copied / "lake"), Landing(root=str(copied / "landing"))
    assert len(list(packing.pack(landing, lake, datetime.now(UTC)))) == 1
    (pack,) = (copied / "landing" / "listens" / "scrobbles").glob("*.gz")
    assert pack in {trace.path for trace in traces(copied, ADA)}
    assert job("erase_listener", "erase").success
    assert traces(copied, ADA) == []
    assert without_line_numbers(rows(copied, "events/raw_listens")) == without_line_numbers(
        rows(worlds.without, "events/raw_listens")
    )
    assert {f for f in landing.list_files("listens") if f.path.endswith(pack.name)} <= read_imported_files(lake)


def without_line_numbers(pack_rows: list[Row]) -> list[Row]:
    """Return rows without their line numbers, which a rewritten pack keeps."""
    excluded = {"record", *VOLATILE}
    return sorted(({k: v for k, v in row.items() if k not in excluded} for row in pack_rows), key=repr)


def test_job_fails_with_the_places_that_still_name_the_listener(worlds: Worlds, copied: Path) -> None:
    (copied / "notes.db").write_bytes(b"")
    with sqlite3.connect(copied / "notes.db") as notes:  # not a file of Tutti, so it must not change it
        notes.execute("CREATE TABLE notes (user_name TEXT)")
        notes.execute("INSERT INTO notes VALUES ('ada')")
    result = job("erase_listener", "erase")
    assert not result.success
    assert "notes.db (notes.user_name)" in str(result.failure_data_for_node("erase"))
    (copied / "notes.db").unlink()
    assert job("erase_listener", "erase").success


def test_waits_for_active_runs_and_blocks_new_ones(copied: Path, worlds: Worlds) -> None:
    with shared_lock(copied):
        process = worlds.erase(copied)
        deadline = time.monotonic() + 120
        while not (waits := is_locked(copied)) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert waits
        assert traces(copied, ADA)  # nothing is removed during this run
    process.fine()
    assert traces(copied, ADA) == []
    with exclusive_lock(copied, print):
        run = Process((*TUTTI, "export", "--listener", BOB), copied)
        time.sleep(5)
        assert run.started.poll() is None
        assert not list((copied / "exports").glob("bob*"))
    run.fine()


def is_locked(data: Path) -> bool:
    """Return whether a process holds or awaits the exclusive lock. Another process asks, since this one shares it."""
    code = "import sys, pathlib, resources.locks as a\nwith a.shared_lock(pathlib.Path(sys.argv[1]), wait=False): pass"
    return Process((sys.executable, "-c", code, str(data)), data).code != 0


def test_an_export_has_all_their_data_and_only_its_owner_can_read_it(worlds: Worlds, copied: Path) -> None:
    assert job("export_listener", "export").success
    (path,) = (copied / "exports").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    raw = table(copied, "events/raw_listens")
    with zipfile.ZipFile(path) as archive:
        members = [n for n in archive.namelist() if n.startswith("listens/")]
        count = sum(len(archive.read(n).splitlines()) for n in members)
        content = b"".join(archive.read(n) for n in archive.namelist())
    assert count == raw["user_id"].to_pylist().count(ADA)
    assert BOB.encode() not in b"".join(line for line in content.splitlines() if b"follow" not in line)
    assert path in {trace.path for trace in traces(copied, ADA)}
    assert job("erase_listener", "erase").success
    assert list((copied / "exports").iterdir()) == []
