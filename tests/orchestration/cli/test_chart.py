"""The charts in the terminal."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from assets.derived.charts import CHART, DAILY_CAP
from orchestration.cli import ranking, text_table
from orchestration.cli.chart import chart
from orchestration.cli.demo import DAYS, FIRST_DAY
from resources.engines.duckdb import DuckEngine
from resources.engines.pandas import PandasEngine
from resources.errors import TuttiError
from resources.lake.lake import Lake
from resources.sandbox import world
from resources.span import FIRST_DAY as EVER
from tests.transformations import CHARTS

WEEK = date(2025, 3, 31)


def charted(data: Path, table: str, start: date, *rows: dict[str, Any]) -> None:
    """Write a chart of recordings, by default of one play each."""
    usual = {"entity": "recording", "previous_rank": None, "ms_played": 60_000, "listeners": 1, "plays": 1}
    found = [usual | {"period_start": start, "entity_id": row["name"], "rank": 1} | row for row in rows]
    found = [{"plays_capped": row["plays"]} | row for row in found]
    frame = PandasEngine().from_arrow(pa.Table.from_pylist(found, CHART))
    Lake(data / "lake").replace(table, frame, CHART)


def printed(data: Path, *options: str) -> list[list[str]]:
    """Print a chart and return the words of each line."""
    done = CliRunner().invoke(chart, options, env={"TUTTI_DATA_DIR": str(data)}, catch_exceptions=False)
    return [line.split() for line in done.output.splitlines()]


def places(lines: list[list[str]]) -> list[str]:
    """Return the names in order."""
    return [line[-1] for line in lines if line and line[0].rstrip(".").isdigit()]


def test_several_listeners_are_ranked_by_the_plays_that_count(tmp_path: Path) -> None:
    loop = {"name": "Loop", "plays": 500, "plays_capped": 6}
    charted(tmp_path, "derived/charts_all_time", EVER, loop, {"name": "Hit", "plays": 20, "listeners": 9})
    assert places(printed(tmp_path)) == ["Hit", "Loop"]


def test_one_listener_is_ranked_by_all_plays(tmp_path: Path) -> None:
    loop = {"name": "Loop", "plays": 500, "plays_capped": 6}
    charted(tmp_path, "derived/charts_all_time", EVER, loop, {"name": "Other", "plays": 20})
    assert places(printed(tmp_path)) == ["Loop", "Other"]


def test_a_week_is_compared_with_the_week_before(tmp_path: Path) -> None:
    before = WEEK - timedelta(weeks=1)
    rows = [{"name": name, "plays": n, "period_start": WEEK} for n, name in enumerate("abcd", 1)]
    rows += [{"name": name, "plays": n, "period_start": before} for n, name in enumerate("bca", 1)]
    charted(tmp_path, "derived/charts_weekly", WEEK, *rows)
    found = printed(tmp_path, "--period", "weekly")
    assert [line[:3] for line in found[3:7]] == [
        ["1.", "new", "4"],
        ["2.", "=", "3"],
        ["3.", "=", "2"],
        ["4.", "-3", "1"],
    ]


def test_all_time_is_compared_with_itself_before_the_newest_week(tmp_path: Path) -> None:
    charted(tmp_path, "derived/charts_weekly", WEEK, {"name": "Late", "plays": 9}, {"name": "New", "plays": 1})
    ever = [{"name": "Late", "plays": 10}, {"name": "Old", "plays": 5}, {"name": "New"}]
    charted(tmp_path, "derived/charts_all_time", EVER, *ever)
    found = printed(tmp_path)
    assert [(line[1], line[-1]) for line in found[3:6]] == [("+1", "Late"), ("-1", "Old"), ("new", "New")]


def test_a_time_that_no_source_knows_is_called_unknown(tmp_path: Path) -> None:
    times = [
        {"name": "Long", "ms_played": 7_200_000, "plays": 2},
        {"name": "Short"},
        {"name": "Untimed", "ms_played": 0},
    ]
    charted(tmp_path, "derived/charts_all_time", EVER, *times)
    assert [" ".join(line[3:-1]) for line in printed(tmp_path)[3:6]] == ["2.0 h", "1 min", "time unknown"]


def test_as_many_places_are_printed_as_are_asked_for(tmp_path: Path) -> None:
    charted(tmp_path, "derived/charts_all_time", EVER, *({"name": f"n{n}"} for n in range(30)))
    assert len(places(printed(tmp_path))) == 10
    assert len(places(printed(tmp_path, "--limit", "12"))) == 12
    assert len(places(printed(tmp_path, "--limit", ""))) == 10


def test_names_are_escaped_and_lines_fit_a_terminal(tmp_path: Path) -> None:
    odd = {"name": "Wolf \x1b[31m" + "gang" * 30 + " – Title", "plays": 1_234_567, "ms_played": 10**11}
    charted(tmp_path, "derived/charts_all_time", EVER, odd)
    done = CliRunner().invoke(chart, env={"TUTTI_DATA_DIR": str(tmp_path)})
    assert "\x1b" not in done.output and "– Title" in done.output
    assert max(map(len, done.output.splitlines())) <= text_table.WIDTH


def test_the_newest_year_is_shown_until_a_day_was_closed(tmp_path: Path) -> None:
    with pytest.raises(TuttiError, match="chart"):
        printed(tmp_path)
    charted(tmp_path, "derived/charts_yearly", date(2025, 1, 1), {"name": "Year"})
    assert places(printed(tmp_path)) == ["Year"]
    charted(tmp_path, "derived/charts_all_time", EVER, {"name": "Ever"})
    assert places(printed(tmp_path)) == ["Ever"]


Leaders = dict[tuple[str, str], str]


@pytest.fixture(scope="module")
def demo_charts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Leaders]:
    """Charts of the demo's world, and what people play most by chart and kind, programs left out."""
    simulated = world.simulated(first_day=FIRST_DAY, days=DAYS, turnover=True)
    listens, people = simulated.listens, simulated.people
    day = listens.listened_at // 86_400 - (FIRST_DAY - date(1970, 1, 1)).days
    keys, counts = np.unique(np.stack([day, listens.listener, listens.recording]), axis=1, return_counts=True)
    plays = Counter[tuple[int, int, str, str]]()
    for (on, user, played), count in zip(keys.T.tolist(), counts.tolist(), strict=True):
        recording = simulated.recordings[played]
        plays[on, user, "recording", recording.id] += count
        for artist in {artist.id for artist, _ in recording.credit}:
            plays[on, user, "artist", artist] += count
    human: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    given: dict[str, list[dict[str, Any]]] = {"recording": [], "artist": []}
    for (on, user, entity, id), count in plays.items():
        row = {"day": FIRST_DAY + timedelta(days=on), "user_id": people.user_name[user], f"{entity}_id": id}
        given[entity].append(row | {"plays": count, "ms_played": 0})
        if not people.bot[user]:
            human["all_time", entity][id] += min(count, DAILY_CAP)
            human["weekly", entity][id] += min(count, DAILY_CAP) if on >= DAYS - 7 else 0
    lake = Lake(tmp_path_factory.mktemp("demo"))
    last = FIRST_DAY + timedelta(days=DAYS - 7)
    for period, span in (("weekly", (last, last)), ("all_time", (EVER, EVER))):
        made = CHARTS[period].on(DuckEngine(), [*given.values(), []], span)
        lake.replace(f"derived/charts_{period}", PandasEngine().from_arrow(made), CHART)
    return lake, {chart: most.most_common(1)[0][0] for chart, most in human.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["all_time", "weekly"])
@pytest.mark.parametrize("entity", ["recording", "artist"])
def test_no_program_leads_the_demos_charts(name: str, entity: str, demo_charts: tuple[Lake, Leaders]) -> None:
    lake, leaders = demo_charts
    found = ranking.read(lake, name)
    assert found
    assert found.places(entity, 1)[0].entity_id == leaders[name, entity]
    uncapped = replace(found, capped=False)
    assert uncapped.places(entity, 1)[0].entity_id != leaders[name, entity]
