"""Onsets: the times at which notes and drum strokes begin.

Spectral flux: the growth of each band of the spectrum between frames, on a logarithmic scale. Source: Böck & Widmer,
"Maximum Filter Vibrato Suppression for Onset Detection", DAFx 2013.
"""

import math

import numpy as np
from scipy.fft import rfft
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from resources.audio.frames import Frames
from resources.audio.spectrum import SAMPLE_RATE

SIZE, HOP = 1024, 220  # samples
RATE = SAMPLE_RATE / HOP  # frames per second, about 100
MIN_HZ, MAX_HZ, BANDS = 30.0, 10_000.0, 60
LAG_FRAMES = 2  # between the compared spectra, about the rise time of a stroke
COMPRESSION = 1000.0  # a larger value gives bands below the loudest more weight
WINDOW = np.hanning(SIZE + 1)[:-1].astype(np.float32)
MIN_DISTANCE_S = 0.03  # between two onsets
MIN_PROMINENCE = 0.1  # over the surroundings, relative to the highest peak


class OnsetCurve:
    """Compute the spectral flux of a stream of mono samples at SAMPLE_RATE, RATE values per second."""

    def __init__(self) -> None:
        self._frames = Frames(SIZE, HOP)
        self._filters = band_filters().T.copy()
        self._loudest = 0.0
        self._before = np.zeros((LAG_FRAMES, BANDS), np.float32)
        self._flux: list[np.ndarray] = []

    def feed(self, samples: np.ndarray, last: bool = False) -> None:
        """Process the next samples, of shape [n]. `last` ends the stream.

        Feed about half a minute at a time: levels are relative to the loudest so far.
        """
        frames = self._frames.feed(samples, last)
        if not len(frames):
            return
        bands = np.abs(rfft(frames * WINDOW, axis=1)) @ self._filters
        self._loudest = max(self._loudest, float(bands.max()))
        bands = np.concatenate([self._before, bands])
        self._before = bands[-LAG_FRAMES:]
        level = np.log1p(COMPRESSION / (self._loudest or 1) * bands)
        wide = maximum_filter1d(level[:-LAG_FRAMES], 3, axis=1)
        self._flux.append(np.maximum(level[LAG_FRAMES:] - wide, 0).mean(axis=1))

    def flux(self) -> np.ndarray:
        """Return the whole curve, of shape [frames]."""
        return np.concatenate(self._flux) if self._flux else np.zeros(0)


def band_filters() -> np.ndarray:
    """Compute overlapping triangles, equally spaced on the mel scale, of shape [bands, bins]."""
    lowest, highest = (2595 * math.log10(1 + hertz / 700) for hertz in (MIN_HZ, MAX_HZ))
    edges = 700 * (10 ** (np.linspace(lowest, highest, BANDS + 2) / 2595) - 1)
    hertz = np.fft.rfftfreq(SIZE, 1 / SAMPLE_RATE)
    rise = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rise, fall))
    empty = triangles.sum(axis=1) == 0
    triangles[empty, np.abs(hertz - edges[1:-1][empty, None]).argmin(axis=1)] = 1
    return (triangles / triangles.sum(axis=1, keepdims=True)).astype(np.float32)


def peaks(flux: np.ndarray) -> np.ndarray:
    """Return the frames of the onsets: local maxima that stand out from their surroundings, of shape [onsets]."""
    if not len(flux):
        return np.zeros(0, np.int64)
    around = uniform_filter1d(flux, int(0.2 * RATE) | 1, mode="nearest")
    highest = maximum_filter1d(flux, 2 * max(1, round(MIN_DISTANCE_S * RATE)) + 1, mode="nearest")
    return np.flatnonzero((flux == highest) & (flux > around + MIN_PROMINENCE * flux.max()))
