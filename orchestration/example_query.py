"""Example queries: the code below an asset's description that shows the newest rows of its table."""

import json

import dagster as dg

from resources.environments import PROJECT
from resources.report.markdown import code
from resources.schema import order
from resources.storage import Storage
from resources.text.printable import printable

ROWS = 10


def with_example(spec: dg.AssetSpec, lake: Storage) -> str:
    """Return an asset's description, followed by Python code that queries its table with DuckDB."""
    columns = [f'"{column}"' for column in order(spec.metadata)]  # some are keywords of SQL
    if "partition_expr" in spec.metadata:
        columns[0] += " DESC"  # the newest partition first
    folder = (lake / "/".join(spec.key.path)).url.removeprefix(f"{PROJECT}/")  # Tutti runs from its folder
    query = ["SELECT * FROM rows", *([f"ORDER BY {', '.join(columns)}"] if columns else []), f"LIMIT {ROWS}"]
    lines = [
        "import deltalake, duckdb",
        "",
        f"rows = deltalake.DeltaTable({printable(json.dumps(folder, ensure_ascii=False))}).to_pyarrow_dataset()",
        f"duckdb.sql({' '.join(query)!r}).show()",
    ]
    return f"{spec.description}\n\n{code(chr(10).join(lines), 'python')}"
