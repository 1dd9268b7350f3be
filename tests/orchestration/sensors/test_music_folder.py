"""The music folder while the daemon runs, and from the command line."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from assets.content.audio_features import AUDIO_FEATURES
from assets.content.audio_files import AUDIO_FILES
from orchestration.cadence import analyse_music
from orchestration.sensors.music_folder import music_changes, summary
from resources.lake.lake import Lake


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


@pytest.fixture
def music(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUTTI_DATA", str(tmp_path))
    monkeypatch.delenv("TUTTI_MUSIC", raising=False)
    (tmp_path / "music").mkdir()
    return tmp_path / "music"


class Looks:
    """The sensor, look after look."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor = instance, ""

    def asked(self) -> bool:
        """Whether a look asks for a run."""
        context = dg.build_sensor_context(self.instance, cursor=self.cursor)
        told = music_changes(context)
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
        dg.Definitions(assets=[a_table], jobs=[dg.define_asset_job(analyse_music.name)]).resolve_job_def(
            analyse_music.name
        ),
        status=dg.DagsterRunStatus.STARTED,
    )
    assert not looks.asked()
    instance.report_run_canceled(run)
    assert looks.asked()


@dg.asset
def a_table() -> None:
    """Something for a job to make."""


def test_a_summary_tells_of_files_reasons_tempo_and_keys(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    files = [{"path": n, "content_sha256": n, "bytes": 10**9} for n in "abcdefgh"]
    heard = [
        {"path": n, "duration_s": 1800.0, "tempo_bpm": tempo, "key": "C", "mode": "major"}
        for n, tempo in (("a", 121.0), ("b", 128.9), ("c", 30.0))
    ]
    heard += [{"path": n, "error": "not audio"} for n in "hgfe"]
    heard.append({"path": "d", "error": "cannot be read: Permission denied"})
    lake.replace("content/audio_files", iter([pa.Table.from_pylist(files, AUDIO_FILES)]), AUDIO_FILES)
    lake.replace("content/audio_features", iter([pa.Table.from_pylist(heard, AUDIO_FEATURES)]), AUDIO_FEATURES)
    assert summary(lake) == [
        "8 files, 8.0 GB: 3 analysed, 1.5 hours; 5 unreadable",
        "  4 × not audio: e, f, g …",
        "  1 × cannot be read: Permission denied: d",
        "tempo: 40 ▄       █           220, most often 120 beats per minute",
        "keys: C major 3",
    ]
    assert summary(Lake(tmp_path / "new")) == ["0 files, 0.0 MB: 0 analysed, 0.0 minutes; 0 unreadable"]
