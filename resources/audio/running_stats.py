"""Running statistics: mean and standard deviation of a stream."""

import numpy as np


class RunningStats:
    """Compute mean and standard deviation of each column over all rows fed."""

    def __init__(self, columns: int) -> None:
        self._count = 0
        self._sums = np.zeros((2, columns))

    def feed(self, rows: np.ndarray) -> None:
        """Add the next rows, of shape [n, columns]."""
        rows = rows.astype(np.float64)
        self._count += len(rows)
        self._sums += rows.sum(axis=0), np.square(rows).sum(axis=0)

    def mean(self) -> np.ndarray:
        """Return the mean of each column, 0 without rows."""
        return self._sums[0] / max(self._count, 1)

    def std(self) -> np.ndarray:
        """Return the standard deviation of each column, 0 without rows."""
        return np.sqrt(np.maximum(self._sums[1] / max(self._count, 1) - np.square(self.mean()), 0.0))
