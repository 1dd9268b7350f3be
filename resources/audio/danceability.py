"""Danceability: how regular the level of a recording is at the time scale of beats and bars.

The method is detrended fluctuation analysis, on the scale that Essentia and AcousticBrainz use. Source: Streich &
Herrera, "Detrended Fluctuation Analysis of Music Signals: Danceability Estimation and further Semantic
Characterization", AES 118, 2005.
"""

import numpy as np

from resources.audio.block_sums import BlockSums

BLOCK_S = 0.01
MIN_WINDOW_MS, MAX_WINDOW_MS, WINDOW_RATIO = 310.0, 8800.0, 1.1  # from a beat to a few bars
MIN_WINDOWS = 13  # about a second of sound
PART_BLOCKS = 8192  # processed at a time: sums over hours would lose digits


class DanceabilityMeter:
    """Measure the danceability of a stream of mono samples."""

    def __init__(self, sample_rate: int) -> None:
        self._length = int(sample_rate * BLOCK_S)  # rounded down, as in Essentia
        self._sums = BlockSums(self._length)

    def feed(self, mono: np.ndarray) -> None:
        """Process the next samples, of shape [frames]."""
        wide = mono.astype(np.float64)
        self._sums.feed(np.stack([wide, wide * wide], axis=1))

    def danceability(self) -> float | None:
        """Return a value from 0 to about 3, or None if the stream is too short or its level is constant."""
        sums = self._sums.complete()
        if not len(sums):
            return None
        mean, square = (sums / self._length).T
        return danceability(np.sqrt(np.maximum(square - mean * mean, 0.0)))


def danceability(levels: np.ndarray) -> float | None:
    """Compute danceability from the standard deviations of consecutive blocks of 10 ms."""
    walk = np.cumsum(levels - levels.mean())
    lengths, fluctuations = [], []
    tau = MIN_WINDOW_MS
    while tau <= MAX_WINDOW_MS:
        length = int(tau / (1000 * BLOCK_S))
        if length >= len(walk):
            break
        lengths.append(length)
        fluctuations.append(_fluctuation(walk, length))
        tau *= WINDOW_RATIO
    positive = np.array(fluctuations) > 0
    if positive.sum() < MIN_WINDOWS or not positive.all():
        return None
    slopes = np.diff(np.log10(fluctuations)) / np.diff(np.log10(np.array(lengths) + 3.0))
    mean = float(slopes.mean())
    return 1 / mean if mean > 0 else None


def _fluctuation(walk: np.ndarray, length: int) -> float:
    """Return the root mean square of all windows of a length, after removing the linear trend of each."""
    jump = max(length // 50, 1)
    starts = np.arange(0, len(walk) - length, jump)
    at = np.arange(PART_BLOCKS + length, dtype=float)
    total = 0.0
    for part in np.split(starts, np.arange(PART_BLOCKS // jump, len(starts), PART_BLOCKS // jump)):
        within = walk[part[0] : part[-1] + length]
        within = within - within.mean()
        values = (within, within * within, within * at[: len(within)])
        sums, squares, moments = (
            running[part - part[0] + length] - running[part - part[0]]
            for running in (np.concatenate([[0.0], np.cumsum(each)]) for each in values)
        )
        covariance = moments - (part - part[0] + (length - 1) / 2) * sums
        rest = squares - sums * sums / length - covariance**2 / (length * (length * length - 1) / 12)
        total += float(np.maximum(rest, 0.0).sum())
    windows = (len(walk) - length) / jump  # fractional, as in Essentia
    return float(np.sqrt(total / windows / length))
