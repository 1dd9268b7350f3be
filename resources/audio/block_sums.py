"""Block sums: a stream of values, reduced to one value per block. A block's length may be fractional."""

import numpy as np


class BlockSums:
    """Reduce each block of `length` values to one: their sum, or the result of another `reduce`.

    Block k begins at value round(k * length).
    """

    def __init__(self, length: float, reduce: np.ufunc = np.add) -> None:
        self._length = length
        self._reduce = reduce
        self._fed = 0
        self._open: np.ndarray | None = None
        self._closed: list[np.ndarray] = []

    def feed(self, values: np.ndarray) -> None:
        """Process the next values, of shape [n] or [n, k]."""
        if not len(values):
            return
        ends = self._fed + len(values)
        numbers = np.arange(int(self._fed / self._length), int(ends / self._length) + 2)
        edges = np.rint(numbers * self._length).astype(np.int64)
        cuts = np.unique(edges[(edges > self._fed) & (edges < ends)]) - self._fed
        parts = self._reduce.reduceat(values, np.concatenate([[0], cuts]), axis=0)
        if self._open is not None:
            parts[0] = self._reduce(self._open, parts[0])
        at_edge = bool((edges == ends).any())
        self._open = None if at_edge else parts[-1]
        self._closed.append(parts if at_edge else parts[:-1])
        self._fed = ends

    def partial(self) -> np.ndarray | None:
        """Return the value of the unfinished last block, or None if there is none."""
        return self._open

    def complete(self) -> np.ndarray:
        """Return the values of the complete blocks, of shape [blocks] or [blocks, k]."""
        return np.concatenate(self._closed) if self._closed else np.zeros(0)
