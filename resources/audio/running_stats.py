"""Moments: mean and standard deviation of a stream."""

import numpy as np


class Moments:
    """Mean and standard deviation, over all rows fed, of each of their columns."""

    def __init__(self, columns: int) -> None:
        self._count = 0
        self._sums = np.zeros((2, columns))

    def feed(self, rows: np.ndarray) -> None:
        """Take in the next rows, of shape [n, columns]."""
        rows = rows.astype(np.float64)
        self._count += len(rows)
        self._sums += rows.sum(axis=0), np.square(rows).sum(axis=0)

    def mean(self) -> np.ndarray:
        return self._sums[0] / max(self._count, 1)

    def std(self) -> np.ndarray:
        return np.sqrt(np.maximum(self._sums[1] / max(self._count, 1) - np.square(self.mean()), 0.0))
