"""Samples of real exports, where a folder of them is at hand: TUTTI_SAMPLES holds `importers/`."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources.errors import TuttiError
from resources.sources import exports

NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def samples() -> Path:
    folder = os.environ.get("TUTTI_SAMPLES")
    if not folder:
        pytest.skip("TUTTI_SAMPLES names no folder of samples")
    return Path(folder) / "importers"


@pytest.mark.parametrize(
    ("name", "listens"),
    [
        ("spotify_streaming_endsong_0.json", 5),
        ("spotify_streaming_2023.json", 5),
        ("listenbrainz_listens.jsonl", 2),
        ("valid_import.json", 2),
        ("valid_single.json", 1),
        ("additional_info.json", 1),
        ("same_batch_duplicates.json", 3),
    ],
)
def test_a_sample_gives_all_its_listens(samples: Path, name: str, listens: int) -> None:
    reads = list(exports.read(samples / name, "ann", NOW))
    assert [each.reason for each in reads] == [None] * listens
    assert sum(each.listen is not None for each in reads) == listens


@pytest.mark.parametrize(
    ("name", "reason"), [("timestamp_in_ns.json", "finer"), ("listen_having_unicode_null.json", "NUL")]
)
def test_a_sample_of_a_malformed_listen_is_quarantined(samples: Path, name: str, reason: str) -> None:
    [read] = exports.read(samples / name, "ann", NOW)
    assert reason in str(read.reason)


@pytest.mark.parametrize(
    "name",
    ["valid_playing_now.json", "invalid_listen_nan_in_json.json", "maloja.json", "panoscrobbler.jsonl", "librefm.csv"],
)
def test_a_sample_without_a_listen_we_read_is_refused(samples: Path, name: str) -> None:
    with pytest.raises(TuttiError, match="holds no listens"):
        list(exports.read(samples / name, "ann", NOW))
