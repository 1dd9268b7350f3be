"""Columns: how an asset declares the table it makes, and how that declaration is read back.

The declaration is the asset's Dagster metadata, so that the catalog shows what the lake enforces.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

INSTANT = pa.timestamp("us", "UTC")  # nanoseconds break Spark, a missing zone changes Delta's protocol
KEY, SORTED_BY = "key", "sorted_by"  # entries of the metadata
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
"""The types a table of the lake may have: those on which all engines and Delta agree."""


def column(
    name: str, type: pa.DataType, says: str, *, unit: str | None = None, null: bool = False, personal: bool = False
) -> pa.Field:
    """Declare a column: what it says, in which unit, whether it may be null, whether it tells about a person."""
    notes = {"comment": f"{says} ({unit})" if unit else says} | ({"personal": "yes"} if personal else {})
    return pa.field(name, type, nullable=null, metadata=notes)


def some(schema: pa.Schema, names: Iterable[str]) -> pa.Schema:
    """Some columns of a schema."""
    return pa.schema([schema.field(name) for name in names])


def as_table(values: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """Rows in the order of a schema's columns, as a table."""
    columns = zip(*values, strict=True) if values else [[] for _ in schema]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)


def declare(
    schema: pa.Schema, *, key: Sequence[str] = (), slices: str | None = None, order: Sequence[str] = ()
) -> dict[str, Any]:
    """Return an asset's metadata, from which the lake, checks and the UI read what the asset declares.

    `key` names the columns that identify a row, `slices` the date column of its partitions. Rows in files are sorted
    by `order`, by default the key.
    """
    import dagster as dg  # here, so that processes that only write to the lake start quickly

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
    found = {"dagster/column_schema": dg.TableSchema(columns), SORTED_BY: ", ".join(order or key)}
    return found | ({KEY: ", ".join(key)} if key else {}) | ({"partition_expr": slices} if slices else {})


def declared(metadata: Mapping[str, Any]) -> pa.Schema:
    """The schema an asset declared."""
    return pa.schema(
        [
            column(
                c.name,
                TYPES[c.type],
                c.description or "",
                null=c.constraints.nullable,
                personal="personal" in (c.tags or {}),
            )
            for c in metadata["dagster/column_schema"].columns
        ]
    )


def order(metadata: Mapping[str, Any]) -> list[str]:
    """Return the columns by which an asset's rows are sorted in its files."""
    return _names(metadata, SORTED_BY)


def key(metadata: Mapping[str, Any]) -> list[str]:
    """Return the columns that identify a row of an asset, none if it declares no key."""
    return _names(metadata, KEY)


def _names(metadata: Mapping[str, Any], entry: str) -> list[str]:
    return [c for c in str(metadata.get(entry, "")).split(", ") if c]
