"""Run a step in this process, on tables in memory that contain whole keys. Every engine does this with its parts."""

import pyarrow as pa

from resources.engines.workers import map_isolated
from resources.frames.frame import Step, conform


def run(step: Step, *tables: pa.Table, processes: int = 1) -> pa.Table:
    """Run `step` on `tables` in memory and return its result; a heavy step runs in `processes` worker processes."""
    import narwhals as nw
    import pandas as pd

    if step.on_crash and step.schema:
        results = map_isolated(step.fn, step.on_crash, tables[0], tables[1:], processes)
        return pa.concat_tables([step.schema.empty_table(), *(conform(t, step.schema) for t in results)])
    if step.kernel == "arrow":
        return conform(step.fn(*tables), step.schema)
    frames = (nw.from_native(t.to_pandas(types_mapper=pd.ArrowDtype)).lazy() for t in tables)
    rows = step.fn(*frames).to_native()
    table = _narrow(pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata())
    return conform(table, step.schema) if step.schema else table


def _narrow(table: pa.Table) -> pa.Table:
    """Cast large strings to strings, the type in files: pandas cannot join the two types if both tables are empty."""
    types = [pa.string() if pa.types.is_large_string(f.type) else f.type for f in table.schema]
    return table.cast(pa.schema(list(zip(table.schema.names, types, strict=True))))
