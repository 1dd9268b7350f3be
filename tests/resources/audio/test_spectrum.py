"""Spectrum: equal to librosa 0.11 on the same samples, however they are split into pieces."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.audio.block_sums import BlockSums
from resources.audio.frames import Frames
from resources.audio.running_stats import RunningStats
from resources.audio.spectrum import Spectrum
from tests.resources.audio.support import song

MFCC_MEAN = [-395.6, 214.9, 26.81, 1.176, 19.15, -1.23, -7.578, -4.757, -9.532, -8.723]
MFCC_MEAN += [-10.18, -13.67, -7.278, -1.073, -5.241, -9.692, -9.497, -13.19, -12.02, 2.186]
MFCC_STD = [52.48, 41.68, 29.26, 18.06, 10.18, 18.08, 11.6, 10.76, 11.59, 10.06]
MFCC_STD += [14.67, 15.9, 13.29, 14.11, 11.04, 9.03, 9.208, 13.42, 11.85, 11.66]
CHROMA_MEAN = [0.381, 0.144, 0.163, 0.201, 0.473, 0.325, 0.115, 0.0852, 0.22, 0.414, 0.18, 0.273]
CONTRAST_MEAN = [33.0, 23.89, 32.66, 35.94, 47.64, 29.17, 8.061]


@pytest.fixture(scope="module")
def spectrum() -> Spectrum:
    statistics = Spectrum()
    statistics.feed(song(9, "minor", 100, 6), last=True)
    return statistics


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("rms", 0.07224, 0.04577),
        ("zero_crossing_rate", 0.0422, 0.01165),
        ("centroid", 655.9, 221.3),
        ("bandwidth", 629.5, 193.7),
        ("rolloff", 1269.0, 462.1),
    ],
)
def test_a_statistic_equals_librosa(spectrum: Spectrum, name: str, mean: float, std: float) -> None:
    stats: RunningStats = getattr(spectrum, name)
    assert stats.mean()[0] == pytest.approx(mean, rel=0.01)
    assert stats.std()[0] == pytest.approx(std, rel=0.01)


def test_cepstrum_chroma_and_contrast_equal_librosa(spectrum: Spectrum) -> None:
    assert spectrum.mfcc.mean() == pytest.approx(MFCC_MEAN, abs=0.3)
    assert spectrum.mfcc.std() == pytest.approx(MFCC_STD, abs=0.3)
    assert spectrum.chroma.mean() == pytest.approx(CHROMA_MEAN, abs=0.03)
    assert spectrum.contrast.mean()[1:] == pytest.approx(CONTRAST_MEAN[1:], abs=1)


@given(st.integers(0, 3000), st.integers(1, 64), st.floats(0, 1), st.lists(st.integers(0, 900), max_size=8))
def test_frames_do_not_depend_on_how_samples_are_split(count: int, size: int, overlap: float, cuts: list[int]) -> None:
    hop = max(1, round(size * (1 - overlap)))
    samples = np.arange(count, dtype=np.float32)
    at_once = Frames(size, hop).feed(samples, last=True)
    frames = Frames(size, hop)
    pieces = [frames.feed(piece) for piece in np.split(samples, sorted(cuts))]
    assert np.array_equal(np.concatenate([*pieces, frames.feed(samples[:0], last=True)]), at_once)
    assert len(at_once) == 1 + count // hop


@given(
    st.integers(0, 2000),
    st.floats(1, 300),
    st.lists(st.integers(0, 2000), max_size=8),
    st.sampled_from(["add", "maximum"]),
)
def test_block_sums_do_not_depend_on_how_values_are_split(
    count: int, length: float, cuts: list[int], name: str
) -> None:
    values, reduce = np.random.default_rng(count).integers(0, 99, (count, 2)), getattr(np, name)
    sums = BlockSums(length, reduce)
    for piece in np.split(values, sorted(cuts)):
        sums.feed(piece)
    edges = [round(n * length) for n in range(count + 2)]
    expected = [reduce.reduce(values[a:b]) for a, b in pairwise(edges) if b <= count]
    assert np.array_equal(sums.complete().reshape(-1, 2), np.reshape(expected, (-1, 2)))


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=50), st.integers(0, 50))
def test_running_stats_equal_those_of_all_rows(values: list[float], cut: int) -> None:
    rows = np.array(values)[:, None]
    stats = RunningStats(1)
    for part in np.split(rows, [cut]):
        stats.feed(part)
    assert stats.mean()[0] == pytest.approx(rows.mean(), abs=1e-6)
    assert stats.std()[0] == pytest.approx(rows.std(), abs=1e-2)
