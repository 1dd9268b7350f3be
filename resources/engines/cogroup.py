"""Keys: how tables that are too long to lend whole are divided, so that no key is ever in two parts.

Tables travel together as one, each row tagged with the table it comes from, and sorted by key; where the key changes,
they may be cut.
"""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

SIDE = "side"  # the column that tells from which table a row comes
ROWS = 500_000  # lent to an opaque function at once, unless one key has more


def key_column(number: int) -> str:
    """The name under which a key travels."""
    return f"key{number}"


def side_column(side: int) -> str:
    """The name under which the rows of a table travel, as one struct."""
    return f"rows{side}"


def parts(batches: Iterable[pa.RecordBatch], keys: int) -> Iterator[pa.Table]:
    """Cut tagged rows, sorted by their first `keys` key columns, into parts of about `ROWS` rows and of whole keys."""
    names = [key_column(n) for n in range(keys)]
    held: list[pa.RecordBatch] = []
    size, enough = 0, ROWS
    for batch in batches:
        held, size = [*held, batch], size + len(batch)
        if size < enough:
            continue
        table = pa.Table.from_batches(held)
        if cut := _last_change(table, names):
            yield table.slice(0, cut)
            rest = table.slice(cut).combine_chunks()  # a copy, so that what was cut off is freed
            held, size, enough = rest.to_batches(), len(rest), ROWS
        else:
            enough = 2 * size  # one long key is not looked through again with every batch
    if size:
        yield pa.Table.from_batches(held)


def untagged(part: pa.Table, schemas: Sequence[pa.Schema]) -> list[pa.Table]:
    """The tables whose rows traveled together."""
    return [_side(part, side, schema) for side, schema in enumerate(schemas)]


def _last_change(table: pa.Table, names: list[str]) -> int:
    """The row at which the last key begins, or 0 where all rows have one key."""
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
