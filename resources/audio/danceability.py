"""Danceability: how regular the level of a recording is over the lengths of beats and bars.

Detrended fluctuation analysis of Streich & Herrera, "Detrended Fluctuation Analysis of Music Signals: Danceability
Estimation and further Semantic Characterization", AES 118, 2005, on the scale that Essentia and AcousticBrainz use.
"""

import numpy as np

from resources.audio.block_sums import Stretches

BLOCK_S = 0.01
SHORTEST, LONGEST, STEP = 310.0, 8800.0, 1.1  # ms, ms, ratio: windows from a beat to a few bars
FEWEST = 13  # windows: a second
PART = 8192  # blocks at a time


class DanceabilityMeter:
    """Danceability of a stream."""

    def __init__(self, sample_rate: int) -> None:
        self._length = int(sample_rate * BLOCK_S)  # whole samples, as Essentia's
        self._sums = Stretches(self._length)

    def feed(self, mono: np.ndarray) -> None:
        """Take in the next samples, of shape [frames]."""
        wide = mono.astype(np.float64)
        self._sums.feed(np.stack([wide, wide * wide], axis=1))

    def danceability(self) -> float | None:
        """From 0 to about 3; None where it is too short or does not fluctuate."""
        sums = self._sums.whole()
        if not len(sums):
            return None
        mean, square = (sums / self._length).T
        return danceability(np.sqrt(np.maximum(square - mean * mean, 0.0)))


def danceability(levels: np.ndarray) -> float | None:
    """Danceability of the standard deviations of consecutive blocks of 10 ms."""
    walk = np.cumsum(levels - levels.mean())
    lengths, fluctuations = [], []
    tau = SHORTEST
    while tau <= LONGEST:
        length = int(tau / (1000 * BLOCK_S))
        if length >= len(walk):
            break
        lengths.append(length)
        fluctuations.append(_fluctuation(walk, length))
        tau *= STEP
    found = np.array(fluctuations) > 0
    if found.sum() < FEWEST or not found.all():
        return None
    slopes = np.diff(np.log10(fluctuations)) / np.diff(np.log10(np.array(lengths) + 3.0))
    mean = float(slopes.mean())
    return 1 / mean if mean > 0 else None


def _fluctuation(walk: np.ndarray, length: int) -> float:
    """Root mean square of what is left of all windows of a length once a straight line is taken away from each."""
    jump = max(length // 50, 1)
    starts = np.arange(0, len(walk) - length, jump)
    at = np.arange(PART + length, dtype=float)
    left = 0.0
    for part in np.split(starts, np.arange(PART // jump, len(starts), PART // jump)):  # sums of hours would lose digits
        within = walk[part[0] : part[-1] + length]
        within = within - within.mean()
        values = (within, within * within, within * at[: len(within)])
        sums, squares, moments = (
            running[part - part[0] + length] - running[part - part[0]]
            for running in (np.concatenate([[0.0], np.cumsum(each)]) for each in values)
        )
        covariance = moments - (part - part[0] + (length - 1) / 2) * sums
        rest = squares - sums * sums / length - covariance**2 / (length * (length * length - 1) / 12)
        left += float(np.maximum(rest, 0.0).sum())
    return float(
        np.sqrt(left / ((len(walk) - length) / jump) / length)
    )  # as Essentia counts: not how many, but how many fit
