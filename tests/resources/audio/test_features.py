"""Features: sounds whose tempo, beats, key and level are known, and unusual or broken files."""

import dataclasses
import math
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from resources.audio.features import Features, Undecodable, features
from tests.resources.audio.support import RATE, beats, drums, f_measure, place, snare, song, tone, written

pytestmark = pytest.mark.slow  # seconds of audio are computed

NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@pytest.fixture(autouse=True)
def _no_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def analyzed(tmp_path: Path, samples: np.ndarray, rate: int = RATE, **options: str) -> Features:
    return features(written(tmp_path / "a.wav", samples, rate, **options))


@pytest.mark.parametrize("bpm", [75, 96, 120, 137, 168])
@pytest.mark.parametrize("beats_per_bar", [3, 4])
def test_drums_have_their_tempo_and_beats(tmp_path: Path, bpm: float, beats_per_bar: int) -> None:
    result = analyzed(tmp_path, drums(bpm, 15, beats_per_bar))
    assert result.tempo_bpm is not None
    assert min(abs(result.tempo_bpm * level / bpm - 1) for level in (0.5, 1, 2)) < 0.02
    assert result.tempo_confidence > 0.3
    if abs(result.tempo_bpm / bpm - 1) < 0.02:
        assert f_measure(result.beats, beats(bpm, 15)) > 0.9


def test_swing_keeps_its_beat(tmp_path: Path) -> None:
    result = analyzed(tmp_path, drums(110, 15, swing=0.66))
    assert result.tempo_bpm == pytest.approx(110, rel=0.02)


def test_beats_are_in_order_and_within_the_recording(tmp_path: Path) -> None:
    result = analyzed(tmp_path, drums(100, 12))
    assert result.beats == sorted(set(result.beats))
    assert result.beats[0] >= 0 and result.beats[-1] < result.duration_s


@pytest.mark.parametrize(
    "samples",
    [tone(220, 12), np.random.default_rng(0).normal(0, 0.1, 12 * RATE), place([(5.0, snare())], 12)],
    ids=["tone", "noise", "one stroke"],
)
def test_sounds_without_a_beat_have_no_tempo(tmp_path: Path, samples: np.ndarray) -> None:
    result = analyzed(tmp_path, samples)
    assert (result.tempo_bpm, result.beats, result.tempo_confidence) == (None, [], 0)


@pytest.mark.parametrize(("tonic", "mode"), [(0, "major"), (3, "major"), (6, "minor"), (7, "major"), (9, "minor")])
def test_a_cadence_is_in_its_key(tmp_path: Path, tonic: int, mode: str) -> None:
    result = analyzed(tmp_path, song(tonic, mode, 100, 12))
    assert (result.key, result.mode) == (NAMES[tonic], mode)
    assert result.key_confidence > 0.2


def test_the_key_is_found_a_third_of_a_semitone_sharp(tmp_path: Path) -> None:
    result = analyzed(tmp_path, song(5, "major", 100, 12), round(RATE * 2 ** (1 / 36)))
    assert (result.key, result.mode) == ("F", "major")


def test_every_field_has_a_description_and_a_column_type(tmp_path: Path) -> None:
    result = analyzed(tmp_path, song(0, "major", 120, 8))
    for field in dataclasses.fields(Features):
        assert field.metadata["description"]
        value = getattr(result, field.name)
        assert value is None or type(value) in (float, int, str, list), field.name
        if isinstance(value, list):
            assert all(type(number) is float and math.isfinite(number) for number in value), field.name
        if isinstance(value, float):
            assert math.isfinite(value), field.name
    assert (len(result.mfcc_mean), len(result.chroma_mean), len(result.spectral_contrast_mean)) == (20, 12, 7)
    assert len(result.waveform) == 200 and max(result.waveform) == pytest.approx(
        10 ** (result.peak_dbfs / 20), rel=1e-3
    )
    assert result.note is None


def test_volume_changes_the_level_but_not_tempo_or_key(tmp_path: Path) -> None:
    samples = song(2, "minor", 110, 12)
    loud, quiet = analyzed(tmp_path, samples), analyzed(tmp_path, samples / 8)
    assert loud.loudness_lufs is not None and quiet.loudness_lufs is not None
    assert loud.loudness_lufs - quiet.loudness_lufs == pytest.approx(18.06, abs=0.1)
    assert (loud.key, loud.mode) == (quiet.key, quiet.mode)
    assert loud.tempo_bpm == pytest.approx(quiet.tempo_bpm, rel=0.02)
    assert loud.energy > quiet.energy


def test_loud_busy_and_bright_sounds_have_more_energy(tmp_path: Path) -> None:
    assert analyzed(tmp_path, drums(160, 10)).energy > analyzed(tmp_path, tone(150, 10, level=0.05)).energy + 0.3


def test_a_steady_level_is_less_danceable_than_drums(tmp_path: Path) -> None:
    dance, hiss = (
        analyzed(tmp_path, drums(120, 20)),
        analyzed(tmp_path, np.random.default_rng(0).normal(0, 0.1, 20 * RATE)),
    )
    assert dance.danceability is not None and hiss.danceability is not None
    assert dance.danceability > hiss.danceability


def test_onsets_are_counted(tmp_path: Path) -> None:
    strokes = place([(0.25 + i * 0.5, snare()) for i in range(20)], 10.5)
    assert analyzed(tmp_path, strokes).onset_rate == pytest.approx(20 / 10.5, abs=0.3)


def test_a_tone_has_its_spectrum_and_pitch_class(tmp_path: Path) -> None:
    result = analyzed(tmp_path, tone(880, 5))
    assert result.spectral_centroid_mean == pytest.approx(880, rel=0.05)
    assert result.zero_crossing_rate_mean == pytest.approx(2 * 880 / RATE, rel=0.05)
    assert result.rms_mean == pytest.approx(0.5 / math.sqrt(2), rel=0.02)
    assert (
        result.spectral_flatness_mean
        < 0.01
        < analyzed(tmp_path, np.random.default_rng(0).normal(0, 0.1, RATE)).spectral_flatness_mean
    )
    assert int(np.argmax(result.chroma_mean)) == NAMES.index("A")


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_sample_rate_and_channels_change_little(tmp_path: Path, rate: int, channels: int) -> None:
    samples = np.repeat(tone(440, 3, rate)[:, None], channels, axis=1)
    result = analyzed(tmp_path, samples, rate)
    assert result.duration_s == pytest.approx(3, abs=0.01)
    assert result.spectral_centroid_mean == pytest.approx(440, rel=0.1)
    assert result.peak_dbfs == pytest.approx(-6.02, abs=0.05)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM"])
def test_sample_format_changes_little(tmp_path: Path, subtype: str) -> None:
    result = analyzed(tmp_path, tone(440, 2), subtype=subtype)
    assert result.peak_dbfs == pytest.approx(-6.02, abs=0.3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_invalid_samples_count_as_silence_and_are_noted(tmp_path: Path, bad: float) -> None:
    samples = tone(440, 3)
    samples[1000:1010] = bad
    result = analyzed(tmp_path, samples, subtype="FLOAT")
    assert result.note is not None and result.note.startswith("10 samples")
    assert result.peak_dbfs == pytest.approx(-6.02, abs=0.1)


def test_peaks_at_and_beyond_full_scale_are_reported(tmp_path: Path) -> None:
    assert analyzed(tmp_path, np.clip(10 * tone(440, 2), -1, 1)).peak_dbfs == pytest.approx(0, abs=0.01)
    assert analyzed(tmp_path, 4 * tone(440, 2), subtype="FLOAT").peak_dbfs == pytest.approx(6.02, abs=0.05)


def test_a_constant_offset_changes_no_feature(tmp_path: Path) -> None:
    plain, offset = analyzed(tmp_path, 0.5 * drums(120, 10)), analyzed(tmp_path, 0.5 * drums(120, 10) + 0.4)
    assert offset.loudness_lufs == pytest.approx(plain.loudness_lufs, abs=0.2)
    assert offset.tempo_bpm == pytest.approx(plain.tempo_bpm, rel=0.01)
    assert offset.spectral_centroid_mean == pytest.approx(plain.spectral_centroid_mean, rel=0.05)
    assert offset.danceability == pytest.approx(plain.danceability, abs=0.01)


@pytest.mark.parametrize("level", [0.0, 0.3, 1e-5])
def test_silence_is_reported_as_such(tmp_path: Path, level: float) -> None:
    samples = np.full(2 * RATE, level) if level > 0.1 else tone(440, 2, level=level)
    with pytest.raises(Undecodable, match="silent"):
        analyzed(tmp_path, samples, subtype="FLOAT")


@pytest.mark.parametrize("frames", [2, 100, 2205])
def test_a_very_short_sound_has_the_features_that_need_no_length(tmp_path: Path, frames: int) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (frames, 2)).astype(np.float32)
    result = analyzed(tmp_path, samples)
    assert result.duration_s == pytest.approx(frames / RATE)
    assert (result.tempo_bpm, result.loudness_lufs, result.loudness_range_lu, result.danceability) == (None,) * 4
    assert len(result.waveform) == 200


def test_a_truncated_file_is_analyzed_up_to_its_end(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 10 * RATE)
    path = written(tmp_path / "a.flac", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = features(path)
    assert 4 < result.duration_s < 6
    assert result.note is not None


def test_an_overlong_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.audio.features.MAX_DURATION_S", 10)
    path = written(tmp_path / "a.flac", np.zeros(20 * RATE, np.int16))
    with pytest.raises(Undecodable, match="too long"):
        features(path)


def test_the_same_file_has_the_same_features(tmp_path: Path) -> None:
    path = written(tmp_path / "a.flac", song(0, "major", 90, 8))
    assert features(path) == features(path)
