"""Spectrum: statistics of timbre, the usual input of genre and mood models.

The definitions are librosa 0.10's defaults for mono sound at 22,050 Hz, so that models trained on its features work.
All come from one Fourier transform, as running sums. Source: McFee et al., "librosa: Audio and Music Signal Analysis in
Python", SciPy 2015.
"""

import math
from itertools import pairwise

import numpy as np
from scipy.fft import dct, rfft

from resources.audio.frames import Frames
from resources.audio.running_stats import RunningStats

SAMPLE_RATE = 22_050  # Hz
SIZE, HOP = 2048, 512  # samples
ROLLOFF_SHARE = 0.85
MELS, MFCCS = 128, 20
DYNAMIC_RANGE_DB = 80.0  # levels further below the loudest are raised to this
MIN_POWER = 1e-10
CONTRAST_MIN_HZ, CONTRAST_OCTAVES, CONTRAST_QUANTILE = 200.0, 6, 0.02
FREQUENCIES = np.fft.rfftfreq(SIZE, 1 / SAMPLE_RATE)
WINDOW = np.hanning(SIZE + 1)[:-1].astype(np.float32)


class Spectrum:
    """Compute statistics of a stream of mono samples at SAMPLE_RATE, over frames."""

    def __init__(self) -> None:
        self._frames = Frames(SIZE, HOP)
        self._mel = mel_filters().T.copy()
        self._chroma: np.ndarray | None = None
        self._loudest = -np.inf  # dB in any mel band
        self._highest = np.full((2, 1, 1), -np.inf)  # dB of peaks and of valleys in any octave
        self.rms, self.zero_crossing_rate = RunningStats(1), RunningStats(1)
        self.centroid, self.bandwidth, self.rolloff, self.flatness = (
            RunningStats(1),
            RunningStats(1),
            RunningStats(1),
            RunningStats(1),
        )
        self.contrast, self.mfcc, self.chroma = (
            RunningStats(CONTRAST_OCTAVES + 1),
            RunningStats(MFCCS),
            RunningStats(12),
        )

    def feed(self, samples: np.ndarray, last: bool = False) -> None:
        """Process the next samples, of shape [n]. `last` ends the stream.

        Feed about half a minute at a time: the first samples determine the tuning.
        """
        frames = self._frames.feed(samples, last)
        if not len(frames):
            return
        self.rms.feed(np.sqrt(np.einsum("fs,fs->f", frames, frames) / SIZE)[:, None])
        self.zero_crossing_rate.feed(_zero_crossings(frames)[:, None])
        magnitude = np.abs(rfft(frames * WINDOW, axis=1))
        power = magnitude * magnitude
        self._shape(magnitude, power)
        self._timbre(power)
        if self._chroma is None:
            self._chroma = chroma_filters(tuning(magnitude)).T.astype(np.float32)
        classes = power @ self._chroma
        strongest = classes.max(axis=1, keepdims=True)
        self.chroma.feed(classes / np.where(strongest > 0, strongest, 1))

    def _shape(self, magnitude: np.ndarray, power: np.ndarray) -> None:
        total = magnitude.sum(axis=1)
        some = np.where(total > 0, total, 1)
        unit = np.linspace(0, 1, magnitude.shape[1], dtype=np.float32)
        first, second = (magnitude @ np.stack([unit, unit * unit], axis=1) / some[:, None]).T
        nyquist = SAMPLE_RATE / 2
        self.centroid.feed(first[:, None] * nyquist)
        self.bandwidth.feed(np.sqrt(np.maximum(second - first * first, 0))[:, None] * nyquist)
        below_rolloff = np.cumsum(magnitude, axis=1) < ROLLOFF_SHARE * total[:, None]
        self.rolloff.feed(FREQUENCIES[below_rolloff.sum(axis=1).clip(max=len(FREQUENCIES) - 1)][:, None])
        floored = np.maximum(power, MIN_POWER)
        self.flatness.feed((np.exp(np.log(floored).mean(axis=1)) / floored.mean(axis=1))[:, None])
        ends = 10 * np.log10(np.maximum(_extremes(magnitude), MIN_POWER))
        self._highest = np.maximum(self._highest, ends.max(axis=(1, 2), keepdims=True))
        peaks, valleys = np.maximum(ends, self._highest - DYNAMIC_RANGE_DB)
        self.contrast.feed(peaks - valleys)

    def _timbre(self, power: np.ndarray) -> None:
        level = 10 * np.log10(np.maximum(power @ self._mel, MIN_POWER))
        self._loudest = max(self._loudest, float(level.max()))
        level = np.maximum(level, self._loudest - DYNAMIC_RANGE_DB)
        self.mfcc.feed(dct(level, axis=1, norm="ortho")[:, :MFCCS])


def _zero_crossings(frames: np.ndarray) -> np.ndarray:
    """Return the share of samples in each frame whose sign differs from the previous sample's, of shape [frames]."""
    signs = np.signbit(frames)
    return (signs[:, 1:] != signs[:, :-1]).mean(axis=1, dtype=np.float32)


def _extremes(magnitude: np.ndarray) -> np.ndarray:
    """Return the mean of the strongest and of the weakest bins, of shape [2, frames, octaves + 1]."""
    edges = [0.0, *(CONTRAST_MIN_HZ * 2.0**octave for octave in range(CONTRAST_OCTAVES + 1))]
    columns = []
    for number, (low, high) in enumerate(pairwise(edges)):
        inside = np.flatnonzero((low <= FREQUENCIES) & (high >= FREQUENCIES))
        first = inside[0] - (1 if number else 0)
        stop = magnitude.shape[1] if number == CONTRAST_OCTAVES else inside[-1]
        band = magnitude[:, first:stop]
        few = max(1, round(CONTRAST_QUANTILE * (stop - first + (number < CONTRAST_OCTAVES))))
        ordered = np.partition(band, (few - 1, band.shape[1] - few), axis=1)
        columns.append([ordered[:, -few:].mean(axis=1), ordered[:, :few].mean(axis=1)])
    return np.moveaxis(np.array(columns), 0, 2)


def mel_filters() -> np.ndarray:
    """Compute triangles of equal area on Slaney's mel scale, from 0 Hz up, of shape [mels, bins]."""
    top = _mel(SAMPLE_RATE / 2)
    edges = _hertz(np.linspace(0, top, MELS + 2))
    rise = (FREQUENCIES - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - FREQUENCIES) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rise, fall)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return triangles.astype(np.float32)


def _mel(hertz: float) -> float:
    return hertz * 3 / 200 if hertz < 1000 else 15 + math.log(hertz / 1000) * 27 / math.log(6.4)


def _hertz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def chroma_filters(tuning: float) -> np.ndarray:
    """Compute the weight of each bin in each pitch class from C to B, by Ellis's Gaussian bumps, of shape [12, bins].

    `tuning` is in semitones.
    """
    hertz = SAMPLE_RATE / SIZE * np.arange(1, SIZE)
    classes = 12 * np.log2(hertz / (440 * 2 ** (tuning / 12) / 16))
    classes = np.concatenate([[classes[0] - 18], classes])
    widths = np.concatenate([np.maximum(np.diff(classes), 1), [1]])
    distance = np.remainder(classes - np.arange(12)[:, None] + 66, 12) - 6
    bumps = np.exp(-0.5 * (2 * distance / widths) ** 2)
    bumps /= np.linalg.norm(bumps, axis=0)
    bumps *= np.exp(-0.5 * ((classes / 12 - 5) / 2) ** 2)
    return np.roll(bumps, -3, axis=0)[:, : SIZE // 2 + 1]


def tuning(magnitude: np.ndarray) -> float:
    """Estimate the deviation from A = 440 Hz in semitones, -0.5 to 0.5, from a spectrum of shape [frames, bins]."""
    low, high = np.searchsorted(FREQUENCIES, [150, 4000])
    before, here, after = magnitude[:, low - 1 : high - 1], magnitude[:, low:high], magnitude[:, low + 1 : high + 1]
    peak = (here > before) & (here >= after) & (here > 0.1 * here.max(axis=1, keepdims=True))
    if not peak.any():
        return 0.0
    before, here, after = before[peak], here[peak], after[peak]
    strong = here >= np.median(here)
    shift = 0.5 * (before - after) / np.minimum(before - 2 * here + after, -1e-12)
    bins = np.broadcast_to(np.arange(low, high), peak.shape)[peak] + np.where(np.abs(shift) <= 1, shift, 0)
    deviations = np.remainder(12 * np.log2(bins[strong] * SAMPLE_RATE / SIZE / 440) + 0.5, 1) - 0.5
    counts, edges = np.histogram(deviations, 100, (-0.5, 0.5))
    return float(edges[counts.argmax()])
