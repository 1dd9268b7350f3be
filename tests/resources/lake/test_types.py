"""Every column type survives every operation of every engine and the lake."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa
import pytest

from resources.frames.frame import Engine, Frame
from resources.lake.lake import Lake
from resources.schema import TYPES, column, declare, declared

FLOAT32 = [0.1, -0.0, 1e-45, 3.4028234663852886e38, 1.0]  # 0.1 rounded, the least and the greatest
VALUES: dict[str, list[Any]] = {
    "bool": [True, False],
    "int64": [2**63 - 1, -(2**63) + 1],
    "double": [0.1, 1e300],
    "string": ["é", ""],
    "date32[day]": [date(1970, 1, 1), date(2024, 2, 29)],
    "timestamp[us, tz=UTC]": [datetime(2024, 2, 29, 23, 59, 59, 999_999, UTC), datetime(1970, 1, 1, tzinfo=UTC)],
    "list<item: string>": [["é", ""], []],
    "list<item: int64>": [[2**63 - 1], []],
    "list<item: double>": [[0.1, 1e300], []],
    "list<item: float>": [FLOAT32, []],
}
"""Two values for each type that a wrong conversion would change."""

SCHEMA = pa.schema(
    [column("id", pa.int64(), "row")]
    + [column(f"c{i}", type, str(type), null=True) for i, type in enumerate(TYPES.values())]
)
ROWS = pa.table(
    {
        "id": pa.array(range(3), pa.int64()),
        **{f"c{i}": pa.array([*VALUES[name], None], type) for i, (name, type) in enumerate(TYPES.items())},
    },
    declared(declare(SCHEMA)),
)
TABLE = "content/types"


def as_is(rows: pa.Table) -> pa.Table:
    return rows


def rows_of_key(rows: nw.LazyFrame) -> nw.LazyFrame:
    return rows.filter(nw.col("id") >= 0)


def beside(rows: nw.LazyFrame, others: nw.LazyFrame) -> nw.LazyFrame:
    return rows.join(others.select("id"), on="id", how="inner")


WAYS: dict[str, Callable[[Frame], Frame]] = {
    "read": lambda rows: rows,
    "planned map": lambda rows: rows.map(rows_of_key),
    "opaque map": lambda rows: rows.map(as_is, schema=SCHEMA, kernel="arrow"),
    "planned per": lambda rows: rows.per("id", rows_of_key),
    "opaque per": lambda rows: rows.per("id", as_is, schema=SCHEMA, kernel="arrow"),
    "two tables": lambda rows: rows.per("id", beside, rows),
    "broadcast": lambda rows: rows.map(beside, broadcast=[rows]),
    "persisted": lambda rows: rows.persist(),
    "rows of two": lambda rows: rows.concat(rows).per("id", as_is, schema=SCHEMA, kernel="arrow").map(rows_of_key),
}


@pytest.mark.parametrize("way", WAYS)
def test_round_trips_every_type_through_engine_and_lake(engine: Engine, way: str, tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.replace(TABLE, engine.from_arrow(ROWS), SCHEMA, order=["id"])
    lake.replace(TABLE, WAYS[way](engine.read(lake.scan(TABLE, SCHEMA))), SCHEMA, order=["id"])
    stored = lake.scan(TABLE, SCHEMA).table().sort_by("id")  # engines divide rows into files differently
    assert stored.schema.types == SCHEMA.types
    expected = pa.concat_tables([ROWS, ROWS]).sort_by("id") if way == "rows of two" else ROWS
    assert [repr(row) for row in stored.to_pylist()] == [repr(row) for row in expected.to_pylist()]
    assert lake.stored(TABLE).types == SCHEMA.types


def test_every_declarable_type_is_tested() -> None:
    assert list(VALUES) == list(TYPES)
