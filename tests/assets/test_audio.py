"""The music folder as tables: each content is analyzed once, and no file makes a run fail."""

import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import mutagen
import numpy as np
import pyarrow as pa
import pytest
import soundfile
from mutagen.flac import Picture
from PIL import Image

from assets.content import audio_analyses, audio_features, audio_files
from assets.content.audio_analyses import AUDIO_ANALYSES
from assets.content.audio_features import AUDIO_FEATURES, NOT_ANALYZED
from assets.content.audio_files import AUDIO_FILES
from resources.audio import features
from resources.audio.feature_schema import VERSION
from resources.engines.resource import ENGINES, EngineName, EngineResource
from resources.folders.music import UNREADABLE_NAME, Music
from resources.frames.frame import Engine
from resources.lake import incremental
from resources.lake.io_manager import LakeIO
from resources.lake.lake import Lake
from resources.lake.write_transaction import WriteTransaction
from resources.schema import declared
from tests.oracle import Row

pytestmark = pytest.mark.process  # a worker process analyzes the sounds

RECORDING = "b1a9c0e9-d987-4042-ae91-78d6a3267d69"
MODULES = (audio_files, audio_analyses, audio_features)
ASSETS: Sequence[Any] = (audio_files.audio_files, audio_analyses.audio_analyses, audio_features.audio_features)
SCHEMAS = {"audio_files": AUDIO_FILES, "audio_analyses": AUDIO_ANALYSES, "audio_features": AUDIO_FEATURES}


@dataclass
class Folder:
    """A music folder, and the platform that analyzes it."""

    root: Path
    engine: str = "pandas"
    messages: list[str] = field(default_factory=list)

    @property
    def music(self) -> Path:
        return self.root / "music"

    @property
    def lake(self) -> Lake:
        return Lake(self.root / self.engine / "lake")

    def analyze(self, retry_failed: bool = False, checks: bool = False) -> dg.ExecuteInProcessResult:
        """Build the three tables, and with `checks` check them."""
        engine = EngineResource(name=EngineName(self.engine), memory_gb=1, spill_dir=str(self.root / "spill"))
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                [*ASSETS, *(check for module in MODULES for check in module.checks if checks)],
                resources={
                    "io_manager": LakeIO(engine=engine, root=str(self.lake.root)),
                    "music": Music(root=str(self.music)),
                },
                run_config={"ops": {"content__audio_analyses": {"config": {"retry_failed": retry_failed}}}},
                instance=instance,
            )
            self.messages = [log.user_message for log in instance.all_logs(result.run_id) if not log.is_dagster_event]
        return result

    def rows(self, table: str) -> dict[str, Row]:
        """Return a table's rows by path, or by content."""
        rows = self.lake.scan(f"content/{table}", SCHEMAS[table]).table().to_pylist()
        key = "content_sha256" if table == "audio_analyses" else "path"
        assert len({r[key] for r in rows}) == len(rows)
        return {r[key]: r for r in rows}

    def sound(self, path: str, hz: float = 440, seconds: float = 1) -> Path:
        """Write a tone in the format of the path's suffix."""
        file = self.music / path
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, 0.5 * np.sin(np.arange(int(8_000 * seconds)) * hz / 1_273), 8_000)
        return file

    def mark(self) -> None:
        """Mark every analysis. Only a new analysis removes the mark."""
        self._set("note", "mark")

    def age(self) -> None:
        """Give every analysis the previous version."""
        self._set("version", VERSION - 1)

    def _set(self, column: str, value: str | int) -> None:
        table = self.lake.scan("content/audio_analyses", AUDIO_ANALYSES).table()
        index, old = table.schema.get_field_index(column), table.schema.field(column)
        changed = table.set_column(index, old, pa.array([value] * len(table), old.type))
        self.lake.replace("content/audio_analyses", iter([changed]), AUDIO_ANALYSES, order=["content_sha256"])

    def marked(self) -> set[str]:
        """Return the files that were not analyzed since `mark`."""
        return {path for path, row in self.rows("audio_features").items() if row["note"] == "mark"}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "music").mkdir()
    return Folder(tmp_path)


def passed(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {f"{e.asset_key.path[-1]} {e.check_name}": e.passed for e in result.get_asset_check_evaluations()}


def test_reads_tags_covers_and_features_of_a_music_folder(folder: Folder) -> None:
    tagged = mutagen.File(folder.sound("Ann/Song.flac", seconds=3))
    tagged["title"], tagged["artist"], tagged["musicbrainz_trackid"] = "Song", "Ann", RECORDING
    Image.new("RGB", (40, 20), (255, 0, 0)).save(folder.root / "cover.png")
    cover = Picture()
    cover.type, cover.data = 3, (folder.root / "cover.png").read_bytes()
    tagged.add_picture(cover)
    tagged.save()
    folder.sound("b.wav", seconds=2)
    (folder.music / "text.mp3").write_text("hello\n")
    (folder.music / "empty.ogg").touch()
    (folder.music / "cover.jpg").touch()
    result = folder.analyze(checks=True)
    assert result.success
    files = folder.rows("audio_files")
    assert sorted(files) == ["Ann/Song.flac", "b.wav", "empty.ogg", "text.mp3"]
    song = files["Ann/Song.flac"]
    assert (song["title"], song["artist"], song["recording_id"], song["error"]) == ("Song", "Ann", RECORDING, None)
    assert (song["container"], song["sample_rate"], song["duration_s"]) == ("flac", 8_000, 3)
    assert (song["cover_width"], song["cover_colors"], song["cover_shares"]) == (40, ["#ff0000"], [1.0])
    features = folder.rows("audio_features")
    assert sorted(features) == sorted(files)
    assert features["Ann/Song.flac"]["duration_s"] == pytest.approx(3)
    assert features["Ann/Song.flac"]["recording_id"] == RECORDING
    assert features["Ann/Song.flac"]["error"] is features["b.wav"]["error"] is None
    assert "text" in features["text.mp3"]["error"]
    assert "empty" in features["empty.ogg"]["error"]
    checks = passed(result)
    assert {name for name, fine in checks.items() if not fine} == {
        "audio_analyses error_rate",
        "audio_files error_rate",
    }  # these only warn
    shown = {m: set(folder_metadata(result, m)) for m in ("audio_files", "audio_features", "audio_analyses")}
    assert {"formats", "errors", "lengths", "covers", "preview"} <= shown["audio_files"]
    assert {"waveforms", "features", "preview"} <= shown["audio_features"]
    assert {"features", "errors", "times_real_time"} <= shown["audio_analyses"]
    assert any("4 of 4 files" in s and "times real time" in s for s in folder.messages)


def folder_metadata(result: dg.ExecuteInProcessResult, asset: str) -> Any:
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key and e.asset_key.path[-1] == asset]
    return event.materialization.metadata


def test_moved_and_copied_files_are_not_analyzed_again(folder: Folder) -> None:
    for n, name in enumerate(("stays", "moves", "changes", "goes", "is touched")):
        folder.sound(f"{name}.wav", 300 + n)
    shutil.copy(folder.music / "stays.wav", folder.music / "copy.wav")
    folder.analyze()
    before = folder.rows("audio_files")
    assert len(folder.rows("audio_analyses")) == 5  # two files have equal content
    folder.mark()
    (folder.music / "deep").mkdir()
    (folder.music / "moves.wav").rename(folder.music / "deep" / "moved.wav")
    folder.sound("changes.wav", 800)
    (folder.music / "goes.wav").unlink()
    os.utime(folder.music / "is touched.wav", (1, 1))
    folder.sound("new.wav", 900)
    assert folder.analyze().success
    files = folder.rows("audio_files")
    assert sorted(files) == ["changes.wav", "copy.wav", "deep/moved.wav", "is touched.wav", "new.wav", "stays.wav"]
    assert files["deep/moved.wav"]["content_sha256"] == before["moves.wav"]["content_sha256"]
    assert files["changes.wav"]["content_sha256"] != before["changes.wav"]["content_sha256"]
    assert files["is touched.wav"]["modified_at"].timestamp() == 1
    assert sorted(folder.rows("audio_features")) == sorted(files)
    assert folder.marked() == {"stays.wav", "copy.wav", "deep/moved.wav", "is touched.wav"}
    assert "2 files to analyze, 5 analyzed before" in folder.messages
    folder.mark()
    folder.sound("goes.wav", 303)  # returns
    folder.analyze()
    assert folder.marked() == set(folder.rows("audio_files")) >= {"goes.wav"}


def test_an_unchanged_file_is_not_opened_again(folder: Folder) -> None:
    file = folder.sound("a.wav")
    folder.analyze()
    before, status = folder.rows("audio_files"), file.stat()
    file.write_bytes(b"x" * status.st_size)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert folder.analyze().success
    assert folder.rows("audio_files") == before


def test_an_older_version_of_an_analysis_is_rebuilt(folder: Folder) -> None:
    folder.sound("a.wav")
    folder.analyze()
    folder.age()
    folder.analyze()
    assert [r["version"] for r in folder.rows("audio_analyses").values()] == [VERSION]


def test_undecodable_files_are_analyzed_again_with_retry_failed(folder: Folder) -> None:
    (folder.music / "text.mp3").write_text("hello\n")
    folder.analyze()
    folder.analyze()
    assert "0 files to analyze, 1 analyzed before" in folder.messages
    folder.analyze(retry_failed=True)
    assert "1 files to analyze, 1 analyzed before" in folder.messages


@pytest.mark.parametrize("state", ["missing", "empty", "only pictures"])
def test_an_unavailable_music_folder_leaves_the_tables_as_they_are(folder: Folder, state: str) -> None:
    folder.sound("a.wav")
    (folder.music / "empty.ogg").touch()
    folder.analyze()
    before = folder.rows("audio_files"), folder.rows("audio_features")
    folder.music.rename(folder.root / "elsewhere")
    if state != "missing":
        folder.music.mkdir()
    if state == "only pictures":
        (folder.music / "cover.jpg").touch()
    assert folder.analyze(retry_failed=True).success
    assert (folder.rows("audio_files"), folder.rows("audio_features")) == before
    assert any(str(folder.music) in s and "keeps its 2 files" in s for s in folder.messages)


def test_without_a_music_folder_the_tables_are_empty(folder: Folder) -> None:
    folder.music.rmdir()
    assert folder.analyze().success
    assert [folder.rows(table) for table in SCHEMAS] == [{}, {}, {}]


def test_an_unreadable_subfolder_keeps_its_files(folder: Folder, stale: Callable[[Path], None]) -> None:
    folder.sound("a.wav")
    folder.sound("drive/b.wav", 500)
    folder.analyze()
    stale(folder.music / "drive")
    (folder.music / "a.wav").unlink()
    folder.sound("c.wav", 600)
    assert folder.analyze().success
    assert sorted(folder.rows("audio_features")) == ["c.wav", "drive/b.wav"]
    assert any("cannot open folder: drive" in s for s in folder.messages)


def test_an_unreadable_file_is_a_row_with_the_reason(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.sound("a.wav")
    (folder.music / os.fsdecode(b"caf\xe9.wav")).write_bytes(b"RIFF")
    (folder.music / "secret.wav").write_bytes(b"RIFF")
    monkeypatch.setattr(audio_files, "read_files", read_as_another_user)
    assert folder.analyze().success
    errors = {path: (row["content_sha256"], row["error"]) for path, row in folder.rows("audio_files").items()}
    assert errors[r"caf\xe9.wav"] == (None, UNREADABLE_NAME)
    assert errors["secret.wav"] == (None, "cannot be read: Permission denied")
    features = {path: (row["content_sha256"], row["error"]) for path, row in folder.rows("audio_features").items()}
    assert features.pop("a.wav")[1] is None
    assert features == {path: errors[path] for path in (r"caf\xe9.wav", "secret.wav")}
    monkeypatch.undo()
    folder.analyze()  # now it may be read
    assert folder.rows("audio_files")["secret.wav"]["content_sha256"] is not None


def read_as_another_user(files: pa.Table, root: str) -> pa.Table:
    """Call `read_files` as a user who may not read secrets."""
    opened = Path.open

    def closed(self: Path, *args: Any) -> Any:
        if self.name == "secret.wav":
            raise PermissionError(13, "Permission denied")
        return opened(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", closed)
        return audio_files.read_files(files, root)


def test_files_deleted_during_a_run_are_skipped(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        folder.sound(f"{n}.wav", 400 + n)
    monkeypatch.setattr(audio_files, "read_files", read_too_late)
    assert folder.analyze().success
    assert sorted(folder.rows("audio_files")) == ["0.wav", "2.wav"]
    assert any("1 files were deleted" in s for s in folder.messages)
    monkeypatch.undo()
    folder.sound("3.wav", 403)
    monkeypatch.setattr(audio_analyses, "analyze", analyze_too_late)
    result = folder.analyze(checks=True)
    assert result.success
    assert folder.rows("audio_features")["3.wav"]["error"] == NOT_ANALYZED
    assert passed(result)["audio_features covers_upstream"]
    assert passed(result)["audio_features exactly_one_set"]


def test_analyses_of_files_deleted_during_a_run_stay(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in (1, 2, 3):
        folder.sound(f"{n}.wav", 400 + n)
    folder.analyze()
    folder.age()
    folder.mark()
    os.utime(folder.music / "1.wav", (1, 1))
    monkeypatch.setattr(audio_files, "read_files", read_too_late)
    monkeypatch.setattr(audio_analyses, "analyze", analyze_too_late)
    assert folder.analyze().success
    assert folder.marked() == {"1.wav", "3.wav"}
    assert not any(row["error"] for row in folder.rows("audio_features").values())
    assert any("2 files were deleted or changed" in s for s in folder.messages)
    monkeypatch.undo()
    folder.analyze()
    assert sorted(folder.rows("audio_features")) == ["2.wav"]
    assert len(folder.rows("audio_analyses")) == 3  # still there if the files return


def test_an_analysis_of_a_file_that_changed_meanwhile_is_discarded(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.sound("3.wav")
    monkeypatch.setattr(audio_analyses, "analyze", analyze_while_written)
    assert folder.analyze().success
    assert folder.rows("audio_features")["3.wav"]["error"] == NOT_ANALYZED
    monkeypatch.undo()
    folder.analyze()
    assert folder.rows("audio_features")["3.wav"]["duration_s"] == 2


def read_too_late(files: pa.Table, root: str) -> pa.Table:
    if files["path"].to_pylist() == ["1.wav"]:
        Path(root, "1.wav").unlink()
    return audio_files.read_files(files, root)


def analyze_too_late(files: pa.Table, root: str) -> pa.Table:
    if files["path"].to_pylist() == ["3.wav"]:
        Path(root, "3.wav").unlink()
    return audio_analyses.analyze(files, root)


def analyze_while_written(files: pa.Table, root: str) -> pa.Table:
    original = features.features

    def written(path: Path) -> features.Features:
        values = original(path)
        soundfile.write(path, np.sin(np.arange(16_000) / 3), 8_000)
        return values

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "features", written)
        return audio_analyses.analyze(files, root)


def test_a_file_that_crashes_its_process_is_a_row_with_the_reason(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        folder.sound(f"{n}.wav", 400 + n)
    monkeypatch.setattr(audio_analyses, "analyze", analyze_with_a_bad_decoder)
    result = folder.analyze(checks=True)
    assert result.success
    errors = {path: row["error"] for path, row in folder.rows("audio_features").items()}
    assert "SIGSEGV" in errors.pop("1.wav")
    assert errors == dict.fromkeys(("0.wav", "2.wav", "3.wav"))
    assert not passed(result)["audio_analyses error_rate"]


def analyze_with_a_bad_decoder(files: pa.Table, root: str) -> pa.Table:
    if files["path"].to_pylist() == ["1.wav"]:
        os.kill(os.getpid(), signal.SIGSEGV)
    return audio_analyses.analyze(files, root)


def test_a_killed_run_keeps_its_analyses(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(6):
        folder.sound(f"{n}.wav", 400 + n)
    monkeypatch.setattr(incremental, "MIN_BATCH_FILES", 2)
    monkeypatch.setattr(incremental, "MAX_BATCH_FILES", 2)
    publish, left = WriteTransaction.publish, [2]

    def killed(self: WriteTransaction, *args: Any) -> Any:
        if Path(self.folder).name == "audio_analyses":
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
        return publish(self, *args)

    monkeypatch.setattr(WriteTransaction, "publish", killed)
    with pytest.raises((KeyboardInterrupt, dg.DagsterExecutionInterruptedError)):
        folder.analyze()
    monkeypatch.setattr(WriteTransaction, "publish", publish)
    analyzed = set(folder.rows("audio_analyses"))
    assert len(analyzed) == 4
    folder.mark()
    assert folder.analyze().success
    assert "2 files to analyze, 4 analyzed before" in folder.messages
    assert {r["content_sha256"] for r in folder.rows("audio_features").values() if r["note"] == "mark"} == analyzed
    assert len(folder.rows("audio_features")) == 6


def test_impossible_feature_values_become_an_error(folder: Folder) -> None:
    file = folder.music / "loud.wav"
    soundfile.write(file, np.sin(np.arange(16_000) / 3) * 1e6, 8_000, subtype="FLOAT")
    result = folder.analyze(checks=True)
    assert result.success
    assert all(fine for name, fine in passed(result).items() if "error_rate" not in name)
    row = folder.rows("audio_features")["loud.wav"]
    assert row["error"] is None or "impossible values: loudness_lufs" in row["error"]


def test_every_engine_builds_the_same_audio_tables(engine: Engine, tmp_path: Path) -> None:
    names = {engine: name for name, engine in ENGINES.items()}
    ours, theirs = Folder(tmp_path, names[type(engine).__name__]), Folder(tmp_path / "reference")
    ours.music.mkdir()
    for n, kind in enumerate(("flac", "ogg", "wav")):
        ours.sound(f"é {n}.{kind}", 300 + n, seconds=2)
    shutil.copy(ours.music / "é 0.flac", ours.music / "again.flac")
    (ours.music / "text.mp3").write_text("hello\n")
    shutil.copytree(ours.music, theirs.music)
    assert ours.analyze().success
    assert theirs.analyze().success
    for table in SCHEMAS:
        assert ours.rows(table) == theirs.rows(table)
    (ours.music / "again.flac").unlink()
    assert ours.analyze().success
    assert len(ours.rows("audio_features")) == 4


def test_every_feature_has_a_column_with_its_unit() -> None:
    for asset, schema in zip(ASSETS, SCHEMAS.values(), strict=True):
        (spec,) = asset.specs
        assert declared(spec.metadata) == schema
    assert AUDIO_FEATURES.field("tempo_bpm").metadata[b"comment"].endswith(b"(beats per minute)")
    assert AUDIO_FEATURES.field("beats").type == pa.list_(pa.float64())
    assert AUDIO_FEATURES.field("key").type == pa.string()
