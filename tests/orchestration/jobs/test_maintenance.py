"""Maintenance removes the files of killed runs, by command and by job, and keeps every row."""

import json
import shutil
import sys
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from orchestration.__main__ import main
from orchestration.definitions import build
from resources.artifacts.artifacts import Artifact, Artifacts
from resources.lake.lake import Lake
from resources.storage import Storage
from tests.orchestration.conftest import World
from tests.orchestration.support import TUTTI, Process, rows_by_table, tables

# A process that writes the rows of two tables again and is killed before it commits them.
KILLED = """
import os, signal
from assets.derived.display_names import DISPLAY_NAMES
from assets.derived.recording_plays import RECORDING_PLAYS
from resources.environments import data_folder
from resources.lake.lake import Lake
from resources.storage import Storage

lake, drafts = Lake(data_folder() / "lake"), []
for table, schema in (("derived/display_names", DISPLAY_NAMES), ("derived/recording_plays", RECORDING_PLAYS)):
    drafts.append(lake.writing(table, schema))
    drafts[-1].__enter__().write(iter([lake.scan(table, schema).table()]))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def left(laptop: World, tmp_path: Path) -> Path:
    """A copy of the small world in which two tables have files that no version uses."""
    shutil.copytree(laptop.data / "lake", tmp_path / "lake")
    (tmp_path / "dagster").mkdir()  # without a history to prune
    before = files(tmp_path)
    assert Process((sys.executable, "-c", KILLED), tmp_path).code == -9
    assert {f.split("/")[1] for f in files(tmp_path) - before} == {"display_names", "recording_plays"}
    return tmp_path


def files(data: Path) -> set[str]:
    """Every Parquet file of the lake."""
    return {p.relative_to(data / "lake").as_posix() for p in (data / "lake").rglob("*.parquet")}


def test_command_removes_files_of_killed_runs_and_names_their_tables(laptop: World, left: Path) -> None:
    process = Process((*TUTTI, "maintenance"), left).fine()
    *by_table, total = process.out.splitlines()
    names = ("display_names", "recording_plays")
    assert [line.split(", ")[0] for line in by_table] == [f"derived/{name}: 1 file removed" for name in names]
    assert total.startswith("2 files removed, ") and total.endswith(f" in {len(tables(left))} tables")
    assert rows_by_table(left) == rows_by_table(laptop.data)
    assert not [f for f in files(left) - files(laptop.data) if "_delta_log" not in f]


def test_a_table_that_fails_does_not_hold_up_the_others(left: Path) -> None:
    newer = {"protocol": {"minReaderVersion": 99, "minWriterVersion": 99}}
    log = left / "lake" / "content" / "lyrics" / "_delta_log"
    (log / f"{len(list(log.glob('*.json'))):020d}.json").write_text(json.dumps(newer))
    process = Process((*TUTTI, "maintenance"), left)
    assert process.code == 1
    assert process.err.startswith("tutti: ")
    assert "content/lyrics" in process.err
    assert process.err.count("\n") == 1
    assert "derived/recording_plays: 1 file removed" in process.out


def test_maintenance_is_also_a_job(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTTI_DATA_DIR", str(left))
    before = files(left)
    job = build("laptop").resolve_job_def("maintenance")
    assert job.execute_in_process(instance=dg.DagsterInstance.ephemeral()).success
    assert len(before - files(left)) == 2


def test_job_and_command_fail_with_the_damaged_artifacts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path))
    artifacts = Artifacts(Storage.at(tmp_path / "artifacts"))
    for name in ("derived/whole", "derived/broken"):
        version = artifacts.publish(name, Artifact({"index": b"1"}), personal=False).id
    job = build("laptop").resolve_job_def("maintenance")
    assert job.execute_in_process(instance=dg.DagsterInstance.ephemeral()).success
    (tmp_path / "artifacts" / "derived" / "broken" / "versions" / version / "index").unlink()
    result = job.execute_in_process(instance=dg.DagsterInstance.ephemeral(), raise_on_error=False)
    (failed,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    assert failed.step_key == "check_artifacts"
    problem = "derived/broken (index is missing)"
    assert problem in str(failed.step_failure_data.error)
    Lake(tmp_path / "lake").replace("derived/any", iter([pa.table({"n": [1]})]), pa.schema([("n", pa.int64())]))
    monkeypatch.setattr(sys, "argv", ["tutti", "maintenance"])
    capsys.readouterr()
    assert main() == 1
    err = capsys.readouterr().err
    assert err.startswith("tutti: ") and problem in err and err.count("\n") == 1
