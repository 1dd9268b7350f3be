"""Beats: the pointer follows a tempo, through gaps and changes, and begins anywhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from resources.audio.beats import FASTEST, SLOWEST, rhythm, tempo, track
from resources.audio.onsets import RATE, peaks

pytestmark = pytest.mark.slow  # seconds of audio are computed


def curve(at: np.ndarray, seconds: float) -> np.ndarray:
    frames = np.random.default_rng(0).uniform(0, 0.15, int(seconds * RATE))
    frames[np.rint(at * RATE).astype(int)] = 0.9
    return frames


@given(bpm=st.floats(80, 180), first=st.floats(0, 0.3), seed=st.integers(0, 99))
def test_strokes_some_of_them_missing_have_their_tempo(bpm: float, first: float, seed: int) -> None:
    at = np.arange(first, 14.9, 60 / bpm)
    kept = np.random.default_rng(seed).random(len(at)) < 0.85
    frames, _ = track(curve(at[kept], 15), RATE, SLOWEST, FASTEST)
    assert min(abs(tempo(frames, RATE) * level / bpm - 1) for level in (0.5, 1, 2)) < 0.01
    halves = np.arange(first, 14.9, 30 / bpm)
    assert np.mean(np.abs(frames[:, None] / RATE - halves).min(axis=1) < 0.05) > 0.9


def test_a_tempo_that_slows_down_is_followed() -> None:
    at = np.cumsum(np.linspace(0.45, 0.6, 40))
    frames, _ = track(curve(at, at[-1] + 0.5), RATE, SLOWEST, FASTEST)
    assert np.median(np.abs(frames[:, None] / RATE - at).min(axis=1)) < 0.03
    assert len(frames) == pytest.approx(40, abs=1)


def test_pieces_of_different_tempo_one_after_the_other_have_beats() -> None:
    ends = np.arange(0, 100, 20)
    at = np.concatenate(
        [np.arange(end + 0.2, end + 19.8, 60 / bpm) for end, bpm in zip(ends, range(70, 170, 20), strict=True)]
    )
    found = rhythm(curve(at, 100), RATE, np.full(5000, 0.02), 50)
    assert found.tempo_bpm is not None
    assert np.mean(np.abs(np.array(found.beats)[:, None] - at).min(axis=1) < 0.05) > 0.8


def quavers(seconds_each: float, strengths: list[float], seconds: float = 20) -> np.ndarray:
    """Strokes as strong as told, in turn, and a little noise."""
    frames = np.random.default_rng(0).uniform(0, 0.1, int(seconds * RATE))
    at = np.rint(np.arange(0.1, seconds - 0.2, seconds_each) * RATE).astype(int)
    frames[at] = np.resize(strengths, len(at))
    spread = gaussian_filter1d(frames, 1)
    return spread / spread.max()


@pytest.mark.parametrize("bpm", [82, 87, 93, 100, 105, 110, 117, 126])
def test_three_quavers_are_a_beat_where_every_third_is_stronger(bpm: float) -> None:
    found = rhythm(quavers(60 / bpm / 3, [0.9, 0.5, 0.7]), RATE, np.full(1000, 0.02), 50)
    assert found.tempo_bpm == pytest.approx(bpm, rel=0.01)


@pytest.mark.parametrize("bpm", [84, 98, 112, 126, 140, 161])
@pytest.mark.parametrize("strengths", [[0.9, 0.5], [0.9, 0.5, 0.7, 0.5], [1, 0, 0, 0.9, 0, 0, 0.9, 0]])
def test_two_quavers_are_a_beat_where_every_second_or_fourth_is_stronger(bpm: float, strengths: list[float]) -> None:
    found = rhythm(quavers(60 / bpm / 2, strengths), RATE, np.full(1000, 0.02), 50)
    assert found.tempo_bpm is not None
    assert min(abs(found.tempo_bpm * level / bpm - 1) for level in (0.5, 1, 2)) < 0.01


def test_the_tempo_lies_within_what_is_asked_for() -> None:
    frames, _ = track(curve(np.arange(0.1, 14, 0.5), 15), RATE, 180, 260)
    assert tempo(frames, RATE) == pytest.approx(240, rel=0.01)


@pytest.mark.parametrize("frames", [0, 1, 5, 60, 500])
def test_nothing_has_no_rhythm(frames: int) -> None:
    assert rhythm(np.zeros(frames), RATE, np.zeros(frames // 2 + 1), RATE / 2) == (None, 0.0, [])
    assert len(peaks(np.zeros(frames))) == 0
