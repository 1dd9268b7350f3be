"""Example queries: the code below an asset's description that shows the newest rows of its table."""

import dagster as dg

from resources.environments import PROJECT
from resources.schema import order
from resources.storage import Storage

ROWS = 10


def with_example(spec: dg.AssetSpec, lake: Storage) -> str:
    """Return an asset's description, followed by Python code that queries its table with DuckDB."""
    columns = [f'"{column}"' for column in order(spec.metadata)]  # some are keywords of SQL
    if "partition_expr" in spec.metadata:
        columns[0] += " DESC"  # the newest partition first
    folder = (lake / "/".join(spec.key.path)).url.removeprefix(f"{PROJECT}/")  # Tutti runs from its folder
    query = ["SELECT * FROM rows", *([f"ORDER BY {', '.join(columns)}"] if columns else []), f"LIMIT {ROWS}"]
    return f"""{spec.description}

```python
import deltalake, duckdb

rows = deltalake.DeltaTable("{folder}").to_pyarrow_dataset()
duckdb.sql('{" ".join(query)}').show()
```"""
