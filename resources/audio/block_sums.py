"""Stretches: a stream of values, cut into lengths that need be no whole number of them, each summed up in one."""

import numpy as np


class Stretches:
    """Each stretch of `length` values as one: its sum, or whatever else `reduce` makes of two.

    Stretch k begins at value round(k * length). The last one counts once it is whole.
    """

    def __init__(self, length: float, reduce: np.ufunc = np.add) -> None:
        self._length = length
        self._reduce = reduce
        self._fed = 0
        self._open: np.ndarray | None = None
        self._closed: list[np.ndarray] = []

    def feed(self, values: np.ndarray) -> None:
        """Take in the next values, of shape [n] or [n, k]."""
        if not len(values):
            return
        ends = self._fed + len(values)
        numbers = np.arange(int(self._fed / self._length), int(ends / self._length) + 2)
        edges = np.rint(numbers * self._length).astype(np.int64)
        cuts = np.unique(edges[(edges > self._fed) & (edges < ends)]) - self._fed
        parts = self._reduce.reduceat(values, np.concatenate([[0], cuts]), axis=0)
        if self._open is not None:
            parts[0] = self._reduce(self._open, parts[0])
        whole = bool((edges == ends).any())
        self._open = None if whole else parts[-1]
        self._closed.append(parts if whole else parts[:-1])
        self._fed = ends

    def rest(self) -> np.ndarray | None:
        """The last stretch, as far as it goes; None where it is whole."""
        return self._open

    def whole(self) -> np.ndarray:
        """The stretches that are whole, of shape [stretches] or [stretches, k]."""
        return np.concatenate(self._closed) if self._closed else np.zeros(0)
