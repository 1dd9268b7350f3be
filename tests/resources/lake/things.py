"""A table to test with, and the work of writer processes, in a module that they import quickly."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from resources.frames.filters import RangeFilter
from resources.lake.lake import Lake
from resources.schema import INSTANT, column

EVENTS = pa.schema(
    [
        column("day", pa.date32(), "UTC day"),
        column("name", pa.string(), "what happened", null=True),
        column("at", INSTANT, "when", unit="UTC", null=True),
        column("n", pa.int64(), "how often", null=True),
        column("x", pa.float64(), "how much", null=True),
        column("ok", pa.bool_(), "whether it went well", null=True),
        column("tags", pa.list_(pa.string()), "what it is about", null=True),
    ]
)
TABLE = "events/things"


def event(day: date, name: str | None = "a", **changes: Any) -> dict[str, Any]:
    return {"day": day, "name": name, "at": None, "n": 1, "x": None, "ok": None, "tags": None} | changes


def events(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), EVENTS)


def as_tables(*rows: dict[str, Any]) -> Iterator[pa.Table]:
    return iter([events(*rows)])


def only(first: date, last: date | None = None) -> RangeFilter:
    return RangeFilter("day", first, last or first)


def replace_days(root: str, days: Sequence[date], name: str) -> None:
    """Replace each day with two rows of this name, one commit per day."""
    for day in days:
        Lake(root).replace(TABLE, as_tables(event(day, name), event(day, name)), EVENTS, only(day), ["day"])
