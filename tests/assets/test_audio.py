"""A music folder becomes tables: each content is listened to once, and nothing that lies there makes a run fail."""

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
from assets.content.audio_features import AUDIO_FEATURES, MISSED
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

pytestmark = pytest.mark.process  # a process of its own analyzes the sounds

RECORDING = "b1a9c0e9-d987-4042-ae91-78d6a3267d69"
MODULES = (audio_files, audio_analyses, audio_features)
ASSETS: Sequence[Any] = (audio_files.audio_files, audio_analyses.audio_analyses, audio_features.audio_features)
SCHEMAS = {"audio_files": AUDIO_FILES, "audio_analyses": AUDIO_ANALYSES, "audio_features": AUDIO_FEATURES}


@dataclass
class Folder:
    """A music folder, and the platform that listens to it."""

    root: Path
    engine: str = "pandas"
    said: list[str] = field(default_factory=list)

    @property
    def music(self) -> Path:
        return self.root / "music"

    @property
    def lake(self) -> Lake:
        return Lake(self.root / self.engine / "lake")

    def listen(self, again: bool = False, checks: bool = False) -> dg.ExecuteInProcessResult:
        """Make the three tables, and check them if asked to."""
        engine = EngineResource(name=EngineName(self.engine), memory_gb=1, spill_dir=str(self.root / "spill"))
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                [*ASSETS, *(check for module in MODULES for check in module.checks if checks)],
                resources={
                    "io_manager": LakeIO(engine=engine, root=str(self.lake.root)),
                    "music": Music(root=str(self.music)),
                },
                run_config={"ops": {"content__audio_analyses": {"config": {"retry_failed": again}}}},
                instance=instance,
            )
            self.said = [log.user_message for log in instance.all_logs(result.run_id) if not log.is_dagster_event]
        return result

    def rows(self, table: str) -> dict[str, Row]:
        """A table's rows by path, or by content."""
        found = self.lake.scan(f"content/{table}", SCHEMAS[table]).table().to_pylist()
        key = "content_sha256" if table == "audio_analyses" else "path"
        assert len({r[key] for r in found}) == len(found)
        return {r[key]: r for r in found}

    def sound(self, path: str, hz: float = 440, seconds: float = 1) -> Path:
        """A tone, in whatever format its name asks for."""
        file = self.music / path
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, 0.5 * np.sin(np.arange(int(8_000 * seconds)) * hz / 1_273), 8_000)
        return file

    def mark(self) -> None:
        """Leave a mark in every analysis, which only listening again removes."""
        self._set("note", "mark")

    def age(self) -> None:
        """Make every analysis one of the version before."""
        self._set("version", VERSION - 1)

    def _set(self, column: str, value: str | int) -> None:
        table = self.lake.scan("content/audio_analyses", AUDIO_ANALYSES).table()
        place, kept = table.schema.get_field_index(column), table.schema.field(column)
        changed = table.set_column(place, kept, pa.array([value] * len(table), kept.type))
        self.lake.replace("content/audio_analyses", iter([changed]), AUDIO_ANALYSES, order=["content_sha256"])

    def marked(self) -> set[str]:
        """The files that were not listened to since."""
        return {path for path, row in self.rows("audio_features").items() if row["note"] == "mark"}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "music").mkdir()
    return Folder(tmp_path)


def passed(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {f"{e.asset_key.path[-1]} {e.check_name}": e.passed for e in result.get_asset_check_evaluations()}


def test_a_folder_becomes_tables(folder: Folder) -> None:
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
    result = folder.listen(checks=True)
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
    }  # which only warn
    shown = {m: set(folder_metadata(result, m)) for m in ("audio_files", "audio_features", "audio_analyses")}
    assert {"formats", "errors", "lengths", "covers", "preview"} <= shown["audio_files"]
    assert {"waveforms", "features", "preview"} <= shown["audio_features"]
    assert {"features", "errors", "times_real_time"} <= shown["audio_analyses"]
    assert any(s.startswith("listened to 4 of 4 files") and "times real time" in s for s in folder.said)


def folder_metadata(result: dg.ExecuteInProcessResult, asset: str) -> Any:
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key and e.asset_key.path[-1] == asset]
    return event.materialization.metadata


def test_what_was_listened_to_is_not_again_wherever_it_lies(folder: Folder) -> None:
    for n, name in enumerate(("stays", "moves", "changes", "goes", "is touched")):
        folder.sound(f"{name}.wav", 300 + n)
    shutil.copy(folder.music / "stays.wav", folder.music / "copy.wav")
    folder.listen()
    before = folder.rows("audio_files")
    assert len(folder.rows("audio_analyses")) == 5  # two have one content
    folder.mark()
    (folder.music / "deep").mkdir()
    (folder.music / "moves.wav").rename(folder.music / "deep" / "moved.wav")
    folder.sound("changes.wav", 800)
    (folder.music / "goes.wav").unlink()
    os.utime(folder.music / "is touched.wav", (1, 1))
    folder.sound("new.wav", 900)
    assert folder.listen().success
    files = folder.rows("audio_files")
    assert sorted(files) == ["changes.wav", "copy.wav", "deep/moved.wav", "is touched.wav", "new.wav", "stays.wav"]
    assert files["deep/moved.wav"]["content_sha256"] == before["moves.wav"]["content_sha256"]
    assert files["changes.wav"]["content_sha256"] != before["changes.wav"]["content_sha256"]
    assert files["is touched.wav"]["modified_at"].timestamp() == 1
    assert sorted(folder.rows("audio_features")) == sorted(files)
    assert folder.marked() == {"stays.wav", "copy.wav", "deep/moved.wav", "is touched.wav"}
    assert "2 contents to listen to, 5 were before" in folder.said
    folder.mark()
    folder.sound("goes.wav", 303)  # comes back
    folder.listen()
    assert folder.marked() == set(folder.rows("audio_files")) >= {"goes.wav"}


def test_a_file_that_did_not_change_is_not_opened(folder: Folder) -> None:
    file = folder.sound("a.wav")
    folder.listen()
    before, told = folder.rows("audio_files"), file.stat()
    file.write_bytes(b"x" * told.st_size)
    os.utime(file, ns=(told.st_atime_ns, told.st_mtime_ns))
    assert folder.listen().success
    assert folder.rows("audio_files") == before


def test_an_analysis_of_an_older_version_is_made_again(folder: Folder) -> None:
    folder.sound("a.wav")
    folder.listen()
    folder.age()
    folder.listen()
    assert [r["version"] for r in folder.rows("audio_analyses").values()] == [VERSION]


def test_what_could_not_be_decoded_is_tried_again_when_asked_for(folder: Folder) -> None:
    (folder.music / "text.mp3").write_text("hello\n")
    folder.listen()
    folder.listen()
    assert "0 contents to listen to, 1 were before" in folder.said
    folder.listen(again=True)
    assert "1 contents to listen to, 1 were before" in folder.said


@pytest.mark.parametrize("away", ["gone", "empty", "only pictures"])
def test_a_folder_that_is_away_leaves_the_tables_as_they_are(folder: Folder, away: str) -> None:
    folder.sound("a.wav")
    (folder.music / "empty.ogg").touch()
    folder.listen()
    before = folder.rows("audio_files"), folder.rows("audio_features")
    folder.music.rename(folder.root / "elsewhere")
    if away != "gone":
        folder.music.mkdir()
    if away == "only pictures":
        (folder.music / "cover.jpg").touch()
    assert folder.listen(again=True).success
    assert (folder.rows("audio_files"), folder.rows("audio_features")) == before
    assert any("the 2 files known stay as they are" in s for s in folder.said)


def test_a_folder_that_never_was_makes_tables_without_rows(folder: Folder) -> None:
    folder.music.rmdir()
    assert folder.listen().success
    assert [folder.rows(table) for table in SCHEMAS] == [{}, {}, {}]


def test_a_folder_within_that_cannot_be_looked_into_keeps_its_files(
    folder: Folder, stale: Callable[[Path], None]
) -> None:
    folder.sound("a.wav")
    folder.sound("drive/b.wav", 500)
    folder.listen()
    stale(folder.music / "drive")
    (folder.music / "a.wav").unlink()
    folder.sound("c.wav", 600)
    assert folder.listen().success
    assert sorted(folder.rows("audio_features")) == ["c.wav", "drive/b.wav"]
    assert "drive cannot be looked into: what was known of it stays" in folder.said


def test_a_file_that_cannot_be_read_is_a_row_with_the_reason(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.sound("a.wav")
    (folder.music / os.fsdecode(b"caf\xe9.wav")).write_bytes(b"RIFF")
    (folder.music / "secret.wav").write_bytes(b"RIFF")
    monkeypatch.setattr(audio_files, "described", described_as_another_user)
    assert folder.listen().success
    told = {path: (row["content_sha256"], row["error"]) for path, row in folder.rows("audio_files").items()}
    assert told[r"caf\xe9.wav"] == (None, UNREADABLE_NAME)
    assert told["secret.wav"] == (None, "cannot be read: Permission denied")
    features = {path: (row["content_sha256"], row["error"]) for path, row in folder.rows("audio_features").items()}
    assert features.pop("a.wav")[1] is None
    assert features == {path: told[path] for path in (r"caf\xe9.wav", "secret.wav")}
    monkeypatch.undo()
    folder.listen()  # may be read by now
    assert folder.rows("audio_files")["secret.wav"]["content_sha256"] is not None


def described_as_another_user(files: pa.Table, root: str) -> pa.Table:
    """As `described`, by somebody who may not read secrets."""
    opened = Path.open

    def closed(self: Path, *args: Any) -> Any:
        if self.name == "secret.wav":
            raise PermissionError(13, "Permission denied")
        return opened(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", closed)
        return audio_files.described(files, root)


def test_files_that_vanish_while_they_are_read_are_skipped(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        folder.sound(f"{n}.wav", 400 + n)
    monkeypatch.setattr(audio_files, "described", described_too_late)
    assert folder.listen().success
    assert sorted(folder.rows("audio_files")) == ["0.wav", "2.wav"]
    assert "1 files were gone before they could be read" in folder.said
    monkeypatch.undo()
    folder.sound("3.wav", 403)
    monkeypatch.setattr(audio_analyses, "analyzed", analysed_too_late)
    result = folder.listen(checks=True)
    assert result.success
    assert folder.rows("audio_features")["3.wav"]["error"] == MISSED
    assert passed(result)["audio_features covers_upstream"]
    assert passed(result)["audio_features exactly_one_set"]


def test_what_is_known_of_a_file_that_vanishes_while_it_is_read_again_stays(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in (1, 2, 3):
        folder.sound(f"{n}.wav", 400 + n)
    folder.listen()
    folder.age()
    folder.mark()
    os.utime(folder.music / "1.wav", (1, 1))
    monkeypatch.setattr(audio_files, "described", described_too_late)
    monkeypatch.setattr(audio_analyses, "analyzed", analysed_too_late)
    assert folder.listen().success
    assert folder.marked() == {"1.wav", "3.wav"}
    assert not any(row["error"] for row in folder.rows("audio_features").values())
    assert "2 files were gone or changed: they are listened to the next time" in folder.said
    monkeypatch.undo()
    folder.listen()
    assert sorted(folder.rows("audio_features")) == ["2.wav"]
    assert len(folder.rows("audio_analyses")) == 3  # what was heard is there when they come back


def test_what_was_heard_of_a_file_that_was_written_to_meanwhile_is_not_taken_for_what_lay_there(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.sound("3.wav")
    monkeypatch.setattr(audio_analyses, "analyzed", analysed_while_written)
    assert folder.listen().success
    assert folder.rows("audio_features")["3.wav"]["error"] == MISSED
    monkeypatch.undo()
    folder.listen()
    assert folder.rows("audio_features")["3.wav"]["duration_s"] == 2


def described_too_late(files: pa.Table, root: str) -> pa.Table:
    if files["path"].to_pylist() == ["1.wav"]:
        Path(root, "1.wav").unlink()
    return audio_files.described(files, root)


def analysed_too_late(files: pa.Table, root: str) -> pa.Table:
    if files["path"].to_pylist() == ["3.wav"]:
        Path(root, "3.wav").unlink()
    return audio_analyses.analyzed(files, root)


def analysed_while_written(files: pa.Table, root: str) -> pa.Table:
    heard = features.features

    def written(path: Path) -> features.Features:
        found = heard(path)
        soundfile.write(path, np.sin(np.arange(16_000) / 3), 8_000)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "features", written)
        return audio_analyses.analyzed(files, root)


def test_a_file_that_takes_its_process_down_is_a_row_with_the_reason(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        folder.sound(f"{n}.wav", 400 + n)
    monkeypatch.setattr(audio_analyses, "analyzed", analysed_by_a_bad_decoder)
    result = folder.listen(checks=True)
    assert result.success
    errors = {path: row["error"] for path, row in folder.rows("audio_features").items()}
    assert errors == dict.fromkeys(("0.wav", "2.wav", "3.wav")) | {
        "1.wav": "the process that read it was ended by SIGSEGV"
    }
    assert not passed(result)["audio_analyses error_rate"]


def analysed_by_a_bad_decoder(files: pa.Table, root: str) -> pa.Table:
    if files["path"].to_pylist() == ["1.wav"]:
        os.kill(os.getpid(), signal.SIGSEGV)
    return audio_analyses.analyzed(files, root)


def test_a_run_that_is_killed_keeps_what_it_heard(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
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
        folder.listen()
    monkeypatch.setattr(WriteTransaction, "publish", publish)
    heard = set(folder.rows("audio_analyses"))
    assert len(heard) == 4
    folder.mark()
    assert folder.listen().success
    assert "2 contents to listen to, 4 were before" in folder.said
    assert {r["content_sha256"] for r in folder.rows("audio_features").values() if r["note"] == "mark"} == heard
    assert len(folder.rows("audio_features")) == 6


def test_features_that_cannot_be_are_no_features(folder: Folder) -> None:
    file = folder.music / "loud.wav"
    soundfile.write(file, np.sin(np.arange(16_000) / 3) * 1e6, 8_000, subtype="FLOAT")
    result = folder.listen(checks=True)
    assert result.success
    assert all(fine for name, fine in passed(result).items() if "error_rate" not in name)
    row = folder.rows("audio_features")["loud.wav"]
    assert row["error"] is None or "no recording sounds like this: loudness_lufs" in row["error"]


def test_every_engine_makes_the_same_tables(engine: Engine, tmp_path: Path) -> None:
    names = {engine: name for name, engine in ENGINES.items()}
    ours, theirs = Folder(tmp_path, names[type(engine).__name__]), Folder(tmp_path / "reference")
    ours.music.mkdir()
    for n, kind in enumerate(("flac", "ogg", "wav")):
        ours.sound(f"é {n}.{kind}", 300 + n, seconds=2)
    shutil.copy(ours.music / "é 0.flac", ours.music / "again.flac")
    (ours.music / "text.mp3").write_text("hello\n")
    shutil.copytree(ours.music, theirs.music)
    assert ours.listen().success
    assert theirs.listen().success
    for table in SCHEMAS:
        assert ours.rows(table) == theirs.rows(table)
    (ours.music / "again.flac").unlink()
    assert ours.listen().success
    assert len(ours.rows("audio_features")) == 4


def test_every_feature_has_a_column_with_its_unit() -> None:
    for asset, schema in zip(ASSETS, SCHEMAS.values(), strict=True):
        (spec,) = asset.specs
        assert declared(spec.metadata) == schema
    assert AUDIO_FEATURES.field("tempo_bpm").metadata[b"comment"].endswith(b"(beats per minute)")
    assert AUDIO_FEATURES.field("beats").type == pa.list_(pa.float64())
    assert AUDIO_FEATURES.field("key").type == pa.string()
