"""Key: the tonic and mode whose profile the pitch classes of a recording fit best.

Profiles of Albrecht & Shanahan, "The Use of Large Corpora to Train a New Type of Key-Finding Algorithm", Music
Perception 31 (2013), correlated as Krumhansl does with how strong each pitch class is.
"""

from functools import cache

import numpy as np
from scipy.fft import rfft

from resources.audio.frames import Frames
from resources.audio.spectrum import SAMPLE_RATE

SIZE, HOP = 8192, 4096
LOWEST, HIGHEST = 45, 96  # MIDI notes
FINE = 3  # parts of a semitone, to hear how an instrument is tuned
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MAJOR = (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081)
MINOR = (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052)
COMPRESSION = 10.0  # how far below the loudest note of a frame another still counts
SURE = 0.1  # of correlation: so far ahead of the next, a key is certain
WINDOW = np.hanning(SIZE + 1)[:-1].astype(np.float32)


class KeyMeter:
    """Key of a stream of mono samples at SAMPLE_RATE."""

    def __init__(self) -> None:
        self._frames = Frames(SIZE, HOP)
        self._filters = note_filters().T.copy()
        self._notes = np.zeros((FINE, HIGHEST - LOWEST))  # by how far the tuning is off

    def feed(self, samples: np.ndarray, last: bool = False) -> None:
        """Take in the next samples, of shape [n]."""
        frames = self._frames.feed(samples, last)
        if not len(frames):
            return
        parts = np.abs(rfft(frames * WINDOW, axis=1)) @ self._filters
        loudest = parts.max(axis=1, keepdims=True)
        parts = np.log1p(COMPRESSION * parts / np.where(loudest > 0, loudest, 1))
        for notes, heard in zip(np.moveaxis(parts.reshape(len(parts), -1, FINE), 2, 0), self._notes, strict=True):
            inner = notes[:, 1:-1]  # a note is louder than its neighbors; what lies between is noise
            heard[1:-1] += np.where((inner > notes[:, :-2]) & (inner >= notes[:, 2:]), inner, 0).sum(axis=0)

    def chroma(self) -> np.ndarray:
        """How strong each pitch class is, C first, of shape [12], in the tuning in which notes are clearest."""
        notes = self._notes[self._notes.sum(axis=1).argmax()]
        return np.bincount((LOWEST + np.arange(len(notes))) % 12, notes, 12)

    def key(self) -> tuple[str | None, str | None, float]:
        """Tonic, mode and how sure."""
        return key(self.chroma())


def key(chroma: np.ndarray) -> tuple[str | None, str | None, float]:
    """Tonic, mode and confidence, from 0 to 1, of how strong each pitch class is, C first."""
    if not chroma.std() > 0:
        return None, None, 0.0
    fits = np.array([[np.corrcoef(np.roll(p, t), chroma)[0, 1] for t in range(12)] for p in (MAJOR, MINOR)])
    mode, tonic = np.unravel_index(fits.argmax(), fits.shape)
    first, second = np.sort(fits, axis=None)[:-3:-1]
    return NAMES[tonic], ("major", "minor")[mode], float(np.clip(first * min(1.0, (first - second) / SURE), 0, 1))


@cache
def note_filters() -> np.ndarray:
    """Bumps around each part of a semitone: [parts, bins]."""
    hertz = np.fft.rfftfreq(SIZE, 1 / SAMPLE_RATE)
    hertz[0] = 1e-3
    parts = LOWEST + (np.arange((HIGHEST - LOWEST) * FINE) - FINE // 2) / FINE
    away = 12 * np.log2(hertz / 440) + 69 - parts[:, None]
    width = 0.5 / FINE
    bumps = np.exp(-0.5 * (away / width) ** 2)
    return (bumps / np.maximum(bumps.sum(axis=1, keepdims=True), 1e-9)).astype(np.float32)
