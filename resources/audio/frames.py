"""Frames: a stream of samples, cut into overlapping windows."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class Frames:
    """Cut a stream into frames of `size` samples, each centered on a multiple of `hop`.

    The stream is padded with silence on both sides. A stream of n samples has 1 + n // hop frames.
    """

    def __init__(self, size: int, hop: int) -> None:
        self._size, self._hop = size, hop
        self._pending = np.zeros(size // 2, np.float32)

    def feed(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """Return the frames that these samples complete, as a view of shape [frames, size]."""
        padding = [np.zeros(self._size - self._size // 2, np.float32)] if last else []
        samples = np.concatenate([self._pending, samples, *padding])
        count = max(0, 1 + (len(samples) - self._size) // self._hop)
        self._pending = samples[count * self._hop :]
        if not count:
            return np.zeros((0, self._size), np.float32)
        return sliding_window_view(samples, self._size)[:: self._hop][:count]
