"""The command line: imports of a listener's history, backfills, and error messages."""

import json
import shutil
import sqlite3
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from assets.tables import SCHEMAS
from orchestration.__main__ import main
from orchestration.cadence import ALL_TIME, Cadence
from orchestration.cli import ui
from resources.lake.lake import Lake
from resources.span import Span, stored
from tests.orchestration.support import (
    DAGSTER,
    DG,
    TUTTI,
    Process,
    Row,
    free_port,
    platform,
    rows,
    rows_by_table,
    table,
    tables,
    versions,
)

# None of these may be stored: addresses from the ranges for documentation, and invented names.
PERSONAL = ("203.0.113.77", "2001:db8::7e57", "PlantedAgent", "planted_account")
EACH_DAY = (
    "events/listens",
    "events/sessions",
    "events/daily_listening",
    "derived/recording_plays",
    "derived/artist_plays",
    "derived/display_names",
)
DAILY = (*EACH_DAY, "derived/charts_daily")


def play(ended: str, track: str | None, artist: str | None = "Clara Example", **other: Any) -> Row:
    """Return a record of Spotify's extended streaming history."""
    return {
        "ts": ended,
        "username": "planted_account",
        "platform": "android",
        "ms_played": 180_000,
        "conn_country": "DE",
        "ip_addr_decrypted": "203.0.113.77",
        "ip_addr": "2001:db8::7e57",
        "user_agent_decrypted": "PlantedAgent/8.4 Android",
        "master_metadata_track_name": track,
        "master_metadata_album_artist_name": artist,
        "master_metadata_album_album_name": "Études",
        "spotify_track_uri": "spotify:track:6RjKVXi31fui9m4dbiGRrL",
        "episode_name": None,
        "offline_timestamp": None,
    } | other


RECORDS = [
    play("2024-02-20T10:03:00Z", "Overture"),  # far from the other days
    play("2024-03-01T10:03:00Z", "Prelude"),
    play("2024-03-01T10:06:00Z", "Fugue"),
    play("2024-03-01T18:03:00Z", "Prelude"),
    play("2024-03-02T00:01:00Z", "Prelude"),  # started the day before
    play("2024-03-02T10:03:00Z", "Gigue", "Ensemble Example"),
    play("2024-03-02T10:06:00Z", None, None, episode_name="An episode"),
    play("yesterday from 203.0.113.77", "Prelude", conn_country="2001:db8::7e57"),
]
TRUNCATED = [play("2024-03-02T12:03:00Z", "Gigue", "Ensemble Example"), play("2024-03-02T12:06:00Z", "Lost")]


def exported(folder: Path) -> list[str]:
    """Write two files of one listener. The second is truncated in the middle of a record."""
    folder.mkdir()
    complete, truncated = folder / "Streaming_History_Audio_2024_0.json", folder / "Streaming_History_Audio_2024_1.json"
    complete.write_text(json.dumps(RECORDS))
    text = json.dumps(TRUNCATED)
    truncated.write_text(text[: text.index("Lost")])  # after the address, the agent and the account
    return [str(complete), str(truncated)]


@dataclass
class Import:
    """An import: its process, data folder and files."""

    process: Process
    data: Path
    files: list[str]


@pytest.fixture(scope="module")
def ada(tmp_path_factory: pytest.TempPathFactory) -> Import:
    """Ada's history, imported once. Tests copy it to change it."""
    folder = tmp_path_factory.mktemp("ada")
    data, files = folder / "data", exported(folder / "exports")
    return Import(Process((*TUTTI, "import", "--listener", "ada", "--", *files), data).fine(), data, files)


def test_import_reports_listens_and_quarantined_records(ada: Import) -> None:
    assert "Streaming_History_Audio_2024_0.json: 6 listens, 1 quarantined, 1 skipped\n" in ada.process.out
    assert "Streaming_History_Audio_2024_1.json: 1 listen, 1 quarantined\n" in ada.process.out
    assert "\nlistens: 7 new\nquarantined: 2 records" in ada.process.out


def test_listens_plays_and_sessions_are_by_listener_and_utc_day(ada: Import) -> None:
    listens = rows(ada.data, "events/listens")
    assert {r["user_id"] for r in listens} == {"ada"}
    found = sorted((str(r["day"]), f"{r['listened_at']:%H:%M}", r["recording_name"]) for r in listens)
    assert found == [
        ("2024-02-20", "10:00", "Overture"),
        ("2024-03-01", "10:00", "Prelude"),
        ("2024-03-01", "10:03", "Fugue"),
        ("2024-03-01", "18:00", "Prelude"),
        ("2024-03-01", "23:58", "Prelude"),
        ("2024-03-02", "10:00", "Gigue"),
        ("2024-03-02", "12:00", "Gigue"),
    ]
    plays = rows(ada.data, "derived/recording_plays")
    assert sorted((str(r["day"]), r["user_id"], r["plays"]) for r in plays) == [
        ("2024-02-20", "ada", 1),
        ("2024-03-01", "ada", 1),
        ("2024-03-01", "ada", 3),
        ("2024-03-02", "ada", 2),
    ]
    sessions = rows(ada.data, "events/sessions")
    assert sorted((str(r["day"]), r["user_id"], r["listens"]) for r in sessions) == [
        ("2024-02-20", "ada", 1),
        ("2024-03-01", "ada", 1),
        ("2024-03-01", "ada", 1),
        ("2024-03-01", "ada", 2),
        ("2024-03-02", "ada", 1),
        ("2024-03-02", "ada", 1),
    ]


@pytest.mark.parametrize(
    ("chart", "starts"),
    [("weekly", "2024-02-26"), ("monthly", "2024-03-01")],
)
def test_longer_charts_are_built(ada: Import, chart: str, starts: str) -> None:
    found = [r for r in rows(ada.data, f"derived/charts_{chart}") if r["entity"] == "recording"]
    top = sorted((str(r["period_start"]), r["rank"], r["plays"], r["name"], r["listeners"]) for r in found)
    assert top[1:] == [
        (starts, 1, 3, "Clara Example – Prelude", 1),
        (starts, 2, 2, "Ensemble Example – Gigue", 1),
        (starts, 3, 1, "Clara Example – Fugue", 1),
    ]
    assert top[0][1:] == (1, 1, "Clara Example – Overture", 1)
    assert top[0][0] < starts


@pytest.mark.parametrize(("chart", "starts"), [("yearly", "2024-01-01"), ("all_time", "2002-10-01")])
def test_yearly_and_all_time_charts_have_all_listens(ada: Import, chart: str, starts: str) -> None:
    found = [r for r in rows(ada.data, f"derived/charts_{chart}") if r["entity"] == "recording"]
    assert {str(r["period_start"]) for r in found} == {starts}
    assert sorted((r["plays"], r["name"].split(" – ")[1]) for r in found) == [
        (1, "Fugue"),
        (1, "Overture"),
        (2, "Gigue"),
        (3, "Prelude"),
    ]


def test_daily_charts_have_the_listens_of_each_day(ada: Import) -> None:
    found = {(str(r["period_start"]), r["name"]): r for r in rows(ada.data, "derived/charts_daily")}
    assert sorted(found) == [
        ("2024-02-20", "Clara Example"),
        ("2024-02-20", "Clara Example – Overture"),
        ("2024-03-01", "Clara Example"),
        ("2024-03-01", "Clara Example – Fugue"),
        ("2024-03-01", "Clara Example – Prelude"),
        ("2024-03-02", "Ensemble Example"),
        ("2024-03-02", "Ensemble Example – Gigue"),
    ]
    assert all(r["previous_rank"] is None for r in found.values())


def test_a_truncated_file_is_imported_up_to_the_cut(ada: Import) -> None:
    quarantined = {r["file"]: r for r in rows(ada.data, "events/quarantine")}
    assert quarantined.keys() == {Path(f).name for f in ada.files}
    malformed, truncated = (quarantined[f"Streaming_History_Audio_2024_{n}.json"] for n in (0, 1))
    assert "cut" in truncated["reason"] or "end" in truncated["reason"]
    assert truncated["record"] == 1
    assert malformed["record"] == 7
    assert malformed["reason"].startswith("ts is not a UTC time")


def test_no_ip_address_user_agent_or_account_is_stored(ada: Import) -> None:
    texts = list(_texts(ada.data))
    suffixes = {Path(path).suffix for path, _ in texts}
    assert {".parquet", ".db", ".json"} <= suffixes  # tables, runs and their logs are among them
    assert not [(path, word) for path, text in texts for word in PERSONAL if word in text]
    printed = ada.process.out + ada.process.err
    assert not [word for word in PERSONAL if word in printed]


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield every file's path with its bytes as text and, for Parquet and SQLite, its rows."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        yield str(path), path.read_bytes().decode("utf-8", "replace")
        if path.suffix == ".parquet":
            yield str(path), repr(pq.read_table(path).to_pylist())
        elif path.suffix == ".db":
            with sqlite3.connect(path) as base:
                names = [n for (n,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
                for name in names:
                    yield str(path), repr(base.execute(f'SELECT * FROM "{name}"').fetchall())


def test_importing_again_changes_no_table_and_says_so(ada: Import) -> None:
    before, versions_before = rows_by_table(ada.data, ()), versions(ada.data)
    again = Process((*TUTTI, "import", "--listener", "ada", "--", *ada.files), ada.data).fine()
    assert "(already imported)" in again.out
    assert "\nlistens: " not in again.out and "quarantined: " not in again.out
    assert again.out.splitlines()[-1].startswith("No new listens")
    assert versions(ada.data) == versions_before
    assert rows_by_table(ada.data, ()) == before


# Mistakes of the user.


def _unsupported(folder: Path) -> str:
    path = folder / "holiday.json"
    path.write_text('[{"title": "a postcard"}]')
    return str(path)


def _folder(folder: Path) -> str:
    (folder / "exports").mkdir()
    return str(folder / "exports")


def _bomb(folder: Path) -> str:
    path = folder / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("endsong_0.json", "w") as file:
        file.write(b"[" + json.dumps(RECORDS[0]).encode() + b",")
        for _ in range(300):
            file.write(b" " * (1 << 20))
        file.write(json.dumps(RECORDS[1]).encode() + b"]")
    return str(path)


def _outside(folder: Path) -> str:
    path = folder / "outside.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("endsong_0.json", json.dumps(RECORDS))
        archive.writestr("../../endsong_1.json", json.dumps(RECORDS))
    return str(path)


MISTAKES = {
    "an unsupported file": (_unsupported, "not in a supported format"),
    "a folder": (_folder, "no supported export"),
    "a zip bomb": (_bomb, "unpacks to far more"),
    "a zip with a path outside it": (_outside, "leads out of the archive"),
}


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Process]:
    """Run every mistake at the same time."""
    processes = {}
    for name, (make, _) in MISTAKES.items():
        folder = tmp_path_factory.mktemp("mistake")
        command = (*TUTTI, "import", "--listener", "ada", "--", make(folder))
        processes[name] = Process(command, folder / "data")
    return processes


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_prints_one_line_and_imports_nothing(mistaken: dict[str, Process], mistake: str) -> None:
    process, expected = mistaken[mistake], MISTAKES[mistake][1]
    assert process.code == 1
    assert process.err.count("\n") == 1, process.err
    assert process.err.startswith("tutti: ")
    assert "resources." not in process.err  # class names mean nothing to a user
    assert expected in process.err
    assert not [n for n in tables(process.data) if len(table(process.data, n))]


def test_tuttis_own_tables_are_not_imported(ada: Import, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(ada.data, data)
    process = Process((*TUTTI, "import", "--listener", "eve", "--", str(data)), data)
    assert process.code == 1
    assert f"tutti: {data} contains Tutti's own data" in process.err


def test_skipped_files_of_a_folder_are_repeated_at_the_end(tmp_path: Path) -> None:
    exported(tmp_path / "exports")
    _unsupported(tmp_path / "exports")
    process = Process((*TUTTI, "import", "--listener", "ada", "--", str(tmp_path / "exports")), tmp_path / "data")
    last = process.fine().out.split("skipped 1 file, which cannot be imported:")[1]
    assert "holiday.json is not in a supported format" in last and "listens: " not in last


def test_an_unsupported_file_does_not_hold_up_the_others(tmp_path: Path) -> None:
    files = exported(tmp_path / "exports")
    files.insert(1, _unsupported(tmp_path))
    process = Process((*TUTTI, "import", "--listener", "ada", "--", *files), tmp_path / "data")
    assert process.code == 1
    assert "not in a supported format" in process.err
    assert sum(r["plays"] for r in rows(process.data, "derived/recording_plays")) == 7


DAYS = ("--from", "2024-01-01", "--to", "2024-01-02")
EMPTY = "no data in {data}. Import something first, or set DATA to the right folder."


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (("ui", "--port", "abc"), "invalid port 'abc': expected 1 to 65535, for example `make ui PORT=3001`"),
        (("ui", "--port", "70000"), "invalid port '70000'"),
        (("mock-services", "--port", ""), "invalid port ''"),
        (
            ("mock-services", "--fault-rate", "abc"),
            "invalid fault rate 'abc': expected 0 to 1, for example `make mock-services FAULT_RATE=0.2`",
        ),
        (("mock-services", "--fault-rate", "7"), "invalid fault rate '7'"),
        (("generate-listens", "--listens", "1e6"), "invalid number of listens '1e6'"),
        (("pull-metadata", "--limit", "0"), "invalid number of recordings '0': expected at least 1"),
        (("import", "--listener", ""), "make import LISTENER=ada FILES="),
        (("import", "--listener", "ada"), "make import LISTENER=ada FILES="),
        (("import", "--listener", "ada", "/no where"), "no such file: /no where"),
        (
            ("pull", "--source", "spotify", "--user", "rob", *DAYS),
            "invalid source 'spotify': expected one of listenbrainz, lastfm",
        ),
        (("pull", "--source", "listenbrainz", *DAYS), "LISTENER=rob"),
        (("pull", "--source", "lastfm", "--user", "rob", *DAYS[:3], "2999-01-01"), "2999-01-01 is in the future"),
        (("pull", "--source", "listenbrainz", "--user", "rob"), "make pull SOURCE=listenbrainz LISTENER=rob FROM="),
        (("analyze", "--music", "{data}/Music"), "no such folder: {data}/Music"),
        (("export",), "make export LISTENER=ada"),
        (("export", "--listener", "ada"), EMPTY),
        (("erase",), "make erase LISTENER=ada"),
        (("erase", "--listener", "ada", "--yes"), EMPTY),
        (("backfill",), "make backfill FROM=2024-01-01 TO=2024-12-31"),
        (("backfill", *DAYS), EMPTY),
        (("maintenance",), EMPTY),
        (
            ("chart", "--period", "hourly"),
            "unknown period 'hourly': expected all_time, yearly, monthly, weekly or daily",
        ),
        (("chart",), "no chart in {data} yet. Import your history"),
        (("stream",), "TUTTI_ENV=spark make stream"),
    ],
)
def test_a_refused_command_says_what_to_give_and_creates_no_folder(
    typed: tuple[str, ...],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = tmp_path / "data"
    monkeypatch.setenv("TUTTI_DATA_DIR", str(data))
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("TUTTI_MUSIC_DIR", "")  # a command may set it
    monkeypatch.setattr(sys, "argv", ["tutti", *(word.format(data=data) for word in typed)])
    assert main() == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tutti: ") and err.count("\n") == 1
    assert expected.format(data=data) in err
    assert not data.exists()


# Backfills, from the shell.


def _backfilling(ada: Import, folder: Path, *command: str) -> Process:
    """Run a command on a copy of Ada's data with only the imported tables."""
    data = folder / "data"
    shutil.copytree(ada.data / "lake", data / "lake")
    for name in tables(data):
        if name not in ("events/raw_listens", "events/imports", "events/quarantine"):
            shutil.rmtree(data / "lake" / name)
    return Process(command, data)


SELECTED = " or ".join(f'key:"{n}"' for n in ("events/recording_matches", "events/duplicate_listens", *DAILY))
SPAN = ("--partition-range", "2024-02-20...2024-03-03")
ON_DUCKDB = ("--config-json", json.dumps({"resources": {"engine": {"config": {"name": "duckdb"}}}}))
MATERIALIZE = (*DAGSTER, "asset", "materialize", "-m", "orchestration.definitions", "--select")
# Dagster's command line, which finally prints the engines that computed anything.
WATCHED = """
import atexit, sys
from functools import wraps
from dagster._cli import main
from resources.engines.duckdb import DuckEngine
from resources.engines.pandas import PandasEngine

computing = set()

def watched(per):
    @wraps(per)
    def recorded(engine, *args, **kwargs):
        computing.add(type(engine).__name__)
        return per(engine, *args, **kwargs)
    return recorded

for engine in (DuckEngine, PandasEngine):
    engine.per = watched(engine.per)
atexit.register(lambda: print("computed by", *sorted(computing), file=sys.stderr))
main()
"""
WATCHED_MATERIALIZE = (sys.executable, "-c", WATCHED, *MATERIALIZE[len(DAGSTER) :])


@pytest.fixture(scope="module")
def backfills(ada: Import, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Process]:
    """Run every kind of backfill at the same time, each on a copy of the data."""

    def begin(*command: str) -> Process:
        return _backfilling(ada, tmp_path_factory.mktemp("backfill"), *command)

    return {
        "dagster": begin(*WATCHED_MATERIALIZE, SELECTED, *SPAN),
        "dg": begin(*DG, "launch", "--assets", SELECTED, *SPAN),
        "duckdb": begin(*WATCHED_MATERIALIZE, SELECTED, *SPAN, *ON_DUCKDB),
        "too early": begin(*MATERIALIZE, SELECTED, "--partition", "1999-01-01"),
        "too early, many": begin(*DG, "launch", "--assets", SELECTED, "--partition-range", "1999-01-01...2024-03-03"),
        "too late": begin(*DG, "launch", "--assets", SELECTED, "--partition", "2999-01-01"),
    }


@pytest.mark.parametrize("by", ["dagster", "dg", "duckdb"])
def test_a_backfill_gives_the_tables_of_the_import(ada: Import, backfills: dict[str, Process], by: str) -> None:
    process = backfills[by].fine()
    for name in DAILY:
        assert rows(process.data, name) == rows(ada.data, name), name


@pytest.mark.parametrize("by", ["dagster", "dg"])
def test_a_backfill_of_a_range_is_one_run(backfills: dict[str, Process], by: str) -> None:
    with sqlite3.connect(backfills[by].fine().data / "dagster" / "history" / "runs.db") as base:
        assert base.execute("SELECT status FROM runs").fetchall() == [("SUCCESS",)]


def test_a_run_can_choose_another_engine(backfills: dict[str, Process]) -> None:
    last = [backfills[by].fine().err.splitlines()[-1] for by in ("dagster", "duckdb")]
    assert last == ["computed by PandasEngine", "computed by DuckEngine"]


@pytest.mark.parametrize(
    ("which", "names"), [("too early", "1999-01-01"), ("too early, many", "1999-01-01"), ("too late", "2999-01-01")]
)
def test_a_missing_partition_is_named_and_nothing_is_lost(
    ada: Import, backfills: dict[str, Process], which: str, names: str
) -> None:
    process = backfills[which]
    assert process.code != 0
    assert names in process.err.splitlines()[-1] + process.out
    assert rows(process.data, "events/raw_listens") == rows(ada.data, "events/raw_listens")


# A process that is killed.

# The import command, in a process that is killed after a number of commits to the lake.
KILLED = """
import os, signal, sys
from orchestration.__main__ import main
from resources.lake.write_transaction import WriteTransaction

left, commit = int(sys.argv.pop(1)), WriteTransaction._commit

def commit_or_die(self, *args):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return commit(self, *args)

WriteTransaction._commit = commit_or_die
sys.exit(main())
"""
# Two files, with three commits each: raw listens, quarantine, the row of imports. Then listens, plays and so on.
AFTER_RAW_LISTENS, BETWEEN_TWO_FILES, AFTER_LISTENS = 1, 3, 3 + 1  # commits of one run after the other


def test_an_import_killed_three_times_equals_an_undisturbed_one(ada: Import, tmp_path: Path) -> None:
    command = ("import", "--listener", "ada", "--", *exported(tmp_path / "exports"))
    data, listens = tmp_path / "data", []
    for commits in (AFTER_RAW_LISTENS, BETWEEN_TWO_FILES, AFTER_LISTENS):
        assert Process((sys.executable, "-c", KILLED, str(commits), *command), data).code == -9
        listens.append((len(rows(data, "events/raw_listens")), len(rows(data, "events/imports"))))
    assert listens == [(6, 0), (6, 1), (7, 2)]
    Process((*TUTTI, *command), data).fine()
    assert rows_by_table(data) == rows_by_table(ada.data)


# A run that fails.

LATER = [play("2024-03-05T10:03:00Z", "Encore")]
EARLIER = [*LATER, play("2011-05-01T10:03:00Z", "Nocturne")]
# The command line, in which runs of some days fail.
FAILING = """
import sys
from orchestration.__main__ import main
from orchestration.cli.runner import Runner
from resources.errors import TuttiError

run = Runner.run

def failing(self, job, keys=None, *rest, **more):
    if job == "daily" and keys.start < "2012":
        raise TuttiError("planted")
    return run(self, job, keys, *rest, **more)

Runner.run = failing
sys.exit(main())
"""


def copied(ada: Import, folder: Path, more: list[Row]) -> tuple[Path, tuple[str, ...]]:
    """Copy Ada's data, and return the copy with a command that imports more records."""
    shutil.copytree(ada.data, folder / "data")
    export = folder / "endsong_9.json"
    export.write_text(json.dumps(more))
    return folder / "data", ("import", "--listener", "ada", "--", str(export))


def days(data: Path, name: str) -> set[str]:
    """Return the days of a table."""
    return {str(r["day"]) for r in rows(data, name)}


def test_failing_all_time_charts_do_not_hold_up_new_days(ada: Import, tmp_path: Path) -> None:
    data, command = copied(ada, tmp_path, LATER)
    charts = data / "lake" / "derived" / "charts_all_time"
    shutil.rmtree(charts)
    wrong = pa.schema([("rank", pa.string())])
    Lake(data / "lake").replace("derived/charts_all_time", iter([pa.table({"rank": ["first"]}, wrong)]), wrong)
    process = Process((*TUTTI, *command), data)
    assert process.code == 1
    assert "derived/charts_all_time has the type string" in process.err
    assert process.err.count("\n") == 1
    for name in EACH_DAY:
        assert "2024-03-05" in days(data, name), name
    assert "2024-03-05" in {str(r["period_start"]) for r in rows(data, "derived/charts_daily")}
    assert {str(r["period_start"]) for r in rows(data, "derived/charts_yearly")} == {"2024-01-01"}
    assert "listens: 1 new" in process.out and "Updated " in process.out  # the summary is printed all the same
    before = versions(data)
    shutil.rmtree(charts)
    Process((*TUTTI, *command), data).fine()
    after = versions(data)
    jobs = Cadence(platform().resolve_asset_graph()).jobs
    again = {jobs.get(dg.AssetKey(name.split("/"))) for name in after if after[name] != before[name]}
    assert again <= {ALL_TIME}  # no day was rebuilt
    names = {r["name"] for r in rows(data, "derived/charts_all_time")}
    assert "Clara Example – Encore" in names


def test_a_failed_check_blocks_downstream_tables_until_it_passes(ada: Import, tmp_path: Path) -> None:
    data, command = copied(ada, tmp_path, LATER)
    recordings = SCHEMAS["content/recordings"]
    lake = Lake(data / "lake")

    def catalog(copies: int) -> None:
        """Store a catalog with `copies` entries of each recording."""
        ids = sorted(
            {r["recording_id"] for r in rows(data, "derived/recording_plays")}
            | {r["recording_id"] for r in rows(data, "events/listens")}
        )
        entries = [{"recording_id": i} for i in ids for _ in range(copies)]
        plain = pa.schema([(field.name, field.type) for field in recordings])
        lake.replace("content/recordings", iter([pa.Table.from_pylist(entries, plain)]), recordings)

    export = Path(command[-1])
    export.write_text(json.dumps([play("2024-03-05T10:03:00Z", "Prelude")]))
    catalog(2)
    before = versions(data)
    for _ in range(2):
        process = Process((*TUTTI, *command), data)
        assert process.code == 1
        assert process.err.startswith("tutti: events/daily_listening failed its check 'sums_match_upstream'")
        assert process.err.count("\n") == 1
        after = versions(data)
        waiting = {"events/active_listeners", "events/streaks", "events/retention", "derived/charts_all_time"}
        assert {name for name in waiting if after.get(name) != before.get(name)} == set()
    failed = failed_days(data)
    selected = ("backfill", "--from", "2024-03-05", "--to", "2024-03-05", "--select", "events/active_listeners")
    backfill = Process((*TUTTI, *selected), data)
    assert backfill.code == 1
    assert "events/daily_listening from 2024-03-0" in backfill.err
    assert backfill.err.count("\n") == 1
    assert failed_days(data) == failed  # no retry fails on more days than the one before
    catalog(1)
    Process((*TUTTI, *command), data).fine()
    assert failed_days(data) == {}
    assert "2024-03-05" in days(data, "events/active_listeners")
    assert "No new listens" in Process((*TUTTI, *command), data).fine().out


def failed_days(data: Path) -> dict[dg.AssetKey, set[date]]:
    """Return the tables whose check failed, with these days."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(data / "dagster"))
        with dg.DagsterInstance.get() as instance:
            cadence = Cadence(platform().resolve_asset_graph())
            return cadence.failed(instance, cadence.jobs)


def test_failed_days_block_no_others_and_are_built_later(ada: Import, tmp_path: Path) -> None:
    data, command = copied(ada, tmp_path, EARLIER)
    process = Process((sys.executable, "-c", FAILING, *command), data)
    assert (process.code, process.err) == (1, "tutti: planted\n")
    assert "2024-03-05" in days(data, "derived/recording_plays")
    assert "2011-05-01" not in days(data, "derived/recording_plays")
    Process((*TUTTI, *command), data).fine()
    for name in EACH_DAY:
        assert {"2011-05-01", "2024-03-05"} <= days(data, name), name
    names = {r["name"] for r in rows(data, "derived/charts_all_time")}
    assert {"Clara Example – Encore", "Clara Example – Nocturne"} <= names
    assert "No new listens" in Process((*TUTTI, *command), data).fine().out


def test_an_import_of_older_listens_builds_their_days(ada: Import, tmp_path: Path) -> None:
    data, command = copied(ada, tmp_path, [play("2010-05-01T10:03:00Z", "Prelude")])
    assert stored(data / "dagster") == Span(date(2024, 2, 20), date(2024, 3, 2))
    process = Process((*TUTTI, *command), data, {"PYTHONUNBUFFERED": "1"}).fine()  # which loads the platform itself
    assert stored(data / "dagster") == Span(date(2010, 5, 1), date(2024, 3, 2))
    for name in EACH_DAY:
        assert "2010-05-01" in days(data, name), process.out
    plays = sum(r["plays"] for r in rows(data, "derived/charts_all_time") if r["entity"] == "recording")
    assert plays == len(rows(data, "events/listens"))


def test_the_ui_lists_runs_of_commands_under_their_jobs(ada: Import) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(ada.data / "dagster"))
        with dg.DagsterInstance.get() as instance:
            runs = instance.get_runs()
    origins = [run.remote_job_origin for run in runs if run.remote_job_origin]
    assert len(runs) == len(origins) > 3
    assert {o.repository_origin.code_location_origin.location_name for o in origins} == {"tutti"}
    assert {o.job_name for o in origins} == {run.job_name for run in runs}


def test_a_second_ui_on_the_same_data_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    with FileLock(home / ui.LOCK):  # held by another one
        process = Process((*TUTTI, "ui", "--port", str(free_port())), tmp_path)
        assert (process.code, process.out) == (1, "")
    assert process.err.startswith(f"tutti: another `make ui` is running on {tmp_path}")
