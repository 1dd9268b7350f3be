"""Compaction: which small files of a table to merge, so that a commit a day leaves dozens of files, not thousands.

Files count as alike if their rows have the same number of digits. Ten alike, and smaller ones beside them, become one
with a digit more: a row is copied at most once for each digit, however long the history.
"""

from collections.abc import Sequence

FAN = 10  # more would mean more files to open, fewer more copying


def crowded(rows: Sequence[int], most: int) -> list[int]:
    """Which of these files to merge into one of up to `most` rows, by their places; none while few are alike.

    Neighbors are merged first, so `rows` comes in the order of what readers look for. A file more than half as long
    as may be is left alone.
    """
    small = [i for i, n in enumerate(rows) if n <= most // 2]
    below = most
    while below > 1:
        if sum(below // FAN <= rows[i] < below for i in small) >= FAN:
            return _filling([i for i in small if rows[i] < below], rows, most)
        below //= FAN
    return []


def _filling(places: Sequence[int], rows: Sequence[int], most: int) -> list[int]:
    """The first of these files that one of up to `most` rows can hold."""
    total = 0
    for count, i in enumerate(places):
        total += rows[i]
        if total > most:
            return list(places[:count])
    return list(places)
