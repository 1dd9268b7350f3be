"""The music folder's sensor."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from orchestration.cadence import ANALYZE_MUSIC
from orchestration.sensors.music_folder import music_folder


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


@pytest.fixture
def music(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("TUTTI_MUSIC_DIR", raising=False)
    (tmp_path / "music").mkdir()
    return tmp_path / "music"


class Looks:
    """The sensor, look after look."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor = instance, ""

    def asked(self) -> bool:
        """Whether a look asks for a run."""
        context = dg.build_sensor_context(self.instance, cursor=self.cursor)
        told = music_folder(context)
        if isinstance(told, dg.SkipReason):
            return False
        self.cursor = told.cursor or self.cursor
        return bool(told.run_requests)


def test_a_folder_is_listened_to_once_it_rests_and_again_when_it_changed(
    instance: dg.DagsterInstance, music: Path
) -> None:
    looks = Looks(instance)
    assert not looks.asked()  # nothing in it
    (music / "a.flac").write_bytes(b"1")
    assert [looks.asked() for _ in range(3)] == [False, True, False]
    (music / "cover.jpg").write_bytes(b"1")
    assert not looks.asked()
    (music / "b.flac").write_bytes(b"1")
    assert not looks.asked()
    (music / "b.flac").write_bytes(b"12")  # still being written
    assert [looks.asked() for _ in range(3)] == [False, True, False]
    (music / "b.flac").unlink()  # as it was before
    assert [looks.asked() for _ in range(3)] == [False, True, False]
    os.utime(music / "a.flac", (1, 1))
    assert [looks.asked() for _ in range(3)] == [False, True, False]
    music.rename(music.parent / "away")
    assert not looks.asked()
    (music.parent / "away").rename(music)
    assert not looks.asked()


def test_a_folder_that_is_being_listened_to_waits(instance: dg.DagsterInstance, music: Path) -> None:
    looks = Looks(instance)
    (music / "a.flac").write_bytes(b"1")
    assert not looks.asked()
    run = instance.create_run_for_job(
        dg.Definitions(assets=[a_table], jobs=[dg.define_asset_job(ANALYZE_MUSIC)]).resolve_job_def(ANALYZE_MUSIC),
        status=dg.DagsterRunStatus.STARTED,
    )
    assert not looks.asked()
    instance.report_run_canceled(run)
    assert looks.asked()


@dg.asset
def a_table() -> None:
    """Something for a job to make."""
