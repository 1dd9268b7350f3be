"""Backfills: bounded runs, oldest first, that equal one run and resume if killed."""

import logging
import shutil
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from filelock import FileLock
from hypothesis import example, given
from hypothesis import strategies as st

from assets.events.imports import RAW_LISTENS
from assets.tables import SCHEMAS
from orchestration.__main__ import main
from orchestration.cadence import ALL_TIME, Cadence
from orchestration.cli.backfill import BACKFILL, LOCK, MAX_DAYS, PART, Part, beyond, plan
from resources.lake.lake import Lake
from resources.lake_format import FILE
from tests.orchestration.conftest import DAYS as WORLD_DAYS
from tests.orchestration.conftest import FIRST_DAY, World
from tests.orchestration.support import (
    DAGSTER,
    PATIENCE,
    TUTTI,
    Process,
    furnish,
    platform,
    rows,
    rows_by_table,
    tables,
    versions,
)
from tests.tables import table

TODAY = date(2024, 3, 2)
CADENCE = Cadence(platform().resolve_asset_graph())
JOBS = {job.name: job for job in CADENCE.dated}
IMPORTED = [
    name for name in SCHEMAS if CADENCE.jobs.get(dg.AssetKey(name.split("/"))) not in {*JOBS, ALL_TIME}
]  # tables that no dated job nor `all_time` builds
SPAN = ("--from", FIRST_DAY.isoformat(), "--to", (FIRST_DAY + timedelta(days=WORLD_DAYS - 1)).isoformat())
PLAYS = ("--select", "derived/recording_plays")


# The plan of its runs.


def periods(part: Part) -> list[date]:
    """Return the first days of the partitions that a run builds."""
    definition = JOBS[part.job].period.partitions
    assert part.keys
    return [date.fromisoformat(k) for k in definition.get_partition_keys_in_range(part.keys)]


@given(st.dates(date(2002, 10, 1), TODAY), st.integers(0, 800), st.integers(1, 400))
@example(TODAY, 0, 1)
@example(date(2002, 10, 1), 800, 1)
@example(date(2023, 1, 1), 364, MAX_DAYS)
def test_runs_rebuild_everything_downstream_oldest_first(first: date, days: int, size: int) -> None:
    last = min(first + timedelta(days=days), TODAY)
    parts = plan(CADENCE, first, last, size, "", TODAY)
    wanted = {name: job.reached(first, last, TODAY) for name, job in JOBS.items()}
    assert list(dict.fromkeys(p.job for p in parts)) == [*wanted, "all_time"]
    for job, keys in wanted.items():
        of_job = [p for p in parts if p.job == job]
        assert periods(of_job[0])[0].isoformat() == keys.start
        assert periods(of_job[-1])[-1].isoformat() == keys.end
        # Records of the next day can replace records of a run's last day, and change sessions of the day before.
        repeated, covered = 2 if job == "daily" else 0, periods(of_job[0])
        for part in of_job[1:]:
            overlap = min(repeated, len(covered))
            assert periods(part)[:overlap] == covered[len(covered) - overlap :]
            assert periods(part)[overlap] > covered[-1]
            covered += periods(part)[overlap:]
        period = JOBS[job].period
        assert sum(p.days for p in of_job) == (period.following(covered[-1]) - covered[0]).days


@given(st.integers(1, 400))
@example(1)
@example(2)
def test_runs_have_at_most_the_requested_days(size: int) -> None:
    parts = plan(CADENCE, date(2023, 1, 1), date(2023, 12, 31), size, "", TODAY)
    for part in parts[:-1]:
        shortest = 3 if part.job == "daily" else 1  # a day, and the two before it
        assert len(_days(part)) <= size or len(periods(part)) <= shortest


def _days(part: Part) -> list[date]:
    """Return the days of a run."""
    period = JOBS[part.job].period
    starts = periods(part)
    return [starts[0] + timedelta(days=n) for n in range((period.following(starts[-1]) - starts[0]).days)]


def test_days_are_rebuilt_twice_only_if_a_table_reads_ahead() -> None:
    selected = "key:derived/recording_plays or key:derived/charts_daily"
    parts = plan(CADENCE, date(2023, 1, 1), date(2023, 3, 31), 10, selected, TODAY)
    days = [day for part in parts for day in periods(part)]
    assert len(days) == len(set(days)) == 94
    assert {part.job for part in parts} == {"daily"}


def test_explains_why_more_than_the_requested_days_are_rebuilt() -> None:
    first, last = date(2024, 1, 1), date(2024, 1, 3)
    longer = "a period is rebuilt as a whole, and the next period reads it"
    expected = [
        "daily is rebuilt from 2023-12-30 through 2024-01-05: "
        "a record can change rows up to 2 days before and 2 days after its own day",
        "active_listeners is rebuilt from 2023-12-31 through 2024-02-02: "
        "a record can change rows up to 1 day before and 30 days after its own day",
        f"weekly is rebuilt from 2023-12-25 through 2024-01-08: {longer}",
        f"monthly is rebuilt from 2023-12-01 through 2024-02-01: {longer}",
        f"yearly is rebuilt from 2023-01-01 through 2024-01-01: {longer}",
    ]
    names = [line.split()[0] for line in expected]
    lines = beyond(plan(CADENCE, first, last, 2, "", TODAY), CADENCE, first, last)
    assert [line for line in lines if line.split()[0] in names] == expected


# Error messages.


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ([], "FROM=2024-01-01"),
        (["--from", "2024-01-01"], "FROM=2024-01-01"),
        (["--from", "2024-01-01", "--to", "2024-02-30"], "2024-02-30"),
        (["--from", "yesterday", "--to", "2024-02-28"], "yesterday"),
        (["--from", "2024-01-02", "--to", "2024-01-01"], "2024-01-02"),
        (["--from", "2002-09-30", "--to", "2024-01-01"], "2002-10-01"),
        (["--from", "2024-01-01", "--to", "2999-01-01"], datetime.now(UTC).date().isoformat()),
        (["--from", "2024-01-01", "--to", "2024-01-01", "--days-per-run", "0"], "'0'"),
        (["--from", "2024-01-01", "--to", "2024-01-01", "--days-per-run", "many"], "'many'"),
        (["--from", "2024-01-01", "--to", "2024-01-01", "--select", "((("], "((("),
        (["--from", "2024-01-01", "--to", "2024-01-01", "--select", "derived/nothing"], "derived/nothing"),
        (["--from", "2024-01-01", "--to", "2024-01-01", "--select", "group:content"], "group:content"),
    ],
)
def test_a_mistake_prints_one_line_and_starts_no_run(
    typed: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    furnish(tmp_path)
    _create_table(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tutti", "backfill", *typed])
    assert main() == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tutti: ")
    assert expected in err
    assert err.count("\n") == 1
    with dg.DagsterInstance.get() as instance:
        assert instance.get_runs_count() == 0


def _create_table(data: Path) -> None:
    """Create a table, which a backfill needs to start."""
    Lake(data / "lake").replace("content/another", iter([pa.table({"n": [1]})]), pa.schema([("n", pa.int64())]))


# Backfills of a small world with only the imported tables.


def without_dated_tables(world: World, folder: Path) -> Path:
    """Copy the lake of a world without the tables that a backfill builds."""
    for name in IMPORTED:
        shutil.copytree(world.data / "lake" / name, folder / "lake" / name)
    shutil.copy(world.data / "lake" / FILE, folder / "lake" / FILE)
    return folder


@contextmanager
def instance_of(data: Path) -> Iterator[dg.DagsterInstance]:
    """Open the Dagster instance of a data folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(data / "dagster"))
        with dg.DagsterInstance.get() as instance:
            yield instance


def parts_and_statuses(data: Path) -> list[tuple[str, str]]:
    """Return the place and the status of every run of a backfill, in the order of the runs."""
    with instance_of(data) as instance:
        runs = instance.get_runs(ascending=True)
        return [(run.tags[PART], run.status.value) for run in runs if BACKFILL in run.tags]


def _places(data: Path) -> list[str]:
    """Return the place of each run of a backfill."""
    count = int(parts_and_statuses(data)[0][0].split(" of ")[1])
    return [f"{n + 1} of {count}" for n in range(count)]


@dataclass
class Killed:
    """A backfill that was killed twice: its output each time, and the process that completed it."""

    data: Path
    output: list[list[str]]
    process: Process


def killed_twice(data: Path, environment: str, *typed: str) -> Killed:
    """Kill a backfill with all its child processes in the middle of a run, twice. Then let it complete."""
    command, output = (*TUTTI, "backfill", *typed), []
    # The first lines explain why more days are rebuilt. The second killed run is short.
    for lines, seconds in ((len(JOBS) + 1, 0.3), (4, 0.0)):
        process, deadline = Process(command, data, {"TUTTI_ENV": environment}), time.monotonic() + PATIENCE
        while process.so_far().count("\n") < lines and process.started.poll() is None:
            assert time.monotonic() < deadline, process.so_far()
            time.sleep(0.01)
        while not running(data) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(seconds)  # into the middle of its work
        process.kill()
        output.append(process.so_far().splitlines(keepends=True)[:lines])
    return Killed(data, output, Process(command, data, {"TUTTI_ENV": environment}).fine())


def running(data: Path) -> bool:
    """Return whether a run has started and not ended."""
    with sqlite3.connect(f"file:{data}/dagster/history/runs.db?mode=ro", uri=True, timeout=60) as base:
        return base.execute("SELECT count(*) FROM runs WHERE status = 'STARTED'").fetchone()[0] > 0


@pytest.fixture(scope="module", autouse=True)
def killed(laptop: World, tmp_path_factory: pytest.TempPathFactory) -> Future[Killed]:
    """A backfill that is killed and resumed while other tests run. Tests that wait for it come last."""
    data = without_dated_tables(laptop, tmp_path_factory.mktemp("killed"))
    return ThreadPoolExecutor().submit(killed_twice, data, "workstation", *SPAN, "--days-per-run", "6")


def test_sessions_that_span_two_runs_are_complete(tmp_path: Path) -> None:
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(4)]
    midnights = [datetime(d.year, d.month, d.day, tzinfo=UTC) for d in days[1:]]
    instants = sorted(m + timedelta(minutes=n) for m in midnights for n in (-720, -10, 10))
    names = {"user_id": "ada", "source": "spotify", "artist_name": "Clara Example", "recording_name": "Fugue"}
    arrival = {"artist_mbids": [], "file": "endsong_0.json", "import_id": "1"}
    raw = [{"day": t.date(), "listened_at": t, "record": n, **names, **arrival} for n, t in enumerate(instants)]
    Lake(tmp_path / "lake").replace("events/raw_listens", iter([table(raw, RAW_LISTENS)]), RAW_LISTENS)
    span = ("--from", days[0].isoformat(), "--to", days[-1].isoformat())
    made = ("events/recording_matches", "events/duplicate_listens", "events/listens", "events/sessions")
    selected = ("--select", " or ".join(f"key:{name}" for name in made))
    Process((*TUTTI, "backfill", *span, *selected, "--days-per-run", "2"), tmp_path).fine()
    sessions = rows(tmp_path, "events/sessions")
    assert [r["started_at"] for r in sessions if r["listens"] == 2] == [m - timedelta(minutes=10) for m in midnights]
    assert len(sessions) == 2 * len(midnights)
    assert len(parts_and_statuses(tmp_path)) == 8  # every midnight was between two runs


def test_a_completed_backfill_starts_over(laptop: World, tmp_path: Path) -> None:
    data = without_dated_tables(laptop, tmp_path)
    shutil.copytree(laptop.data / "lake" / "events" / "listens", data / "lake" / "events" / "listens")
    command = (*TUTTI, "backfill", *SPAN, *PLAYS, "--days-per-run", "4")
    for _ in range(2):
        assert "Resuming" not in Process(command, data).fine().out
    assert parts_and_statuses(data) == [("1 of 2", "SUCCESS"), ("2 of 2", "SUCCESS")] * 2
    assert rows(data, "derived/recording_plays") == rows(laptop.data, "derived/recording_plays")
    assert "derived/display_names" not in tables(data)  # only what was selected


def test_stops_at_a_failed_run_and_resumes_there_once_fixed(laptop: World, tmp_path: Path) -> None:
    data = without_dated_tables(laptop, tmp_path)
    listens = data / "lake" / "events" / "listens"
    shutil.copytree(laptop.data / "lake" / "events" / "listens", listens)
    files = {p: p.read_bytes() for p in (data / "lake").glob("events/listens/*.parquet")}
    for path in files:
        path.write_bytes(b"not Parquet")
    command = (*TUTTI, "backfill", *SPAN, *PLAYS, "--days-per-run", "4")
    process = Process(command, data)
    assert process.code == 1
    assert process.err.count("\n") == 1, process.err
    assert process.err.startswith("tutti: daily from 2025-02-26 through 2025-03-01: ")
    assert "run the same command again" in process.err
    assert process.out.splitlines()[-1].startswith("0 of 2 runs are done")
    for path, content in files.items():
        path.write_bytes(content)
    Process(command, data).fine()
    assert parts_and_statuses(data) == [("1 of 2", "FAILURE"), ("1 of 2", "SUCCESS"), ("2 of 2", "SUCCESS")]


def test_refuses_a_second_backfill_at_the_same_time(tmp_path: Path) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    _create_table(tmp_path)
    before = versions(tmp_path)
    with FileLock(home / LOCK):  # held by the process of another backfill
        process = Process((*TUTTI, "backfill", *SPAN, *PLAYS), tmp_path)
        assert (process.code, process.out) == (1, "")
    assert process.err.startswith("tutti: another backfill is running")
    assert versions(tmp_path) == before


@pytest.mark.parametrize("by", ["tutti", "dagster"])
def test_missing_source_tables_give_a_warning_in_terminal_and_log(by: str, tmp_path: Path) -> None:
    days = ("--partition-range", "2024-01-01...2024-01-02")
    selected = ("--select", "key:events/listens")
    command = {
        "tutti": (*TUTTI, "backfill", "--from", "2024-01-01", "--to", "2024-01-02", *selected),
        "dagster": (*DAGSTER, "asset", "materialize", "-m", "orchestration.definitions", *selected, *days),
    }[by]
    _create_table(tmp_path)
    process = Process(command, tmp_path).fine()
    warning = "events/raw_listens has never been written"
    assert (process.out + process.err).count(warning) == 1
    with instance_of(tmp_path) as instance:
        (run,) = instance.get_runs()
        logged = [entry for entry in instance.all_logs(run.run_id) if warning in entry.user_message]
    assert [entry.level for entry in logged] == [logging.WARNING]


def test_a_killed_and_resumed_backfill_equals_one_run(laptop: World, killed: Future[Killed]) -> None:
    resumed = rows_by_table(killed.result().data)
    expected = rows_by_table(laptop.data)
    assert {n: len(r) for n, r in resumed.items()} == {n: len(r) for n, r in expected.items()}
    assert resumed == expected


def test_a_killed_backfill_resumes_with_the_interrupted_run(killed: Future[Killed]) -> None:
    runs, places = parts_and_statuses(killed.result().data), _places(killed.result().data)
    assert [place for place, status in runs if status == "SUCCESS"] == places
    assert Counter(status for _, status in runs) == {
        "SUCCESS": len(places),
        "CANCELED": 2,
    }  # no run still counts as running
    assert [place for place, status in runs if status == "CANCELED"] == [places[1], places[4]]


def test_prints_progress_and_the_runs_that_are_already_done(killed: Future[Killed]) -> None:
    found = killed.result()
    count = len(_places(found.data))
    assert " ".join(found.output[0][-1].split()).startswith("daily from 2025-02-26 through 2025-03-01 4 of 8 days ")
    assert found.output[1][0].startswith(f"Resuming: 1 of {count} runs ")
    assert " ".join(found.output[1][1].split()).startswith("daily from 2025-02-28 through 2025-03-05 8 of 8 days ")
    last = found.process.out.splitlines()
    assert last[0].startswith(f"Resuming: 4 of {count} runs ")
    assert len(last) == 1 + (count - 4) + 1  # a line for each run
    assert all(line.endswith(" left") for line in last[1:-1])
    assert last[-1].startswith(f"Rebuilt {WORLD_DAYS} days in {count} runs. ")
