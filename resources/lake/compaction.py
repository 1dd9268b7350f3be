"""Compaction: choose the small files of a table to merge, so that a commit a day leaves dozens of files, not thousands.

Files have the same size class if their row counts have the same number of digits. Ten files of a class are merged,
together with all smaller ones, into one file of the next class. So a row is copied at most once per digit, however long
the history.
"""

from collections.abc import Sequence

FAN = 10  # files of a class before a merge: more would mean more files to open, fewer more copying


def files_to_merge(rows: Sequence[int], max_rows: int) -> list[int]:
    """Return the indexes of the files to merge into one of up to `max_rows` rows; empty while no class is full.

    `rows` contains the row count of each file, in the order of the table's first sort column, so that neighbors are
    merged first. A file with more than half of `max_rows` is never merged.
    """
    small = [i for i, n in enumerate(rows) if n <= max_rows // 2]
    upper = max_rows
    while upper > 1:
        if sum(upper // FAN <= rows[i] < upper for i in small) >= FAN:
            return _that_fit([i for i in small if rows[i] < upper], rows, max_rows)
        upper //= FAN
    return []


def _that_fit(indexes: Sequence[int], rows: Sequence[int], max_rows: int) -> list[int]:
    """Return the first of these files, as many as fit into one of up to `max_rows` rows."""
    total = 0
    for count, i in enumerate(indexes):
        total += rows[i]
        if total > max_rows:
            return list(indexes[:count])
    return list(indexes)
