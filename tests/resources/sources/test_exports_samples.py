"""Samples of real exports, if TUTTI_SAMPLES is a folder with `importers/`."""

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources.sources import exports
from resources.sources.exports import UnsupportedFile
from resources.sources.records.listen import RecordResult
from tests.exporting import listen_of

NOW = datetime(2026, 12, 1, tzinfo=UTC)
WHOLE = {
    "additional_info.json": {"listenbrainz": 1},
    "invalid_duration.json": {"listenbrainz": 1},
    "lastfm_loved_tracks_1.json": {"lastfm": 5},
    "lastfm_loved_tracks_2.json": {"lastfm": 3},
    "librefm.csv": {"librefm": 3},
    "librefm_no_album_column.csv": {"librefm": 2},
    "librefm_via_maloja.csv": {"librefm": 3},
    "librefm_with_comments.csv": {"librefm": 3},
    "listenbrainz_listens.jsonl": {"listenbrainz": 2},
    "maloja.json": {"maloja": 2},
    "panoscrobbler.jsonl": {"panoscrobbler": 2},
    "same_batch_duplicates.json": {"listenbrainz": 3},
    "spotify_streaming_2023.json": {"spotify": 5},
    "spotify_streaming_endsong_0.json": {"spotify": 5},
    "valid_import.json": {"listenbrainz": 2},
    "valid_single.json": {"listenbrainz": 1},
}
BROKEN = {
    "listen_having_unicode_null.json": (0, "NUL"),
    "spotify_skipped_tracks.json": (14, "ms_played is missing"),
    "timestamp_in_ns.json": (0, "listened_at is after the year 9999"),
}
NOTHING = ("invalid_listen_nan_in_json.json", "too_many_tags.json")
PLAYING = "valid_playing_now.json"


@pytest.fixture
def samples() -> Path:
    folder = os.environ.get("TUTTI_SAMPLES")
    if not folder:
        pytest.skip("TUTTI_SAMPLES names no folder of samples")
    return Path(folder) / "importers"


def read(path: Path) -> list[RecordResult]:
    return list(exports.read(path, "ann", NOW))


@pytest.mark.parametrize("name", WHOLE)
def test_a_sample_yields_all_its_records(samples: Path, name: str) -> None:
    reads = read(samples / name)
    assert [each.reason for each in reads if not each.parsed] == []
    assert Counter(each.parsed.source for each in reads) == WHOLE[name]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_record_of_a_sample_is_quarantined_alone(samples: Path, name: str) -> None:
    valid, reason = BROKEN[name]
    reads = read(samples / name)
    assert sum(listen_of(each) is not None for each in reads) == valid
    (bad,) = [each for each in reads if each.reason]
    assert reason in str(bad.reason)


@pytest.mark.parametrize("name", NOTHING)
def test_a_sample_without_a_listen_is_refused(samples: Path, name: str) -> None:
    with pytest.raises(UnsupportedFile, match="supported format"):
        read(samples / name)


def test_a_sample_of_the_track_playing_now_is_skipped(samples: Path) -> None:
    assert [each.skipped for each in read(samples / PLAYING)] == ["a track that is still playing"]


def test_every_sample_is_tested(samples: Path) -> None:
    ours = {*WHOLE, *BROKEN, *NOTHING, PLAYING}
    assert {f.name for f in samples.iterdir()} - ours == set()
