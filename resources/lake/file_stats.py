"""File statistics in a Delta log: the files of a version, with the bounds of their columns.

A file's bounds are the least and greatest value of each column, so that a reader opens only the files it needs.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import isinf
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from resources.frames.filters import RangeFilter
from resources.storage import Storage

if TYPE_CHECKING:
    from deltalake import DeltaTable

MAX_BOUND_CHARS = 32  # longer bounds would bloat the log
LAST = "\U0010ffff"  # the greatest character
SURROGATES = range(0xD800, 0xE000)  # code points that are not characters
BEYOND = 10**309  # JSON has no infinity, but readers turn a number beyond the range of floats into one


@dataclass(frozen=True)
class Add:
    """A new file and its statistics: bytes, rows, and bounds and number of nulls by column."""

    path: str
    bytes: int
    rows: int
    bounds: Mapping[str, tuple[Any, Any]]
    nulls: Mapping[str, int]

    def action(self) -> Any:
        """Return the file as an action of Delta's log."""
        from deltalake.transaction import AddAction

        bounded = {c: b for c, b in self.bounds.items() if b[0] is not None}
        stats = {
            "numRecords": self.rows,
            "minValues": {c: _as_json(low) for c, (low, _) in bounded.items()},
            "maxValues": {c: _as_json(high, up=True) for c, (_, high) in bounded.items()},
            "nullCount": dict(self.nulls),
        }
        # Not escaped: delta-rs misreads escaped characters beyond U+1FFFF, including some Chinese ones.
        text = json.dumps(stats, ensure_ascii=False)
        return AddAction(self.path, self.bytes, {}, int(time.time() * 1000), True, text)


def describe_file(folder: Storage, name: str) -> Add:
    """Return the statistics in the footer of a written file."""
    import pyarrow.parquet as pq

    with (folder / name).open() as file:
        meta, size = pq.ParquetFile(file).metadata, file.size()
    bounds: dict[str, tuple[Any, Any]] = {}
    nulls: dict[str, int] = {}
    for i, path in enumerate(meta.row_group(0).column(i).path_in_schema for i in range(meta.num_columns)):
        stats = [meta.row_group(g).column(i).statistics for g in range(meta.num_row_groups)]
        if "." in path or any(s is None for s in stats):
            continue  # lists have no order
        nulls[path] = sum(s.null_count for s in stats)
        filled = [s for s in stats if s.num_values]
        if all(s.has_min_max for s in filled):
            bounds[path] = (min(s.min for s in filled), max(s.max for s in filled)) if filled else (None, None)
        else:  # Parquet omits the bounds of very long texts
            bounds[path] = _least_and_greatest(folder / name, path)
    return Add(name, size, meta.num_rows, bounds, nulls)


def files(delta: "DeltaTable") -> list[dict[str, Any]]:
    """Return the files of a version: path, size_bytes, num_records, and min.*, max.*, null_count.* of each column."""
    return pa.table(delta.get_add_actions(flatten=True)).to_pylist()


def bounds(file: Mapping[str, Any], column: str) -> tuple[Any, Any]:
    """Return a file's bounds of a column; None if the file has no value or the log has no bounds."""
    return file.get(f"min.{column}"), file.get(f"max.{column}")


def misses(file: Mapping[str, Any], condition: RangeFilter) -> bool:
    """Return whether the log shows that no row of a file matches."""
    low, high = bounds(file, condition.column)
    if low is None:
        return bool(file.get(f"null_count.{condition.column}") == file["num_records"])
    return condition.misses(low, high)


def covers(file: Mapping[str, Any], condition: RangeFilter) -> bool:
    """Return whether the log shows that every row of a file matches."""
    low, high = bounds(file, condition.column)
    return low is not None and file[f"null_count.{condition.column}"] == 0 and condition.covers(low, high)


def replaced_files(delta: "DeltaTable", days: int = 0) -> set[str]:
    """Return the files of earlier versions that were replaced at least `days` days ago."""
    return set(delta.vacuum(days * 24, dry_run=True, enforce_retention_duration=False))


def untracked_files(delta: "DeltaTable", names: Iterable[str]) -> set[str]:
    """Return the files that are in neither this version nor an earlier one that is still in the log."""
    return set(names) - {f["path"] for f in files(delta)} - replaced_files(delta)


def _least_and_greatest(file: Storage, column: str) -> tuple[Any, Any]:
    """Return the bounds of a column by reading it; None if its values do not compare."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with file.open() as source:
        extremes = pc.min_max(pq.read_table(source, columns=[column])[column])
    low, high = extremes["min"].as_py(), extremes["max"].as_py()
    return (low, high) if low is not None and low <= high else (None, None)  # NaN is neither


def _as_json(value: Any, up: bool = False) -> Any:
    """Return a bound as Delta writes it: instants rounded outwards to milliseconds, texts cut.

    It never returns None: delta-rs treats a column with one missing bound as empty.
    """
    if isinstance(value, str) and len(value) > MAX_BOUND_CHARS:
        return _after(value) if up else value[:MAX_BOUND_CHARS]
    if isinstance(value, float) and isinf(value):
        return BEYOND if value > 0 else -BEYOND
    if isinstance(value, datetime):
        return _instant(value.astimezone(UTC), up)
    return value.isoformat() if isinstance(value, date) else value


def _after(text: str) -> str:
    """Return a short text that sorts after every text with the same beginning as `text`."""
    for n in reversed(range(MAX_BOUND_CHARS)):
        if text[n] < LAST:
            following = ord(text[n]) + 1
            return text[:n] + chr(SURROGATES.stop if following in SURROGATES else following)
    return text


def _instant(value: datetime, up: bool) -> str:
    """Return an instant in whole milliseconds; one in the last millisecond of the year 9999 cannot be rounded up."""
    floor = value.replace(microsecond=value.microsecond // 1000 * 1000)
    if up and floor < value:
        try:
            floor += timedelta(milliseconds=1)
        except OverflowError:
            return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return floor.strftime("%Y-%m-%dT%H:%M:%S.") + f"{floor.microsecond // 1000:03d}Z"
