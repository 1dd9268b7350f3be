"""Erasure and export of a person: nothing of them is left, and all else is as if they had never been there."""

import json
import os
import re
import shutil
import sqlite3
import sys
import time
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from assets.imports import packing
from assets.imports.batch import seen
from orchestration.definitions import build
from orchestration.privacy.erasure import scanner
from resources.artifacts.artifacts import Artifact, Artifacts
from resources.folders.landing import Landing
from resources.lake.lake import Lake
from resources.locks import exclusive_lock, shared_lock
from resources.privacy.scanner import Trace
from resources.storage import Storage
from tests.orchestration.support import TUTTI, Process, Row, rows, table, tables, told

ADA, BOB, OTHERS = "ada", "bob", ("ada2", "Adagio for Strings")
RENEE = 'Renée "R" O\'Neil ♫'
MADE_NEW = ("imported_at", "seen_at", "modified_at", "bytes", "import_id", "canonical_import_id")
START = 1_709_280_000  # 2024-03-01

PREPARE = """
import json, sys
from orchestration.instance.home import dagster_home
dagster_home()
from orchestration.cli.runner import Runner
runner = Runner()
for listener, file in json.loads(sys.argv[1]):
    runner.run("import_listens", config={"imports": {"config": {"listener": listener, "files": [file]}}})
runner.take({})
"""
KILL = """
import os, signal, sys
what, times = sys.argv[1], int(sys.argv[2])
from orchestration.instance.home import dagster_home
dagster_home()
from resources.privacy import database, files
from resources.lake.lake import Lake
from resources.storage import Storage
owner = {"rewrite": Lake, "drop_history": Lake, "take_out": files, "strike": database}[what]
whole, calls = getattr(owner, what), 0
def cut(*args, **kwargs):
    global calls
    calls += 1
    if calls == times:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*args, **kwargs)
setattr(owner, what, cut)
from orchestration.cli.runner import Runner
Runner().run("erase_listener", config={"erase": {"config": {"listener": "ada"}}})
"""


HER_FILES = (b"history_of_ada", b"the_same_once_more")


def listen(n: int, who: str | None = None, artist: str = "Clara Example", client: str | None = None) -> Row:
    """The nth listen of somebody, as ListenBrainz tells it."""
    info: Row = {"duration_played": 200} | ({"submission_client": client} if client else {})
    names: Row = {"artist_name": artist, "track_name": f"Song {n % 5}", "additional_info": info}
    return {"listened_at": START + n * 1_000, "track_metadata": names} | ({"user_name": who} if who else {})


def lines(records: list[Row]) -> str:
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records)


def hand_in(folder: Path, data: Path, without: str | None = None) -> list[tuple[str, str]]:
    """Files of several people, as they are handed in and land; of one person nothing, if that is asked for."""

    def of(records: list[Row]) -> list[Row]:
        return [r for r in records if r.get("user_name") != without]

    folder.mkdir()
    landing = data / "landing" / "listens"
    (landing / "scrobbles").mkdir(parents=True)
    own = {}
    for who in (ADA, BOB, RENEE):
        own[who] = folder / f"history_of_{'r' if who == RENEE else who}.jsonl"
        artist = "ada" if who == BOB else "Clara Example"  # whom bob hears is called like a listener
        feedback = {"recording_msid": "9cb0b6f0-8a5e-4e2d-9c6a-1d4f1f2a5b6c", "score": 1, "created": START}
        own[who].write_text(
            lines([listen(n * 7, None, artist, "player") for n in range(60)]) + "{broken\n" + lines([feedback])
        )
    people = (ADA, BOB, *OTHERS)
    shared = [listen(n * 3 + 1, people[n % 4]) for n in range(60)]
    (landing / "scrobbles" / "20240301T000000.000000Z-0a.jsonl").write_text(lines(of(shared)))
    single_file = of([listen(n * 11 + 2, ADA) for n in range(10)])
    if single_file:
        (landing / "scrobbles" / "20240301T000001.000000Z-0b.jsonl").write_text(lines(single_file))
        pulled = landing / "listenbrainz" / ADA / "2024-03-01...2024-03-02"
        pulled.mkdir(parents=True)
        (pulled / "20240301T000000Z-00.jsonl").write_text(lines([listen(n * 13 + 5, ADA) for n in range(9)]))
        (pulled.parent / ".pull.json").write_text(json.dumps({"done": ["2024-03-01...2024-03-02"], "cursors": {}}))
    with zipfile.ZipFile(landing / "dump.zip", "w") as dump:
        dump.writestr("listens/1.jsonl", lines(of([listen(n * 17 + 3, people[n % 2], "ada") for n in range(20)])))
        if single_file:
            dump.writestr("listens/2.jsonl", lines([listen(n * 19 + 4, ADA) for n in range(5)]))
    for path in (landing / "scrobbles").iterdir():
        os.utime(path, (START, START))  # long ago: it is packed
    done = [
        {"event": event, "event_id": f"{n}", "user_id": people[n % 2], "timestamp": START + n * 60, "properties": {}}
        for n, event in enumerate(("play", "play", "skip", "like", "play", "page view"))
    ]
    (data / "landing" / "app_events").mkdir()
    (data / "landing" / "app_events" / "a.jsonl").write_text(lines([e for e in done if e["user_id"] != without]))
    follows = [(ADA, BOB), (BOB, ADA), (BOB, "ada2"), ("ada2", BOB)]
    told = [
        {"type": "Follow", "actor": a, "object": b, "published": "2024-03-01T12:00:00Z"}
        for a, b in follows
        if without not in (a, b)
    ]
    (data / "landing" / "social").mkdir()
    (data / "landing" / "social" / "b.jsonl").write_text(lines(told))
    again = folder / "the_same_once_more.jsonl"
    shutil.copyfile(own[ADA], again)
    return [(who, str(file)) for who, file in (*own.items(), (ADA, again)) if who != without]


@dataclass
class Both:
    """A world with ada in it, and the same without."""

    with_ada: Path
    without: Path

    def erase(self, data: Path, who: str = ADA) -> Process:
        return Process((*TUTTI, "erase", "--listener", who, "--yes"), data)


def traces(data: Path, who: str) -> list[Trace]:
    """Where somebody is named, in a data folder that may have been copied."""
    return list(scanner(who, data, data / "dagster").traces())


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Two worlds, materialized once: erasing asks no engine for anything."""
    made = []
    for name, gone in (("with", None), ("without", ADA)):
        folder = tmp_path_factory.mktemp(name)
        given = hand_in(folder / "files", folder / "data", gone)
        command = (sys.executable, "-c", PREPARE, json.dumps(given))
        made.append((folder / "data", Process(command, folder / "data")))
    for _, process in made:
        process.fine()
    return Both(made[0][0], made[1][0])


@pytest.fixture(scope="module")
def erased(both: Both, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Process]:
    """A copy of the world from which ada was erased by the command."""
    data = tmp_path_factory.mktemp("erased") / "data"
    shutil.copytree(both.with_ada, data)
    noted = data / "stream" / "listens" / "offsets"
    noted.mkdir(parents=True)
    (noted / "0").write_text(json.dumps({"files": [["listens/listenbrainz/ada/x.jsonl", 1, 1]]}))
    return data, both.erase(data).fine()


def contents(data: Path) -> dict[str, list[Row]]:
    """Every row of every table, but for what says when and of which bytes it was made."""
    return {name: found for name, found in told(data, MADE_NEW).items() if found}


def test_all_that_is_left_is_what_there_would_be_had_they_never_been(both: Both, erased: tuple[Path, Process]) -> None:
    data, _ = erased
    found, wanted = contents(data), contents(both.without)
    assert found.keys() == wanted.keys()
    for name, made in wanted.items():
        assert found[name] == made, name


def test_the_scanner_finds_them_in_every_kind_of_place_before_and_nowhere_after(
    both: Both, erased: tuple[Path, Process]
) -> None:
    before = {str(trace.path.relative_to(both.with_ada)): trace.where for trace in traces(both.with_ada, ADA)}
    for place in ("lake/events/raw_listens/", "lake/derived/recording_plays/", "dagster/history/runs.db"):
        assert any(path.startswith(place) for path in before), place
    assert any("_delta_log" in path for path in before)
    assert {"landing/listens/dump.zip", "landing/listens/listenbrainz/ada"} <= before.keys()
    assert traces(erased[0], ADA) == []


def test_others_are_named_as_before(both: Both, erased: tuple[Path, Process]) -> None:
    for who in (BOB, *OTHERS, RENEE):
        assert traces(erased[0], who), who
    raw = table(erased[0], "events/raw_listens")
    assert set(raw["user_id"].to_pylist()) == {BOB, *OTHERS, RENEE}
    assert "ada" in raw["artist_name"].to_pylist()


def test_no_file_holds_the_persons_letters_but_where_they_mean_something_else(erased: tuple[Path, Process]) -> None:
    """Looked for with no help from the scanner: as a value of JSON, or as a name in a column."""
    data, _ = erased
    for path in (p for p in data.rglob("*") if p.is_file()):
        content = path.read_bytes()
        for letters in (b'"user_name": "ada"', b'"listener": "ada"', b'\\"listener\\": \\"ada\\"', *HER_FILES):
            assert letters not in content, path
    for name in tables(data):
        for column in {"user_id", "listener", "creator"} & set(table(data, name).column_names):
            assert ADA not in table(data, name)[column].to_pylist(), name


def test_no_version_before_the_erasure_can_be_read(erased: tuple[Path, Process]) -> None:
    from deltalake import DeltaTable

    data, _ = erased
    for name in tables(data):
        folder = data / "lake" / name
        newest = DeltaTable(str(folder))
        live = {f["path"] for f in pa.table(newest.get_add_actions()).to_pylist()}
        assert {p.name for p in folder.glob("*.parquet")} == live
        assert all(p.name[:20] >= f"{newest.version():020d}" for p in (folder / "_delta_log").glob("0*"))


def test_what_went_is_told_and_what_is_out_of_reach(erased: tuple[Path, Process]) -> None:
    out = erased[1].out
    assert "Erased ada " in out
    assert "backups" in out
    assert "landed files rewritten: 4" in out  # the intake's, the dump, application events, a network's


def test_an_erasure_that_was_killed_twice_goes_on_when_it_is_run_again(both: Both, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(both.with_ada, data)
    for what, times in (("rewrite", 4), ("strike", 2)):  # amid the tables; once more, amid Dagster's history
        assert Process((sys.executable, "-c", KILL, what, str(times)), data).code == -9
        assert traces(data, ADA)
    both.erase(data).fine()
    assert traces(data, ADA) == []
    assert contents(data) == contents(both.without)


def test_nobody_of_that_name_is_told_in_one_line_and_nothing_changes(both: Both, tmp_path: Path) -> None:
    shutil.copytree(both.with_ada, tmp_path / "data")
    process = both.erase(tmp_path / "data", "nobody")
    assert (process.code, process.out) == (1, "")  # what erasing would remove is not described
    assert process.err.startswith("tutti: no data found for 'nobody'") and process.err.count("\n") == 1
    # Regression: a failed command counted as data of the listener, and every table lost its older versions.
    assert Process((*TUTTI, "export", "--listener", "nobody"), tmp_path / "data").code == 1
    process = both.erase(tmp_path / "data", "nobody")
    assert process.code == 1
    assert re.search(r"no data found .* \(\d+ rows of Dagster's history were redacted\)\n$", process.err)
    assert files(tmp_path / "data" / "lake") == files(both.with_ada / "lake")
    assert files(tmp_path / "data" / "landing") == files(both.with_ada / "landing")
    assert traces(tmp_path / "data", "nobody") == []  # not even in the record of that run


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, with what is in it."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_without_an_answer_nothing_is_erased(both: Both) -> None:
    before = contents(both.with_ada)
    process = Process((*TUTTI, "erase", "--listener", ADA), both.with_ada)
    assert process.code == 1
    assert process.err.startswith("tutti: nothing was erased")
    assert contents(both.with_ada) == before


@pytest.fixture
def copied(both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the world with ada in it, which the jobs of this process work on."""
    shutil.copytree(both.with_ada, tmp_path / "data")
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "data" / "dagster"))
    return tmp_path / "data"


def job(name: str, op: str, who: str = ADA) -> dg.ExecuteInProcessResult:
    """A job run on somebody, in this process."""
    with dg.DagsterInstance.get() as instance:
        return (
            build("laptop")
            .resolve_job_def(name)
            .execute_in_process(
                instance=instance, run_config={"ops": {op: {"config": {"listener": who}}}}, raise_on_error=False
            )
        )


def test_the_job_leaves_no_name_in_its_own_record_either_and_says_which_days_are_owed(both: Both, copied: Path) -> None:
    done = job("erase_listener", "erase")
    assert done.success
    assert traces(copied, ADA) == []
    with dg.DagsterInstance.get() as instance:
        run = instance.get_run_by_id(done.run_id)
        assert run
        assert run.run_config["ops"]["erase"]["config"]["listener"] == "[erased]"
        events = instance.fetch_materializations(dg.AssetKey(["events", "raw_listens"]), limit=1_000).records
    days = {event.partition_key for event in events if event.run_id == done.run_id}
    heard = {
        str(day)
        for day in table(both.with_ada, "events/raw_listens")
        .filter(pa.compute.equal(table(both.with_ada, "events/raw_listens")["user_id"], ADA))["day"]
        .to_pylist()
    }
    assert heard <= days


def test_a_name_with_quotes_and_letters_of_all_kinds_goes_too(both: Both, copied: Path) -> None:
    assert len(traces(copied, RENEE)) > 10
    assert job("erase_listener", "erase", RENEE).success
    assert traces(copied, RENEE) == []
    assert ADA in table(copied, "events/raw_listens")["user_id"].to_pylist()


def test_artifacts_that_hold_their_data_go_with_all_versions_and_others_stay(both: Both, copied: Path) -> None:
    artifacts = Artifacts(Storage.at(copied / "artifacts"))
    for n in range(2):
        artifacts.publish("derived/taste", Artifact({"factors": b"%d" % n}), personal=True)
        artifacts.publish(
            "derived/page", Artifact({"page.json": b'{"user_id": "ada"}', "n": b"%d" % n}), personal=False
        )
        artifacts.publish("content/sounds", Artifact({"index": b"%d" % n}), personal=False)
    assert not job("erase_listener", "erase", "nobody").success  # a name that is not known removes nothing
    assert artifacts.all() == ["content/sounds", "derived/page", "derived/taste"]
    assert job("erase_listener", "erase").success
    assert artifacts.all() == ["content/sounds"]
    assert artifacts.read("content/sounds").files == {"index": b"1"}
    assert traces(copied, ADA) == []


def test_packs_are_written_anew_and_what_they_hold_of_others_is_not_taken_in_twice(both: Both, copied: Path) -> None:
    lake, landing = Lake(copied / "lake"), Landing(root=str(copied / "landing"))
    assert len(list(packing.pack(landing, lake, datetime.now(UTC)))) == 1
    (pack,) = (copied / "landing" / "listens" / "scrobbles").glob("*.gz")
    assert pack in {trace.path for trace in traces(copied, ADA)}
    assert job("erase_listener", "erase").success
    assert traces(copied, ADA) == []
    assert placeless(rows(copied, "events/raw_listens")) == placeless(rows(both.without, "events/raw_listens"))
    assert {f for f in landing.list_files("listens") if f.path.endswith(pack.name)} <= seen(lake)


def placeless(found: list[Row]) -> list[Row]:
    """Rows without the line at which they stood: what is left of a pack keeps the numbers it had."""
    apart = {"record", *MADE_NEW}
    return sorted(({k: v for k, v in row.items() if k not in apart} for row in found), key=repr)


def test_what_still_names_them_fails_the_job_and_is_told(both: Both, copied: Path) -> None:
    (copied / "notes.db").write_bytes(b"")
    with sqlite3.connect(copied / "notes.db") as notes:  # what no part of the platform wrote, nor may write to
        notes.execute("CREATE TABLE notes (user_name TEXT)")
        notes.execute("INSERT INTO notes VALUES ('ada')")
    done = job("erase_listener", "erase")
    assert not done.success
    told = str(done.failure_data_for_node("erase"))
    assert "notes.db (notes.user_name)" in told
    (copied / "notes.db").unlink()
    assert job("erase_listener", "erase").success


def test_it_waits_for_runs_at_work_and_others_wait_for_it(copied: Path, both: Both) -> None:
    with shared_lock(copied):
        process = both.erase(copied)
        deadline = time.monotonic() + 120
        while not (waits := waited_for(copied)) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert waits
        assert traces(copied, ADA)  # nothing went while this run is at work
    process.fine()
    assert traces(copied, ADA) == []
    with exclusive_lock(copied, print):
        run = Process((*TUTTI, "export", "--listener", BOB), copied)
        time.sleep(5)
        assert run.started.poll() is None
        assert not list((copied / "exports").glob("bob*"))
    run.fine()


def waited_for(data: Path) -> bool:
    """Whether somebody is alone, or waits to be: asked by another process, since this one shares already."""
    code = "import sys, pathlib, resources.locks as a\nwith a.sharing(pathlib.Path(sys.argv[1]), wait=False): pass"
    return Process((sys.executable, "-c", code, str(data)), data).code != 0


def test_an_export_holds_all_that_is_theirs_and_nobody_else_may_read_it(both: Both, copied: Path) -> None:
    assert job("export_listener", "export").success
    (path,) = (copied / "exports").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    raw = table(copied, "events/raw_listens")
    with zipfile.ZipFile(path) as archive:
        members = [n for n in archive.namelist() if n.startswith("listens/")]
        count = sum(len(archive.read(n).splitlines()) for n in members)
        whole = b"".join(archive.read(n) for n in archive.namelist())
    assert count == raw["user_id"].to_pylist().count(ADA)
    assert BOB.encode() not in b"".join(line for line in whole.splitlines() if b"follow" not in line)
    assert path in {trace.path for trace in traces(copied, ADA)}
    assert job("erase_listener", "erase").success
    assert list((copied / "exports").iterdir()) == []
