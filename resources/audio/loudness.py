"""Loudness as people hear it: ITU-R BS.1770-4, EBU R 128 and its loudness range, EBU Tech 3342.

Two filters weigh what the ear hears less of, the power of each tenth of a second is kept, and gates on blocks of 400 ms
(for the range: 3 s) leave out silence and what is quiet beside the rest.
"""

import math

import numpy as np
from scipy.signal import sosfilt

from resources.audio.block_sums import Stretches

MOMENT, SHORT_TERM = 4, 30  # tenths of a second
ABSOLUTE_GATE = -70.0  # LUFS
RELATIVE_GATE, RANGE_GATE = -10.0, -20.0  # LU below what passed the absolute gate
SURROUND = 1.41  # about +1.5 dB, for what comes from the side
# How much each channel counts, in the order of WAV, FLAC and FFmpeg; the low-frequency channel does not.
WEIGHTS: dict[int, tuple[float, ...]] = {
    4: (1, 1, SURROUND, SURROUND),
    5: (1, 1, 1, SURROUND, SURROUND),
    6: (1, 1, 1, 0, SURROUND, SURROUND),
    7: (1, 1, 1, 0, 1, SURROUND, SURROUND),
    8: (1, 1, 1, 0, 1, 1, SURROUND, SURROUND),
}
# Vorbis and Opus order their channels in a way of their own: left, center, right, surround, low frequencies last.
XIPH: dict[int, tuple[float, ...]] = {
    5: (1, 1, 1, SURROUND, SURROUND),
    6: (1, 1, 1, SURROUND, SURROUND, 0),
    7: (1, 1, 1, SURROUND, SURROUND, 1, 0),
    8: (1, 1, 1, SURROUND, SURROUND, 1, 1, 0),
}


def weights(channels: int, codec: str = "") -> np.ndarray:
    """How much the power of each channel counts."""
    known = XIPH if codec in ("vorbis", "opus") else {}
    return np.array(known.get(channels) or WEIGHTS.get(channels) or (1,) * channels, float)


def k_weighting(sample_rate: int) -> np.ndarray:
    """BS.1770's two filters at any sample rate, as second-order sections.

    The standard gives coefficients for 48 kHz alone; these analogue prototypes, by the bilinear transform, give the
    same there (Mansbridge, Finn & Reiss, AES 2012).
    """
    gain = 10 ** (3.999843853973347 / 20)
    k, q = math.tan(math.pi * 1681.974450955533 / sample_rate), 0.7071752369554196
    middle = gain**0.4996667741545416
    shelf = np.array([gain + middle * k / q + k * k, 2 * (k * k - gain), gain - middle * k / q + k * k])
    below = np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
    k, q = math.tan(math.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    pass_below = np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
    high_pass = np.array([1.0, -2.0, 1.0])
    return np.array(
        [[*shelf / below[0], *below / below[0]], [*high_pass, *pass_below / pass_below[0]]],
    )


class LoudnessMeter:
    """Loudness of a stream."""

    def __init__(self, sample_rate: int, channels: int, codec: str = "") -> None:
        self._filters = k_weighting(sample_rate)
        self._state = np.zeros((2, 2, channels))
        self._weights = weights(channels, codec)
        self._tenth = sample_rate / 10
        self._power = Stretches(self._tenth)

    def feed(self, block: np.ndarray) -> None:
        """Take in the next samples, of shape [frames, channels]."""
        heard, self._state = sosfilt(self._filters, block, axis=0, zi=self._state)
        self._power.feed(np.square(heard) @ self._weights)

    def integrated(self) -> float | None:
        """Loudness of all of it, in LUFS; None where nothing of 400 ms passes the absolute gate."""
        power = _gated(_means(self._power.whole() / self._tenth, MOMENT))
        if not len(power):
            return None
        return _loudness(float(np.mean(power[power > _power(_loudness(float(power.mean())) + RELATIVE_GATE)])))

    def range(self) -> float | None:
        """Loudness range in LU; None where nothing of 3 s passes the absolute gate."""
        power = _gated(_means(self._power.whole() / self._tenth, SHORT_TERM))
        if not len(power):
            return None
        power = power[power > _power(_loudness(float(power.mean())) + RANGE_GATE)]
        low, high = np.percentile(power, [10, 95])
        return _loudness(high) - _loudness(low)


def _means(values: np.ndarray, length: int) -> np.ndarray:
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.maximum(sums[length:] - sums[:-length], 0.0) / length  # never below nothing, by rounding


def _gated(power: np.ndarray) -> np.ndarray:
    return power[power > _power(ABSOLUTE_GATE)]


def _loudness(power: float) -> float:
    return -0.691 + 10 * math.log10(power)


def _power(loudness: float) -> float:
    return 10 ** ((loudness + 0.691) / 10)
