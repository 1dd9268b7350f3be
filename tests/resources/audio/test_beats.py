"""Beats: tempo and beats through gaps and tempo changes, from any start."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from resources.audio.beats import MAX_BPM, MIN_BPM, rhythm, tempo, track
from resources.audio.onsets import RATE, peaks

pytestmark = pytest.mark.slow  # seconds of audio are computed


def curve(at: np.ndarray, seconds: float) -> np.ndarray:
    frames = np.random.default_rng(0).uniform(0, 0.15, int(seconds * RATE))
    frames[np.rint(at * RATE).astype(int)] = 0.9
    return frames


@given(bpm=st.floats(80, 180), first=st.floats(0, 0.3), seed=st.integers(0, 99))
def test_finds_the_tempo_although_some_strokes_are_missing(bpm: float, first: float, seed: int) -> None:
    at = np.arange(first, 14.9, 60 / bpm)
    present = np.random.default_rng(seed).random(len(at)) < 0.85
    frames, _ = track(curve(at[present], 15), RATE, MIN_BPM, MAX_BPM)
    assert min(abs(tempo(frames, RATE) * level / bpm - 1) for level in (0.5, 1, 2)) < 0.01
    halves = np.arange(first, 14.9, 30 / bpm)
    # After several missing strokes of a slow tempo, the next beats are off: 4 of 20 at 80.5 BPM.
    assert np.mean(np.abs(frames[:, None] / RATE - halves).min(axis=1) < 0.05) > 0.75


def test_follows_a_tempo_that_slows_down() -> None:
    at = np.cumsum(np.linspace(0.45, 0.6, 40))
    frames, _ = track(curve(at, at[-1] + 0.5), RATE, MIN_BPM, MAX_BPM)
    assert np.median(np.abs(frames[:, None] / RATE - at).min(axis=1)) < 0.03
    assert len(frames) == pytest.approx(40, abs=1)


def test_finds_beats_in_successive_pieces_of_different_tempo() -> None:
    ends = np.arange(0, 100, 20)
    at = np.concatenate(
        [np.arange(end + 0.2, end + 19.8, 60 / bpm) for end, bpm in zip(ends, range(70, 170, 20), strict=True)]
    )
    result = rhythm(curve(at, 100), RATE, np.full(5000, 0.02), 50)
    assert result.tempo_bpm is not None
    assert np.mean(np.abs(np.array(result.beats)[:, None] - at).min(axis=1) < 0.05) > 0.8


def quavers(interval_s: float, strengths: list[float], seconds: float = 20) -> np.ndarray:
    """Return an onset curve of quavers whose strengths repeat, with a little noise."""
    frames = np.random.default_rng(0).uniform(0, 0.1, int(seconds * RATE))
    at = np.rint(np.arange(0.1, seconds - 0.2, interval_s) * RATE).astype(int)
    frames[at] = np.resize(strengths, len(at))
    spread = gaussian_filter1d(frames, 1)
    return spread / spread.max()


@pytest.mark.parametrize("bpm", [82, 87, 93, 100, 105, 110, 117, 126])
def test_three_quavers_make_a_beat_if_every_third_is_stronger(bpm: float) -> None:
    result = rhythm(quavers(60 / bpm / 3, [0.9, 0.5, 0.7]), RATE, np.full(1000, 0.02), 50)
    assert result.tempo_bpm == pytest.approx(bpm, rel=0.01)


@pytest.mark.parametrize("bpm", [84, 98, 112, 126, 140, 161])
@pytest.mark.parametrize("strengths", [[0.9, 0.5], [0.9, 0.5, 0.7, 0.5], [1, 0, 0, 0.9, 0, 0, 0.9, 0]])
def test_two_quavers_make_a_beat_if_every_second_or_fourth_is_stronger(bpm: float, strengths: list[float]) -> None:
    result = rhythm(quavers(60 / bpm / 2, strengths), RATE, np.full(1000, 0.02), 50)
    assert result.tempo_bpm is not None
    assert min(abs(result.tempo_bpm * level / bpm - 1) for level in (0.5, 1, 2)) < 0.01


def test_the_tempo_is_within_the_requested_range() -> None:
    frames, _ = track(curve(np.arange(0.1, 14, 0.5), 15), RATE, 180, 260)
    assert tempo(frames, RATE) == pytest.approx(240, rel=0.01)


@pytest.mark.parametrize("frames", [0, 1, 5, 60, 500])
def test_silence_has_no_rhythm(frames: int) -> None:
    assert rhythm(np.zeros(frames), RATE, np.zeros(frames // 2 + 1), RATE / 2) == (None, 0.0, [])
    assert len(peaks(np.zeros(frames))) == 0
