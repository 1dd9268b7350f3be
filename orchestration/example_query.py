"""Example queries: the code below an asset's description that shows the newest rows of its table."""

import json

import dagster as dg
import pyarrow as pa

from resources.environments import PROJECT
from resources.report.markdown import code
from resources.schema import COLUMNS, declared, order
from resources.storage import Storage
from resources.text.printable import printable

ROWS = 10


def with_example(spec: dg.AssetSpec, lake: Storage) -> str:
    """Return an asset's description, followed by Python code that queries its table with DuckDB."""
    columns = [f'"{column}"' for column in order(spec.metadata)]  # some are keywords of SQL
    if "partition_expr" in spec.metadata:
        columns[0] += " DESC"  # the newest partition first
    if not columns and COLUMNS in spec.metadata:  # an asset may declare none
        columns = [f'"{f.name}" DESC' for f in declared(spec.metadata) if pa.types.is_timestamp(f.type)][:1]
    folder = (lake / "/".join(spec.key.path)).url.removeprefix(f"{PROJECT}/")  # Tutti runs from its folder
    # Always ordered: a bare LIMIT leaves DuckDB's threads scanning while Python exits, which can crash it.
    query = ["SELECT * FROM rows", f"ORDER BY {', '.join(columns) or 'ALL'}", f"LIMIT {ROWS}"]
    lines = [
        "import deltalake, duckdb",
        "",
        f"rows = deltalake.DeltaTable({printable(json.dumps(folder, ensure_ascii=False))}).to_pyarrow_dataset()",
        f"duckdb.sql({' '.join(query)!r}).show()",
    ]
    return f"{spec.description}\n\n{code(chr(10).join(lines), 'python')}"
