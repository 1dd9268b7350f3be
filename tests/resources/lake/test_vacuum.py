"""Vacuum removes files that are no longer needed, but never those that a running job has written or reads."""

import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest
from deltalake import DeltaTable

import resources.lake.delta_table
import resources.lake.lease
from resources.errors import TuttiError
from resources.frames.filters import RangeFilter
from resources.frames.frame import Engine
from resources.lake import write_transaction
from resources.lake.lake import Lake
from resources.lake.lease import FOLDER, held, lease, lease_of
from resources.lake.vacuum import Vacuumed
from resources.lake.write_transaction import WriteTransaction
from tests.resources.lake import things
from tests.tables import LEAP

PROJECT = Path(__file__).parents[3]
THINGS = pa.schema([("day", pa.date32()), ("name", pa.string())])
TABLE = "events/things"
DAYS = [LEAP + timedelta(days=n) for n in range(8)]
NOTHING = Vacuumed(0, 0)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    new = Lake(tmp_path)
    put(new, "first")
    return new


def rows(name: str, day: date = LEAP) -> Iterator[pa.Table]:
    return iter([pa.Table.from_pylist([{"day": day, "name": name}], THINGS)])


def put(lake: Lake, name: str, day: date = LEAP) -> None:
    lake.replace(TABLE, rows(name, day), THINGS, RangeFilter("day", day, day), ["day"])


def names(lake: Lake, version: int | None = None) -> list[str]:
    return sorted(lake.scan(TABLE, THINGS, version=version).table()["name"].to_pylist())


def on_disk(lake: Lake) -> set[str]:
    return {p.name for p in Path(lake.root, TABLE).glob("*.parquet")}


def leases(lake: Lake) -> list[str]:
    return os.listdir(lake.root / TABLE / FOLDER)


def days_ago(days: float) -> Any:
    """Make commits inside the block look `days` old in the log."""
    return patch.object(time, "time", return_value=time.time() - days * 86_400)


# Killed jobs

KILLED = """
import datetime, os, signal, sys
import pyarrow as pa
from resources.lake.lake import Lake
rows = pa.table({"day": [datetime.date(2024, 2, 28)], "name": ["never published"]})
with Lake(sys.argv[1]).writing("events/things", rows.schema) as draft:
    draft.write(iter([rows]))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(lake: Lake) -> str:
    """Run a job that is killed after it wrote a file and before it publishes it; return the file's name."""
    before = on_disk(lake)
    done = subprocess.run([sys.executable, "-c", KILLED, str(lake.root)], cwd=PROJECT, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = on_disk(lake) - before
    return left


def test_files_of_a_killed_job_are_removed_at_once(lake: Lake) -> None:
    left = killed(lake)
    size = Path(lake.root, TABLE, left).stat().st_size
    assert len(leases(lake)) == 1
    assert lake.vacuum(TABLE) == Vacuumed(1, size)
    assert left not in on_disk(lake)
    assert leases(lake) == []
    assert names(lake) == ["first"]
    assert lake.vacuum(TABLE) == NOTHING


def test_killed_job_does_not_block_the_next_one(lake: Lake) -> None:
    killed(lake)
    put(lake, "second")
    assert names(lake) == ["second"]
    assert lake.vacuum(TABLE).files == 1
    assert names(lake) == ["second"]


# Running jobs


def test_running_job_keeps_its_files_however_long_it_takes(lake: Lake) -> None:
    with lake.writing(TABLE, THINGS) as draft:
        draft.write(rows("slow"))
        for name in draft.files:
            os.utime(lake.root / TABLE / name, (0, 0))
        assert lake.vacuum(TABLE, keep_days=0) == NOTHING
        draft.publish(RangeFilter("day", LEAP, LEAP))
        assert lake.vacuum(TABLE, keep_days=1) == NOTHING
    assert names(lake) == ["slow"]
    assert leases(lake) == []


def test_transaction_with_several_commits_keeps_all_files(lake: Lake) -> None:
    with lake.writing(TABLE, THINGS) as draft:
        for name, day in zip("abc", DAYS, strict=False):
            draft.write(rows(name, day))
            lake.vacuum(TABLE)
            draft.publish(RangeFilter("day", day, day))
    assert lake.vacuum(TABLE) == NOTHING
    assert names(lake) == ["a", "b", "c"]


def test_job_that_ends_during_a_vacuum_keeps_its_files(lake: Lake) -> None:
    with lake.writing(TABLE, THINGS) as draft:
        draft.write(rows("just in time"))

        def late(table: Path) -> set[str]:
            draft.publish(RangeFilter("day", LEAP, LEAP))
            return set()

        with patch("resources.lake.vacuum.held", late):
            assert lake.vacuum(TABLE) == NOTHING
    assert names(lake) == ["just in time"]


def test_job_that_begins_during_a_vacuum_keeps_its_files(lake: Lake) -> None:
    with ExitStack() as running:

        def late(table: Path) -> set[str]:
            leases = held(table)
            draft = running.enter_context(lake.writing(TABLE, THINGS))
            draft.write(rows("just begun"))
            drafts.append(draft)
            return leases

        drafts: list[WriteTransaction] = []
        with patch("resources.lake.vacuum.held", late):
            assert lake.vacuum(TABLE) == NOTHING
        drafts[0].publish(RangeFilter("day", LEAP, LEAP))
    assert names(lake) == ["just begun"]


def test_lease_taken_while_a_vacuum_cleans_leases_is_held(tmp_path: Path) -> None:
    """A lease's file exists for an instant before it is locked."""
    flock, late = fcntl.flock, True

    def overtaken(file: int, how: int) -> None:
        nonlocal late
        if late:
            late = False
            assert held(tmp_path) == set()
            assert os.listdir(tmp_path / FOLDER) == []
        flock(file, how)

    with patch.object(resources.lake.lease.fcntl, "flock", overtaken), lease(tmp_path) as lease_id:
        assert held(tmp_path) == {lease_id}
    assert held(tmp_path) == set()


def test_vacuums_beside_writers_lose_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.replace(TABLE, things.as_tables(), things.EVENTS)
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
        days = [DAYS[n::2] * 3 for n in range(2)]
        work = [processes.submit(things.replace_days, str(tmp_path), days[n], name) for n, name in enumerate("ab")]
        while not all(w.done() for w in work):
            lake.vacuum(TABLE)
            lake.scan(TABLE, things.EVENTS).table()
        for done in work:
            done.result()
    versions = [lake.scan(TABLE, things.EVENTS, version=n).table() for n in range(1, lake.version(TABLE) + 1)]
    assert sorted(versions[-1]["name"].to_pylist()) == [*"aaaaaaaabbbbbbbb"]
    assert lake.vacuum(TABLE) == NOTHING


# Failed jobs


def test_job_that_fails_halfway_leaves_no_files(lake: Lake) -> None:
    before = on_disk(lake)

    def job() -> None:
        with lake.writing(TABLE, THINGS) as draft:
            draft.write(rows("half"))
            assert on_disk(lake) > before
            draft.write(iter([pa.table({"day": ["no day"], "name": ["other half"]})]))

    with pytest.raises(TuttiError, match="cannot write these rows"):
        job()
    assert on_disk(lake) == before
    assert leases(lake) == []


def test_files_that_tasks_of_a_failed_job_wrote_are_removed(cluster: Engine, lake: Lake) -> None:
    """The driver does not know their names, and some may be written after it gave up."""
    numbers = pa.schema([("day", pa.date32()), ("n", pa.int64())])
    many = pa.table({"day": pa.array([*DAYS, *DAYS], pa.date32()), "n": ["1"] * 15 + ["one"]})
    with pytest.raises(TuttiError, match="cannot write these rows"):
        lake.replace("events/numbers", cluster.from_arrow(many), numbers)
    folder, give_up = Path(lake.root, "events/numbers"), time.monotonic() + 60
    lake.vacuum("events/numbers")
    while list(folder.glob("*.parquet")) and time.monotonic() < give_up:  # another task is still writing
        time.sleep(0.2)
        lake.vacuum("events/numbers")
    assert list(folder.glob("*.parquet")) == []
    assert os.listdir(folder / FOLDER) == []


def test_files_of_every_engine_have_the_lease_of_their_job(engine: Engine, lake: Lake) -> None:
    many = pa.table({"day": pa.array(DAYS, pa.date32()), "name": pa.array([*"abcdefgh"])})
    written = lake.replace(TABLE, engine.from_arrow(many), THINGS)
    (one,) = {lease_of(f) for f in written.files}
    assert one is not None
    assert on_disk(lake) >= set(written.files)


def test_refused_rows_leave_no_files(lake: Lake) -> None:
    before = on_disk(lake)
    with pytest.raises(TuttiError, match="replaces only"):
        lake.replace(TABLE, rows("stray", DAYS[1]), THINGS, RangeFilter("day", LEAP, LEAP))
    assert on_disk(lake) == before


def test_repeated_commit_leaves_no_files_of_earlier_attempts(lake: Lake) -> None:
    lake.replace(TABLE, iter([pa.table([DAYS, [*"abcdefgh"]], schema=THINGS)]), THINGS, None, ["day"])
    files, late = write_transaction.files, 3
    spare: list[int] = []

    def overtaken(delta: DeltaTable) -> list[dict[str, Any]]:
        nonlocal late
        if len(ours := leases(lake)) == 1:  # two while the other writer commits
            spare.append(sum(lease_of(f) == ours[0] for f in on_disk(lake)))
            if late:
                late -= 1
                put(lake, "theirs", DAYS[late + 1])
        return files(delta)

    with patch.object(write_transaction, "files", overtaken):
        put(lake, "ours", DAYS[7])
    assert names(lake) == ["a", "e", "f", "g", "ours", "theirs", "theirs", "theirs"]
    assert spare == [1] * 4  # attempts do not accumulate files
    assert lake.vacuum(TABLE) == NOTHING


# Old versions


def test_files_of_old_versions_are_removed_after_thirty_days(lake: Lake) -> None:
    with days_ago(31):
        put(lake, "second")
    with days_ago(29):
        put(lake, "third")
    put(lake, "fourth")
    assert lake.vacuum(TABLE).files == 1
    assert [names(lake, version) for version in (2, 3, 4)] == [["second"], ["third"], ["fourth"]]
    assert len(on_disk(lake)) == 3
    assert lake.vacuum(TABLE, keep_days=1).files == 1
    assert names(lake, 3) == ["third"]
    assert lake.vacuum(TABLE, keep_days=0).files == 1
    assert names(lake) == ["fourth"]
    assert len(on_disk(lake)) == 1


def test_log_keeps_thirty_days_and_names_a_missing_version(lake: Lake) -> None:
    log = Path(lake.root, TABLE, "_delta_log")
    with patch.object(write_transaction, "CHECKPOINT", 5):
        for age in range(80, 0, -1):
            with days_ago(age):
                put(lake, f"{age} days ago")
            for path in log.glob("*[0-9]*"):
                if time.time() - path.stat().st_mtime < 3600:
                    os.utime(path, times=(time.time() - age * 86_400,) * 2)
    assert len(list(log.glob("*.json"))) < 40
    newest = lake.version(TABLE)
    assert [names(lake, newest - n) for n in range(30)] == [[f"{n + 1} days ago"] for n in range(30)]
    with pytest.raises(TuttiError, match=r"no version 5\..* 30 days") as refused:
        lake.scan(TABLE, THINGS, version=5)
    assert "\n" not in str(refused.value)
    lake.vacuum(TABLE)
    assert [names(lake, newest - n) for n in range(30)] == [[f"{n + 1} days ago"] for n in range(30)]
    assert 30 <= len(on_disk(lake)) <= 32


def test_settings_of_an_existing_table_change_to_thirty_days(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    forever = dict.fromkeys(resources.lake.delta_table.SETTINGS, "interval 36500 days")
    with patch.object(resources.lake.delta_table, "SETTINGS", forever):
        put(lake, "old")
    put(lake, "new")
    settings = DeltaTable(str(tmp_path / TABLE)).metadata().configuration
    assert settings == resources.lake.delta_table.SETTINGS
    before = lake.version(TABLE)
    put(lake, "newer")
    assert lake.version(TABLE) == before + 1
    assert names(lake) == ["newer"]


# Files of other programs


def test_old_files_without_a_lease_are_removed_if_not_in_the_log(lake: Lake) -> None:
    folder = Path(lake.root, TABLE)
    young, old = folder / "7f3c.parquet", folder / "part-0001.parquet"
    for path in (young, old):
        path.write_bytes(b"12345")
    os.utime(old, (0, 0))
    assert lake.vacuum(TABLE) == Vacuumed(1, 5)
    assert young.exists()
    assert not old.exists()


def test_old_files_without_a_lease_stay_if_in_the_log(lake: Lake) -> None:
    (name,) = on_disk(lake)
    log = Path(lake.root, TABLE, "_delta_log", f"{1:020d}.json")
    other = "part-0001.parquet"
    log.write_text(log.read_text().replace(name, other))
    Path(lake.root, TABLE, name).rename(lake.root / TABLE / other)
    os.utime(lake.root / TABLE / other, (0, 0))
    assert lake.vacuum(TABLE, keep_days=0) == NOTHING
    assert names(lake) == ["first"]


def test_table_whose_creation_was_interrupted_does_not_exist(lake: Lake) -> None:
    Path(lake.root, "events/torn/_delta_log").mkdir(parents=True)
    assert lake.tables() == [TABLE]
    assert lake.scan("events/torn", THINGS).table().num_rows == 0
    lake.replace("events/torn", rows("whole"), THINGS)
    assert lake.tables() == [TABLE, "events/torn"]
