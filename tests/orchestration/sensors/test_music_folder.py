"""The sensor of the music folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from assets.content.audio_files import AUDIO_FILES
from orchestration.cadence import ANALYZE_MUSIC
from orchestration.sensors.music_folder import music_folder
from resources.folders.music import Music
from resources.lake.lake import Lake


@dg.job(name=ANALYZE_MUSIC)
def analyze() -> None:
    """A job of that name."""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def music(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("TUTTI_MUSIC_DIR", raising=False)
    (tmp_path / "music").mkdir()
    return tmp_path / "music"


class Sensor:
    """The sensor, tick by tick."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor = instance, ""

    def requests_run(self) -> bool:
        """Return whether a tick requests a run."""
        context = dg.build_sensor_context(self.instance, cursor=self.cursor)
        result = music_folder(context)
        if isinstance(result, dg.SkipReason):
            return False
        self.cursor = result.cursor or self.cursor
        return bool(result.run_requests)


def test_requests_an_analysis_once_a_changed_folder_is_stable(instance: dg.DagsterInstance, music: Path) -> None:
    sensor = Sensor(instance)
    assert not sensor.requests_run()  # nothing in it
    (music / "a.flac").write_bytes(b"1")
    assert [sensor.requests_run() for _ in range(3)] == [False, True, False]
    (music / "cover.jpg").write_bytes(b"1")
    assert not sensor.requests_run()
    (music / "b.flac").write_bytes(b"1")
    assert not sensor.requests_run()
    (music / "b.flac").write_bytes(b"12")  # still being written
    assert [sensor.requests_run() for _ in range(3)] == [False, True, False]
    (music / "b.flac").unlink()  # as it was before
    assert [sensor.requests_run() for _ in range(3)] == [False, True, False]
    os.utime(music / "a.flac", (1, 1))
    assert [sensor.requests_run() for _ in range(3)] == [False, True, False]
    music.rename(music.parent / "away")
    assert not sensor.requests_run()
    (music.parent / "away").rename(music)
    assert not sensor.requests_run()


def test_requests_nothing_during_an_analysis(instance: dg.DagsterInstance, music: Path) -> None:
    sensor = Sensor(instance)
    (music / "a.flac").write_bytes(b"1")
    assert not sensor.requests_run()
    run = instance.create_run_for_job(
        dg.Definitions(assets=[a_table], jobs=[dg.define_asset_job(ANALYZE_MUSIC)]).resolve_job_def(ANALYZE_MUSIC),
        status=dg.DagsterRunStatus.STARTED,
    )
    assert not sensor.requests_run()
    instance.report_run_canceled(run)
    assert sensor.requests_run()


@dg.asset
def a_table() -> None:
    """An asset for a job to build."""


def test_requests_no_analysis_of_files_that_a_command_has_analyzed(instance: dg.DagsterInstance, music: Path) -> None:
    (music / "a.flac").write_bytes(b"1")
    look = Music(root=str(music)).scan()
    assert look
    row = look.files.to_pylist()[0] | {"error": None}
    stored = [dict.fromkeys(AUDIO_FILES.names) | row]
    schema = pa.schema([f.with_nullable(True) for f in AUDIO_FILES])
    Lake(music.parent / "lake").replace("content/audio_files", iter([pa.Table.from_pylist(stored, schema)]), schema)
    run = instance.create_run_for_job(analyze, status=dg.DagsterRunStatus.STARTED)
    sensor = Sensor(instance)
    assert not sensor.requests_run()  # it is running
    instance.report_run_canceled(run)
    instance.create_run_for_job(analyze, status=dg.DagsterRunStatus.SUCCESS)
    assert [sensor.requests_run() for _ in range(3)] == [False, False, False]
    (music / "b.flac").write_bytes(b"2")
    assert [sensor.requests_run() for _ in range(3)] == [False, True, False]
