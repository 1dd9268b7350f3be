"""Frames: a stream of samples, cut into pieces that overlap."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class Frames:
    """Frames of `size` samples, each centerd on a multiple of `hop`; silence stands before the stream and after it.

    A stream of n samples has 1 + n // hop of them.
    """

    def __init__(self, size: int, hop: int) -> None:
        self._size, self._hop = size, hop
        self._kept = np.zeros(size // 2, np.float32)

    def feed(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """The frames that are whole with these samples, of shape [frames, size]; a view."""
        after = [np.zeros(self._size - self._size // 2, np.float32)] if last else []
        samples = np.concatenate([self._kept, samples, *after])
        count = max(0, 1 + (len(samples) - self._size) // self._hop)
        self._kept = samples[count * self._hop :]
        if not count:
            return np.zeros((0, self._size), np.float32)
        return sliding_window_view(samples, self._size)[:: self._hop][:count]
