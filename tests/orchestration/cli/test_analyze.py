"""The summary that the command `analyze` prints."""

from pathlib import Path

import pyarrow as pa

from assets.content.audio_features import AUDIO_FEATURES
from assets.content.audio_files import AUDIO_FILES
from orchestration.cli.analyze import summary
from resources.lake.lake import Lake


def test_summary_shows_files_reasons_tempos_and_keys(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    files = [{"path": n, "content_sha256": n, "bytes": 10**9} for n in "abcdefgh"]
    analyzed = [
        {"path": n, "duration_s": 1800.0, "tempo_bpm": tempo, "key": "C", "mode": "major"}
        for n, tempo in (("a", 121.0), ("b", 128.9), ("c", 30.0))
    ]
    analyzed += [{"path": n, "error": "not audio"} for n in "hgfe"]
    analyzed.append({"path": "d", "error": "cannot be read: Permission denied"})
    lake.replace("content/audio_files", iter([pa.Table.from_pylist(files, AUDIO_FILES)]), AUDIO_FILES)
    lake.replace("content/audio_features", iter([pa.Table.from_pylist(analyzed, AUDIO_FEATURES)]), AUDIO_FEATURES)
    assert summary(lake) == [
        "8 files (8.0 GB), 3 analyzed (1.5 hours), 5 unreadable",
        "  4 × not audio: e, f, g …",
        "  1 × cannot be read: Permission denied: d",
        "tempo: 40 ▄       █           220, most often 120 beats per minute",
        "keys: C major 3",
    ]
    assert summary(Lake(tmp_path / "new")) == ["0 files (0.0 MB), 0 analyzed (0.0 minutes)"]
