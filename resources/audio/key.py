"""Key: the tonic and mode whose profile correlates best with the pitch classes of a recording.

Profiles by Albrecht & Shanahan, "The Use of Large Corpora to Train a New Type of Key-Finding Algorithm", Music
Perception 31 (2013). The method is Krumhansl's correlation with the strength of each pitch class.
"""

from functools import cache

import numpy as np
from scipy.fft import rfft

from resources.audio.frames import Frames
from resources.audio.spectrum import SAMPLE_RATE

SIZE, HOP = 8192, 4096  # samples
MIN_NOTE, MAX_NOTE = 45, 96  # MIDI
SEMITONE_PARTS = 3  # resolution of the estimated tuning
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MAJOR = (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081)
MINOR = (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052)
COMPRESSION = 10.0  # a larger value gives notes below the loudest of a frame more weight
CERTAIN_LEAD = 0.1  # lead in correlation over the second best key that makes a key certain
WINDOW = np.hanning(SIZE + 1)[:-1].astype(np.float32)


class KeyMeter:
    """Estimate the key of a stream of mono samples at SAMPLE_RATE."""

    def __init__(self) -> None:
        self._frames = Frames(SIZE, HOP)
        self._filters = note_filters().T.copy()
        self._notes = np.zeros((SEMITONE_PARTS, MAX_NOTE - MIN_NOTE))  # one row per candidate tuning

    def feed(self, samples: np.ndarray, last: bool = False) -> None:
        """Process the next samples, of shape [n]. `last` ends the stream."""
        frames = self._frames.feed(samples, last)
        if not len(frames):
            return
        parts = np.abs(rfft(frames * WINDOW, axis=1)) @ self._filters
        loudest = parts.max(axis=1, keepdims=True)
        parts = np.log1p(COMPRESSION * parts / np.where(loudest > 0, loudest, 1))
        for notes, total in zip(
            np.moveaxis(parts.reshape(len(parts), -1, SEMITONE_PARTS), 2, 0), self._notes, strict=True
        ):
            inner = notes[:, 1:-1]  # only a local maximum is a note, the rest is noise
            total[1:-1] += np.where((inner > notes[:, :-2]) & (inner >= notes[:, 2:]), inner, 0).sum(axis=0)

    def chroma(self) -> np.ndarray:
        """Return the strength of each pitch class from C to B in the tuning with the strongest notes, of shape [12]."""
        notes = self._notes[self._notes.sum(axis=1).argmax()]
        return np.bincount((MIN_NOTE + np.arange(len(notes))) % 12, notes, 12)

    def key(self) -> tuple[str | None, str | None, float]:
        """Return tonic, mode and confidence (0 to 1)."""
        return key(self.chroma())


def key(chroma: np.ndarray) -> tuple[str | None, str | None, float]:
    """Return tonic, mode and confidence (0 to 1) for the strengths of the pitch classes from C to B, of shape [12].

    If all are equal, tonic and mode are None.
    """
    if not chroma.std() > 0:
        return None, None, 0.0
    fits = np.array([[np.corrcoef(np.roll(p, t), chroma)[0, 1] for t in range(12)] for p in (MAJOR, MINOR)])
    mode, tonic = np.unravel_index(fits.argmax(), fits.shape)
    first, second = np.sort(fits, axis=None)[:-3:-1]
    return (
        NAMES[tonic],
        ("major", "minor")[mode],
        float(np.clip(first * min(1.0, (first - second) / CERTAIN_LEAD), 0, 1)),
    )


@cache
def note_filters() -> np.ndarray:
    """Compute Gaussian bumps around each part of a semitone, of shape [parts, bins]."""
    hertz = np.fft.rfftfreq(SIZE, 1 / SAMPLE_RATE)
    hertz[0] = 1e-3
    parts = MIN_NOTE + (np.arange((MAX_NOTE - MIN_NOTE) * SEMITONE_PARTS) - SEMITONE_PARTS // 2) / SEMITONE_PARTS
    distance = 12 * np.log2(hertz / 440) + 69 - parts[:, None]
    width = 0.5 / SEMITONE_PARTS
    bumps = np.exp(-0.5 * (distance / width) ** 2)
    return (bumps / np.maximum(bumps.sum(axis=1, keepdims=True), 1e-9)).astype(np.float32)
