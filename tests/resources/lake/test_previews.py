"""The preview of a table's first rows in Dagster's UI."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from resources.lake.io_manager import _preview
from resources.storage import Storage


def test_preview_shows_each_row_as_one_short_line(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "text": ["Until we meet\nagain | farewell", "la " * 200],
            "beats": [[0.123456789, 1.0, 1.5, 2.0], []],
            "key": ["C", None],
        }
    )
    pq.write_table(rows, tmp_path / "a.parquet")
    shown = str(_preview([Storage.at(tmp_path / "a.parquet")], rows.schema).value).splitlines()
    assert shown[:3] == [
        "| text | beats | key |",
        "| --- | --- | --- |",
        "| Until we meet again \\| farewell | [0.123457, 1, 1.5, …] | C |",
    ]
    assert len(shown) == 4 and len(shown[3]) < 120 and shown[3].endswith("… | [] |  |")
