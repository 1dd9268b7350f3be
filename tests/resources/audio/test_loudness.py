"""Loudness: the test signals of EBU Tech 3341 and 3342, and comparison with pyloudnorm."""

import numpy as np
import pyloudnorm
import pytest

from resources.audio.loudness import LoudnessMeter

pytestmark = pytest.mark.slow  # seconds of audio are computed

PARTS = list[tuple[float, float]]  # dBFS, seconds


def sine(parts: PARTS, rate: int = 48_000, channels: int = 2, hertz: float = 1000) -> np.ndarray:
    level = np.concatenate([np.full(int(s * rate), 10 ** (db / 20)) for db, s in parts])
    wave = level * np.sin(2 * np.pi * hertz * np.arange(len(level)) / rate)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def meter(samples: np.ndarray, rate: int, size: int = 10_000, codec: str = "") -> LoudnessMeter:
    loudness = LoudnessMeter(rate, samples.shape[1], codec)
    for start in range(0, len(samples), size):
        loudness.feed(samples[start : start + size])
    return loudness


@pytest.mark.parametrize(
    ("parts", "lufs"),
    [
        ([(-23, 20)], -23),
        ([(-33, 20)], -33),
        ([(-36, 10), (-23, 60), (-36, 10)], -23),
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23),
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23),
    ],
)
@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000])
def test_ebu_tech_3341_signals_have_their_loudness(parts: PARTS, lufs: float, rate: int) -> None:
    assert meter(sine(parts, rate), rate).integrated() == pytest.approx(lufs, abs=0.1)


@pytest.mark.parametrize(
    ("parts", "range_lu"),
    [
        ([(-20, 20), (-30, 20)], 10),
        ([(-20, 20), (-15, 20)], 5),
        ([(-40, 20), (-20, 20)], 20),
        ([(-50, 20), (-35, 20), (-20, 20), (-35, 20), (-50, 20)], 15),
    ],
)
def test_ebu_tech_3342_signals_have_their_range(parts: PARTS, range_lu: float) -> None:
    assert meter(sine(parts), 48_000).range() == pytest.approx(range_lu, abs=1)


@pytest.mark.parametrize("codec", ["pcm_16", "vorbis"])
def test_surround_channels_are_weighted_by_position(codec: str) -> None:
    """Case 6 of EBU Tech 3341: -28 dBFS left and right, -24 center, -30 surround."""
    levels = {"pcm_16": [-28, -28, -24, -10, -30, -30], "vorbis": [-28, -24, -28, -30, -30, -10]}[codec]
    samples = np.concatenate([sine([(db, 20)], channels=1) for db in levels], axis=1)
    assert meter(samples, 48_000, codec=codec).integrated() == pytest.approx(-23, abs=0.1)


def test_mono_is_three_decibels_below_stereo() -> None:
    assert meter(sine([(-23, 20)], channels=1), 48_000).integrated() == pytest.approx(-26, abs=0.1)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_loudness_equals_pyloudnorm_on_the_whole_file(rate: int, channels: int) -> None:
    random = np.random.default_rng(rate)
    swell = np.exp(np.cumsum(random.normal(0, 0.5, 80)) / 2).repeat(rate // 4)[:, None]
    swell = swell[: int(19 * rate)]  # whole tenths of a second: pyloudnorm also counts a shorter last one
    samples = (swell / swell.max() * random.normal(0, 0.3, (len(swell), channels))).astype(np.float32)
    expected = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(samples.astype(float))
    assert meter(samples, rate, size=777).integrated() == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("samples", [sine([(-80, 5)]), sine([(-20, 0.3)]), np.zeros((48_000, 2), np.float32)])
def test_quiet_or_short_sounds_have_no_loudness(samples: np.ndarray) -> None:
    assert meter(samples, 48_000).integrated() is None
    assert meter(samples, 48_000).range() is None
