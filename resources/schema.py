"""Schemas: how an asset declares its table, and how the declaration is read back.

The declaration is the asset's Dagster metadata, so the UI's catalog shows exactly what the lake enforces.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

INSTANT = pa.timestamp("us", "UTC")  # nanoseconds break Spark, a missing zone changes Delta's protocol
KEY, SORTED_BY, COLUMNS = "key", "sorted_by", "dagster/column_schema"  # metadata keys
TYPES: dict[str, pa.DataType] = {
    str(t): t
    for t in (
        pa.bool_(),
        pa.int64(),
        pa.float64(),
        pa.string(),
        pa.date32(),
        INSTANT,
        pa.list_(pa.string()),
        pa.list_(pa.int64()),
        pa.list_(pa.float64()),
        pa.list_(pa.float32()),  # embeddings: half the bytes
    )
}
"""The column types that a table of the lake may have: all engines and Delta agree on them."""


def column(
    name: str,
    data_type: pa.DataType,
    description: str,
    *,
    unit: str | None = None,
    null: bool = False,
    personal: bool = False,
) -> pa.Field:
    """Declare a column: its description, its unit, whether it may be null, whether it is personal data."""
    notes = {"comment": f"{description} ({unit})" if unit else description} | ({"personal": "yes"} if personal else {})
    return pa.field(name, data_type, nullable=null, metadata=notes)


def subset(schema: pa.Schema, names: Iterable[str]) -> pa.Schema:
    """Return a schema with only these columns, in this order. Raises `KeyError` if one is missing."""
    return pa.schema([schema.field(name) for name in names])


def as_table(values: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """Convert rows, whose values are in the order of a schema's columns, to a table."""
    columns = zip(*values, strict=True) if values else [[] for _ in schema]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)


def declare(
    schema: pa.Schema, *, key: Sequence[str] = (), slices: str | None = None, order: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the metadata of an asset that declares its table; the lake, checks and the UI read it.

    `key` names the columns that identify a row, `slices` the date column of its partitions. Rows in files are sorted
    by `order`, by default the key.
    """
    import dagster as dg  # imported here so that processes that only write to the lake start quickly

    columns = [
        dg.TableColumn(
            f.name,
            str(f.type),
            f.metadata[b"comment"].decode(),
            dg.TableColumnConstraints(nullable=f.nullable),
            tags={"personal": ""} if b"personal" in f.metadata else {},
        )
        for f in schema
    ]
    metadata = {COLUMNS: dg.TableSchema(columns), SORTED_BY: ", ".join(order or key)}
    return metadata | ({KEY: ", ".join(key)} if key else {}) | ({"partition_expr": slices} if slices else {})


def declared(metadata: Mapping[str, Any]) -> pa.Schema:
    """Return the schema that an asset's metadata declares."""
    return pa.schema(
        [
            column(
                c.name,
                TYPES[c.type],
                c.description or "",
                null=c.constraints.nullable,
                personal="personal" in (c.tags or {}),
            )
            for c in metadata[COLUMNS].columns
        ]
    )


def order(metadata: Mapping[str, Any]) -> list[str]:
    """Return the columns by which an asset's rows are sorted in its files."""
    return _names(metadata, SORTED_BY)


def key(metadata: Mapping[str, Any]) -> list[str]:
    """Return the columns that identify a row of an asset; empty if it declares no key."""
    return _names(metadata, KEY)


def _names(metadata: Mapping[str, Any], entry: str) -> list[str]:
    return [c for c in str(metadata.get(entry, "")).split(", ") if c]
