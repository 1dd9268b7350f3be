"""Every command, run and sensor refuses a data folder of another format and leaves it unchanged."""

import os
import sys
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from assets.derived.charts import CHART
from orchestration.cli.main import main
from orchestration.definitions import build
from orchestration.sensors.landing_files import landing_files
from resources.errors import TuttiError
from resources.lake.lake import Lake
from resources.lake_format import FILE
from tests.resources.test_lake_format import contents

COMMANDS = (
    ("import", "--listener", "ada", "file.json"),
    ("ui",),
    ("backfill", "--from", "2024-01-01", "--to", "2024-01-02"),
    ("chart",),
    ("erase", "--listener", "ada", "--yes"),
    ("export", "--listener", "ada"),
    ("pull", "--source", "listenbrainz", "--user", "ada"),
    ("pull-metadata",),
    ("maintenance",),
    ("serve-scrobbles",),
    ("stream", "--once"),
)


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a table but without a format number, and with a landed file."""
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", "")
    Lake(tmp_path / "lake").replace("derived/charts_all_time", iter([CHART.empty_table()]), CHART)
    (tmp_path / "lake" / FILE).unlink()
    landed = tmp_path / "landing" / "listens" / "a.jsonl"
    landed.parent.mkdir(parents=True)
    landed.write_text("{}")
    os.utime(landed, (1, 1))
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_command_refuses_the_folder_in_one_line_and_changes_nothing(
    command: tuple[str, ...], old: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(old)
    monkeypatch.setattr(sys, "argv", ["tutti", *command])
    assert main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert str(old) in line
    assert "no format number" in line
    assert contents(old) == before


@pytest.mark.slow
@pytest.mark.parametrize("job", ["import_listens", "build_catalog", "daily", "erase_listener"])
def test_a_run_refuses_the_folder(job: str, old: Path) -> None:
    before, defs = contents(old), build("laptop")
    config = {"erase": {"config": {"listener": "ada", "listener_again": "ada"}}} if job == "erase_listener" else {}
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def(job).execute_in_process(
            run_config={"ops": config},
            instance=instance,
            partition_key="2024-01-01" if job == "daily" else None,
            raise_on_error=False,
        )
    assert not result.success
    assert contents(old) == before


def test_the_sensor_of_landed_files_refuses_the_folder(old: Path) -> None:
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance) as context,
        pytest.raises(TuttiError, match="no format number"),
    ):
        landing_files(context)


def test_a_new_folder_gets_a_format_number(tmp_path: Path) -> None:
    Lake(tmp_path / "lake").replace("layer/table", iter([pa.table({"n": [1]})]), pa.schema([("n", pa.int64())]))
    assert (tmp_path / "lake" / FILE).exists()
