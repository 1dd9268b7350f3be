"""Onsets: where notes and strokes begin.

How much each band of the spectrum grows from one frame to the next, on a logarithmic scale (spectral flux; Böck &
Widmer, "Maximum Filter Vibrato Suppression for Onset Detection", DAFx 2013).
"""

import math

import numpy as np
from scipy.fft import rfft
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from resources.audio.frames import Frames
from resources.audio.spectrum import SAMPLE_RATE

SIZE, HOP = 1024, 220
RATE = SAMPLE_RATE / HOP  # frames a second, about 100
LOWEST, HIGHEST, BANDS = 30.0, 10_000.0, 60
LAG = 2  # frames between the spectra that are compared: a stroke takes that long to rise
COMPRESSION = 1000.0  # how far below the loudest a band still counts
WINDOW = np.hanning(SIZE + 1)[:-1].astype(np.float32)
FEWEST_S = 0.03  # between two onsets
ABOVE = 0.1


class OnsetCurve:
    """Spectral flux of a stream of mono samples at SAMPLE_RATE, RATE values a second."""

    def __init__(self) -> None:
        self._frames = Frames(SIZE, HOP)
        self._filters = band_filters().T.copy()
        self._loudest = 0.0
        self._before = np.zeros((LAG, BANDS), np.float32)
        self._flux: list[np.ndarray] = []

    def feed(self, samples: np.ndarray, last: bool = False) -> None:
        """Take in the next samples, of shape [n]: half a minute at a time, as levels are held against the loudest."""
        frames = self._frames.feed(samples, last)
        if not len(frames):
            return
        bands = np.abs(rfft(frames * WINDOW, axis=1)) @ self._filters
        self._loudest = max(self._loudest, float(bands.max()))
        bands = np.concatenate([self._before, bands])
        self._before = bands[-LAG:]
        level = np.log1p(COMPRESSION / (self._loudest or 1) * bands)
        wide = maximum_filter1d(level[:-LAG], 3, axis=1)
        self._flux.append(np.maximum(level[LAG:] - wide, 0).mean(axis=1))

    def flux(self) -> np.ndarray:
        """All of the curve, of shape [frames]."""
        return np.concatenate(self._flux) if self._flux else np.zeros(0)


def band_filters() -> np.ndarray:
    """Overlapping triangles, spaced as the ear does on the mel scale: [bands, bins]."""
    lowest, highest = (2595 * math.log10(1 + hertz / 700) for hertz in (LOWEST, HIGHEST))
    edges = 700 * (10 ** (np.linspace(lowest, highest, BANDS + 2) / 2595) - 1)
    hertz = np.fft.rfftfreq(SIZE, 1 / SAMPLE_RATE)
    rise = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rise, fall))
    empty = triangles.sum(axis=1) == 0
    triangles[empty, np.abs(hertz - edges[1:-1][empty, None]).argmin(axis=1)] = 1
    return (triangles / triangles.sum(axis=1, keepdims=True)).astype(np.float32)


def peaks(flux: np.ndarray) -> np.ndarray:
    """Frames at which something begins: local maxima that stand out from what is around them."""
    if not len(flux):
        return np.zeros(0, np.int64)
    around = uniform_filter1d(flux, int(0.2 * RATE) | 1, mode="nearest")
    highest = maximum_filter1d(flux, 2 * max(1, round(FEWEST_S * RATE)) + 1, mode="nearest")
    return np.flatnonzero((flux == highest) & (flux > around + ABOVE * flux.max()))
