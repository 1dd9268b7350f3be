"""The chart in the terminal."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from assets.derived.charts import CHART
from orchestration.cli.chart import chart
from resources.engines.pandas import PandasEngine
from resources.errors import TuttiError
from resources.lake.lake import Lake


def charted(data: Path, table: str, *names: str, year: int = 2002) -> None:
    """A chart in which these recordings have their places."""
    rows = [
        {"period_start": date(year, 1, 1), "entity": "recording", "entity_id": name, "name": name, "rank": n}
        | {"plays": 10 - n, "ms_played": 0, "listeners": 1, "plays_capped": 1, "previous_rank": None}
        for n, name in enumerate(names, 1)
    ]
    frame = PandasEngine().from_arrow(pa.Table.from_pylist(rows, CHART))
    Lake(data / "lake").replace(table, frame, CHART)


def test_where_no_day_was_closed_yet_the_newest_years_chart_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path))
    with pytest.raises(TuttiError, match="there is no chart"):
        chart.callback()
    charted(tmp_path, "derived/charts_yearly", "Song", "Other", year=2025)
    chart.callback()
    told = capsys.readouterr().out
    assert "recordings by plays, of 2025" in told
    assert told.index("1. Song") < told.index("2. Other")
    charted(tmp_path, "derived/charts_all_time", "Ever")
    chart.callback()
    told = capsys.readouterr().out
    assert "recordings by plays, of all time" in told and "1. Ever" in told and "Song" not in told
