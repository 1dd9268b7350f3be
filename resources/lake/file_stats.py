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

from resources.storage import Storage

if TYPE_CHECKING:
    from deltalake import DeltaTable

LONG_TEXT = 32  # longer bounds would bloat the log
LAST = "\U0010ffff"  # no text goes on with a greater character
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
        return AddAction(self.path, self.bytes, {}, int(time.time() * 1000), True, json.dumps(stats))


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
        ranges = [(s.min, s.max) for s in stats if s.has_min_max]
        bounds[path] = (min(r[0] for r in ranges), max(r[1] for r in ranges)) if ranges else (None, None)
    return Add(name, size, meta.num_rows, bounds, nulls)


def files(delta: "DeltaTable") -> list[dict[str, Any]]:
    """The files of a version: path, size_bytes, num_records, and min.*, max.*, null_count.* of each column."""
    return pa.table(delta.get_add_actions(flatten=True)).to_pylist()


def bounds(file: Mapping[str, Any], column: str) -> tuple[Any, Any]:
    """A file's least and greatest value of a column; None where it has no value."""
    return file.get(f"min.{column}"), file.get(f"max.{column}")


def replaced(delta: "DeltaTable", days: int = 0) -> set[str]:
    """The files that earlier versions had and this one has not, since at least so many days."""
    return set(delta.vacuum(days * 24, dry_run=True, enforce_retention_duration=False))


def unknown(delta: "DeltaTable", names: Iterable[str]) -> set[str]:
    """Those of the files that neither this version nor an earlier one has, as far back as versions are kept."""
    return set(names) - {f["path"] for f in files(delta)} - replaced(delta)


def _told(value: Any, up: bool = False) -> Any:
    """A bound as Delta writes it, rounded outwards: instants in whole milliseconds, texts cut.

    None is left out, since delta-rs takes a column with some bounds missing to hold nothing at all.
    """
    if isinstance(value, str) and len(value) > LONG_TEXT:
        return value[:LONG_TEXT] + (LAST if up else "")
    if isinstance(value, float) and isinf(value):
        return BEYOND if value > 0 else -BEYOND
    if isinstance(value, datetime):
        value = value.astimezone(UTC)
        floor = value.replace(microsecond=value.microsecond // 1000 * 1000)
        whole = floor + timedelta(milliseconds=1) if up and floor < value else floor
        return whole.strftime("%Y-%m-%dT%H:%M:%S.") + f"{whole.microsecond // 1000:03d}Z"
    return value.isoformat() if isinstance(value, date) else value
