"""Perceived loudness by ITU-R BS.1770-4 and EBU R 128, and loudness range by EBU Tech 3342.

Two filters weight frequencies as the ear does. Gates on blocks of 400 ms (3 s for the range) leave out silence and
relatively quiet passages. Only the power of each tenth of a second is stored.
"""

import math

import numpy as np
from scipy.signal import sosfilt

from resources.audio.block_sums import BlockSums

MOMENTARY, SHORT_TERM = 4, 30  # block lengths in tenths of a second
ABSOLUTE_GATE = -70.0  # LUFS
RELATIVE_GATE, RANGE_GATE = -10.0, -20.0  # LU below the mean of the blocks above the absolute gate
SURROUND = 1.41  # weight of surround channels, about +1.5 dB
# Weight of each channel, in the channel order of WAV, FLAC and FFmpeg. The low-frequency channel has none.
WEIGHTS: dict[int, tuple[float, ...]] = {
    4: (1, 1, SURROUND, SURROUND),
    5: (1, 1, 1, SURROUND, SURROUND),
    6: (1, 1, 1, 0, SURROUND, SURROUND),
    7: (1, 1, 1, 0, 1, SURROUND, SURROUND),
    8: (1, 1, 1, 0, 1, 1, SURROUND, SURROUND),
}
# Vorbis and Opus use another channel order: left, center, right, surround, and the low-frequency channel last.
XIPH_WEIGHTS: dict[int, tuple[float, ...]] = {
    5: (1, 1, 1, SURROUND, SURROUND),
    6: (1, 1, 1, SURROUND, SURROUND, 0),
    7: (1, 1, 1, SURROUND, SURROUND, 1, 0),
    8: (1, 1, 1, SURROUND, SURROUND, 1, 1, 0),
}


def weights(channels: int, codec: str = "") -> np.ndarray:
    """Return the weight of each channel's power, of shape [channels]."""
    by_channels = XIPH_WEIGHTS if codec in ("vorbis", "opus") else {}
    return np.array(by_channels.get(channels) or WEIGHTS.get(channels) or (1,) * channels, float)


def k_weighting(sample_rate: int) -> np.ndarray:
    """Compute the two filters of BS.1770 for a sample rate in Hz, as second-order sections of shape [2, 6].

    The standard gives coefficients only for 48 kHz. The bilinear transform of these analog prototypes matches them
    (Mansbridge, Finn & Reiss, AES 2012).
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
    """Measure the loudness of a stream."""

    def __init__(self, sample_rate: int, channels: int, codec: str = "") -> None:
        self._filters = k_weighting(sample_rate)
        self._state = np.zeros((2, 2, channels))
        self._weights = weights(channels, codec)
        self._tenth = sample_rate / 10
        self._power = BlockSums(self._tenth)

    def feed(self, block: np.ndarray) -> None:
        """Process the next samples, of shape [frames, channels]."""
        weighted, self._state = sosfilt(self._filters, block, axis=0, zi=self._state)
        self._power.feed(np.square(weighted) @ self._weights)

    def integrated(self) -> float | None:
        """Return the loudness of the whole stream in LUFS, or None if no block of 400 ms passes the absolute gate."""
        power = _gated(_means(self._power.complete() / self._tenth, MOMENTARY))
        if not len(power):
            return None
        return _loudness(float(np.mean(power[power > _power(_loudness(float(power.mean())) + RELATIVE_GATE)])))

    def range(self) -> float | None:
        """Return the loudness range in LU, or None if no block of 3 s passes the absolute gate."""
        power = _gated(_means(self._power.complete() / self._tenth, SHORT_TERM))
        if not len(power):
            return None
        power = power[power > _power(_loudness(float(power.mean())) + RANGE_GATE)]
        low, high = np.percentile(power, [10, 95])
        return _loudness(high) - _loudness(low)


def _means(values: np.ndarray, length: int) -> np.ndarray:
    """Return the moving average over `length` values."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.maximum(sums[length:] - sums[:-length], 0.0) / length  # rounding may give a value just below 0


def _gated(power: np.ndarray) -> np.ndarray:
    """Return the powers above the absolute gate."""
    return power[power > _power(ABSOLUTE_GATE)]


def _loudness(power: float) -> float:
    """Convert mean power to LUFS."""
    return -0.691 + 10 * math.log10(power)


def _power(loudness: float) -> float:
    """Convert LUFS to mean power."""
    return 10 ** ((loudness + 0.691) / 10)
