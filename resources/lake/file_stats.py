"""The log of a Delta table: which files each version has, and what is in them.

Every file comes with the least and greatest values of its columns, so that a reader opens only those it needs.
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

LONG_TEXT = 32  # longer bounds would bloat the log
LAST = "\U0010ffff"  # the greatest character
SURROGATES = range(0xD800, 0xE000)  # no characters
BEYOND = 10**309  # JSON has no infinity, but readers take what no float can hold for one


@dataclass(frozen=True)
class Add:
    """A new file and what the log will say of it."""

    path: str
    bytes: int
    rows: int
    bounds: Mapping[str, tuple[Any, Any]]
    nulls: Mapping[str, int]

    def action(self) -> Any:
        """The file as Delta's log has it."""
        from deltalake.transaction import AddAction

        known = {c: b for c, b in self.bounds.items() if b[0] is not None}
        stats = {
            "numRecords": self.rows,
            "minValues": {c: _told(low) for c, (low, _) in known.items()},
            "maxValues": {c: _told(high, up=True) for c, (_, high) in known.items()},
            "nullCount": dict(self.nulls),
        }
        # As they are, since delta-rs misreads escaped characters beyond U+1FFFF, some Chinese ones among them.
        text = json.dumps(stats, ensure_ascii=False)
        return AddAction(self.path, self.bytes, {}, int(time.time() * 1000), True, text)


def described(folder: Storage, name: str) -> Add:
    """A written file as its own footer describes it."""
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
        else:  # Parquet leaves the bounds of very long texts out
            bounds[path] = _least_and_greatest(folder / name, path)
    return Add(name, size, meta.num_rows, bounds, nulls)


def files(delta: "DeltaTable") -> list[dict[str, Any]]:
    """The files of a version: path, size_bytes, num_records, and min.*, max.*, null_count.* of each column."""
    return pa.table(delta.get_add_actions(flatten=True)).to_pylist()


def bounds(file: Mapping[str, Any], column: str) -> tuple[Any, Any]:
    """Return a file's least and greatest value of a column; None if it has no value or the log does not say."""
    return file.get(f"min.{column}"), file.get(f"max.{column}")


def misses(file: Mapping[str, Any], filter: RangeFilter) -> bool:
    """Return whether the log shows that no row of a file matches."""
    low, high = bounds(file, filter.column)
    if low is None:
        return bool(file.get(f"null_count.{filter.column}") == file["num_records"])
    return filter.misses(low, high)


def covers(file: Mapping[str, Any], filter: RangeFilter) -> bool:
    """Return whether the log shows that every row of a file matches."""
    low, high = bounds(file, filter.column)
    return low is not None and file[f"null_count.{filter.column}"] == 0 and filter.covers(low, high)


def replaced(delta: "DeltaTable", days: int = 0) -> set[str]:
    """The files that earlier versions had and this one has not, since at least so many days."""
    return set(delta.vacuum(days * 24, dry_run=True, enforce_retention_duration=False))


def unknown(delta: "DeltaTable", names: Iterable[str]) -> set[str]:
    """Those of the files that neither this version nor an earlier one has, as far back as versions are kept."""
    return set(names) - {f["path"] for f in files(delta)} - replaced(delta)


def _least_and_greatest(file: Storage, column: str) -> tuple[Any, Any]:
    """Return the least and greatest value of a column by reading it; None if they are no values that compare."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with file.open() as source:
        found = pc.min_max(pq.read_table(source, columns=[column])[column])
    low, high = found["min"].as_py(), found["max"].as_py()
    return (low, high) if low is not None and low <= high else (None, None)  # NaN is neither


def _told(value: Any, up: bool = False) -> Any:
    """Return a bound as Delta writes it, rounded outwards: instants in whole milliseconds, texts cut.

    None is left out, since delta-rs takes a column with some bounds missing to hold nothing at all.
    """
    if isinstance(value, str) and len(value) > LONG_TEXT:
        return _after(value) if up else value[:LONG_TEXT]
    if isinstance(value, float) and isinf(value):
        return BEYOND if value > 0 else -BEYOND
    if isinstance(value, datetime):
        return _instant(value.astimezone(UTC), up)
    return value.isoformat() if isinstance(value, date) else value


def _after(text: str) -> str:
    """Return a short text that comes after every text with the same beginning as `text`."""
    for n in reversed(range(LONG_TEXT)):
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
