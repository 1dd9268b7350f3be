"""Cogroup: divide tables that are too long for one call of a function into parts, without splitting a key.

The rows of all tables are combined into one table. Each row is tagged with the number of its table, and rows are sorted
by key. The combined table is cut only where the key changes.
"""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

SIDE = "side"  # the column with the number of a row's table
PART_ROWS = 500_000  # rows that an opaque function gets at once, unless one key has more


def key_column(number: int) -> str:
    """Return the name of a key column in the combined table."""
    return f"key{number}"


def side_column(side: int) -> str:
    """Return the name of the struct column with the rows of one table."""
    return f"rows{side}"


def parts(batches: Iterable[pa.RecordBatch], keys: int) -> Iterator[pa.Table]:
    """Cut tagged rows, sorted by `keys` key columns, into parts of about `PART_ROWS` rows and whole keys."""
    names = [key_column(n) for n in range(keys)]
    held: list[pa.RecordBatch] = []
    size, enough = 0, PART_ROWS
    for batch in batches:
        held, size = [*held, batch], size + len(batch)
        if size < enough:
            continue
        table = pa.Table.from_batches(held)
        if cut := _last_change(table, names):
            yield table.slice(0, cut)
            rest = table.slice(cut).combine_chunks()  # a copy, so that the memory of the yielded part is freed
            held, size, enough = rest.to_batches(), len(rest), PART_ROWS
        else:
            enough = 2 * size  # so that a long key is not searched again with every batch
    if size:
        yield pa.Table.from_batches(held)


def untagged(part: pa.Table, schemas: Sequence[pa.Schema]) -> list[pa.Table]:
    """Return the part's rows as one table for each of `schemas`."""
    return [_side(part, side, schema) for side, schema in enumerate(schemas)]


def _last_change(table: pa.Table, names: list[str]) -> int:
    """Return the first row of the last key, or 0 if all rows have the same key."""
    import pyarrow.compute as pc

    last = table.slice(len(table) - 1)
    same = None
    for name in names:
        value = last[name][0]
        equal = pc.equal(table[name], value).fill_null(False) if value.is_valid else pc.is_null(table[name])
        same = equal if same is None else pc.and_(same, equal)
    return 0 if same is None else len(table) - pc.sum(same).as_py()


def _side(part: pa.Table, side: int, schema: pa.Schema) -> pa.Table:
    import pyarrow.compute as pc

    rows = part.filter(pc.equal(part[SIDE], side))[side_column(side)]
    batches = [pa.RecordBatch.from_struct_array(c) for c in rows.chunks if len(c)]
    return pa.Table.from_batches(batches).cast(schema) if batches else schema.empty_table()
