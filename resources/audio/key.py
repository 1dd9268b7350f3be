"""Key: the tonic and mode whose profile the pitch classes of a recording fit best.

Profiles of Temperley, "What's Key for Key? The Krumhansl-Schmuckler Key-Finding Algorithm Reconsidered", Music
Perception 17 (1999), correlated as Krumhansl does with how strong each pitch class is.
"""

import numpy as np
from scipy.fft import rfft

from resources.audio.frames import Frames
from resources.audio.spectrum import SAMPLE_RATE

SIZE, HOP = 8192, 4096
LOWEST, HIGHEST = 45, 96  # MIDI notes
FINE = 3  # parts of a semitone, to hear how an instrument is tuned
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MAJOR = (5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0)
MINOR = (5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0)
WINDOW = np.hanning(SIZE + 1)[:-1].astype(np.float32)


class KeyMeter:
    """Key of a stream of mono samples at SAMPLE_RATE."""

    def __init__(self) -> None:
        self._frames = Frames(SIZE, HOP)
        self._filters = note_filters().T.copy()
        self._notes = np.zeros(self._filters.shape[1])

    def feed(self, samples: np.ndarray, last: bool = False) -> None:
        """Take in the next samples, of shape [n]."""
        frames = self._frames.feed(samples, last)
        if not len(frames):
            return
        notes = np.abs(rfft(frames * WINDOW, axis=1)) @ self._filters
        loudest = notes.max(axis=1, keepdims=True)
        self._notes += (np.log1p(10 * notes / np.where(loudest > 0, loudest, 1))).sum(axis=0)

    def chroma(self) -> np.ndarray:
        """How strong each pitch class is, C first, of shape [12]."""
        fine = self._notes.reshape(-1, FINE)
        start = LOWEST % 12
        classes = np.zeros(12)
        np.add.at(classes, (start + np.arange(len(fine))) % 12, fine[:, FINE // 2])
        return classes

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
    return NAMES[tonic], ("major", "minor")[mode], float(np.clip(first * min(1.0, (first - second) * 10), 0, 1))


def note_filters() -> np.ndarray:
    """Bumps around each part of a semitone: [parts, bins]."""
    hertz = np.fft.rfftfreq(SIZE, 1 / SAMPLE_RATE)
    hertz[0] = 1e-3
    parts = LOWEST + (np.arange((HIGHEST - LOWEST) * FINE) - FINE // 2) / FINE
    away = 12 * np.log2(hertz / 440) + 69 - parts[:, None]
    width = 0.5 / FINE
    bumps = np.exp(-0.5 * (away / width) ** 2)
    return (bumps / np.maximum(bumps.sum(axis=1, keepdims=True), 1e-9)).astype(np.float32)
