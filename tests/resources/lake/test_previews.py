"""What the UI shows of a table's rows."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from resources.lake.preview import figures, preview
from resources.schema import as_table, column
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
    shown = str(preview([Storage.at(tmp_path / "a.parquet")], rows.schema)["preview"].value).splitlines()
    assert shown[:3] == [
        "| text | beats | key |",
        "| --- | --- | --- |",
        "| Until we meet again \\| farewell | \\[0.123457, 1, 1.5, …\\] | C |",
    ]
    assert len(shown) == 4 and len(shown[3]) < 120 and shown[3].endswith("… | \\[\\] |  |")


MONDAY, TUESDAY = date(2025, 3, 3), date(2025, 3, 4)
PLAYS = pa.schema(
    [
        column("day", pa.date32(), "UTC day"),
        column("user_id", pa.string(), "who listened", personal=True),
        column("ms_played", pa.int64(), "time listened", unit="ms", null=True),
    ]
)
RANKS = pa.schema(
    [
        column("day", pa.date32(), "UTC day"),
        column("entity", pa.string(), '"recording" or "artist"'),
        column("entity_id", pa.string(), "id"),
        column("rank", pa.int64(), "place"),
        column("ms_played", pa.int64(), "time listened", unit="ms"),
        column("previous_rank", pa.int64(), "place before", null=True),
        column("name", pa.string(), "name"),
    ]
)


def written(folder: Path, schema: pa.Schema, rows: list[tuple[Any, ...]]) -> list[Storage]:
    """Write rows to a file of the lake."""
    pq.write_table(as_table(rows, schema), folder / "a.parquet")
    return [Storage.at(folder / "a.parquet")]


def test_figures_count_each_listener_of_a_day_once(tmp_path: Path) -> None:
    hour = 3_600_000
    files = written(tmp_path, PLAYS, [(MONDAY, "ada", hour), (MONDAY, "ada", None), (TUESDAY, "bob", hour // 2)])
    found = figures([*files, *files], PLAYS, "day")  # a day may be in several files
    assert found == {
        MONDAY: {"rows": 4, "hours": 2, "listeners": 1},
        TUESDAY: {"rows": 2, "hours": 1, "listeners": 1},
    }


def test_preview_of_listens_names_no_listener(tmp_path: Path) -> None:
    files = written(tmp_path, PLAYS, [(MONDAY, "ada", 1_000), (TUESDAY, "bob", 2_000)])
    shown = preview(files, PLAYS, "day", figures(files, PLAYS, "day"))
    assert "2025-03-04" in str(shown["preview"].value)
    assert not any(name in str(each.value) for each in shown.values() for name in ("ada", "bob"))


def test_chart_shows_movement_in_the_newest_period_with_ids_last(tmp_path: Path) -> None:
    rows = [(MONDAY, "artist", "x", 1, 1_000, None, "Old"), (TUESDAY, "artist", "y", 1, 3_661_000, 3, "New")]
    rows += [(TUESDAY, "recording", "z", 2, 1_000, 1, "Tune"), (TUESDAY, "recording", "w", 3, 1_000, None, "Song")]
    files = written(tmp_path, RANKS, rows)
    shown = str(preview(files, RANKS, "day", figures(files, RANKS, "day"))["preview"].value).splitlines()
    assert [line for line in shown if line and "---" not in line] == [
        "2025-03-04:",
        "recordings",
        "| rank | name | played | movement | entity\\_id |",
        "| 2 | Tune | 0:00:01 | ▼ 1 | z |",
        "| 3 | Song | 0:00:01 | new | w |",
        "artists",
        "| rank | name | played | movement | entity\\_id |",
        "| 1 | New | 1:01:01 | ▲ 2 | y |",
    ]
