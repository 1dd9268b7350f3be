"""What the demo says of its tables at the end."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets.content.lyrics import LYRICS
from assets.derived.charts import CHART
from assets.derived.lyrics_word_counts import WORD_COUNTS
from assets.events.retention import RETENTION
from assets.events.streaks import STREAKS
from orchestration.cli import findings, text_table
from resources.engines.pandas import PandasEngine
from resources.lake.lake import Lake
from resources.sources.records.lyrics import NOT_FOUND, WORDS
from tests.orchestration.conftest import World

MONDAY = date(2025, 3, 3)


def filled(data: Path, table: str, schema: pa.Schema, *rows: dict[str, Any]) -> Lake:
    """Return a lake with one table; a column that a row lacks is null."""
    lake = Lake(data)
    lake.replace(table, PandasEngine().from_arrow(pa.Table.from_pylist(list(rows), schema)), schema)
    return lake


def test_two_runs_on_two_engines_say_the_same(laptop: World, workstation: World) -> None:
    one, other = (findings.findings(Lake(world.data / "lake")) for world in (laptop, workstation))
    assert one == other
    text, summary = " ".join(" ".join(one).split()), laptop.summary
    assert f"{summary.listens:,} listens" in text
    assert f"Quarantine: {summary.malformed + summary.impossible:,} unreadable records" in text
    assert max(map(len, one)) <= text_table.WIDTH
    assert {line.split(":")[0].split()[0] for line in one if line[2] != " "} >= {"Listening", "Top", "Lyrics"}


def test_an_empty_lake_shows_nothing(tmp_path: Path) -> None:
    assert findings.findings(Lake(tmp_path)) == []


def test_listeners_who_came_back_are_those_of_earlier_weeks(tmp_path: Path) -> None:
    rows = [(0, 0, 5, 5), (0, 1, 4, 5), (0, 2, 3, 5), (1, 0, 2, 2), (1, 1, 1, 2), (2, 0, 9, 9)]
    found = [
        {"cohort_week": MONDAY + timedelta(weeks=w), "weeks_since": since, "retained": back, "cohort_size": size}
        for w, since, back, size in rows
    ]
    lake = filled(tmp_path, "events/retention", RETENTION, *found)
    ((_, text),) = findings.retention(lake)
    assert text.startswith("4 of the 7 listeners") and f"week of {MONDAY + timedelta(weeks=2)}" in text


def test_the_longest_streak_names_one_listener_and_escapes_them(tmp_path: Path) -> None:
    days = {"latest_streak": 1, "longest_first_day": MONDAY, "longest_last_day": MONDAY, "active_days": 9}
    days |= {"first_day": MONDAY, "last_day": MONDAY}
    people = [("b", 9), ("a\x1b[1m", 9), ("c", 4)]
    rows = [days | {"user_id": user, "longest": longest} for user, longest in people]
    lake = filled(tmp_path, "events/streaks", STREAKS, *rows)
    assert list(findings.streak(lake)) == [
        ("Longest streak", "9 local days in a row, by a\\x1b[1m, first of 2 listeners")
    ]


def test_a_recording_that_one_listener_looped_is_named_as_such(tmp_path: Path) -> None:
    row = {"period_start": MONDAY, "entity": "recording", "entity_id": "x", "rank": 1, "ms_played": 0, "listeners": 2}
    lake = filled(tmp_path, "derived/charts_all_time", CHART, row | {"name": "X", "plays": 90, "plays_capped": 9})
    ((_, text),) = findings.loops(lake)
    assert "of 90 plays 9 count" in text
    lake = filled(tmp_path / "calm", "derived/charts_all_time", CHART, row | {"plays": 9, "plays_capped": 9})
    assert list(findings.loops(lake)) == []


def test_lyrics_are_counted_if_they_have_words(tmp_path: Path) -> None:
    text = {"source": "lrclib", "instrumental": False, "synced": False, "is_preferred": True}
    rows = [text | {"lyrics_id": str(n), "status": status} for n, status in enumerate([WORDS, WORDS, NOT_FOUND])]
    filled(tmp_path, "content/lyrics", LYRICS, *rows)
    counts = [("the", 9, 2), ("moon", 5, 2), ("river", 2, 2), ("bonny", 3, 1)]
    words = [{"word": word, "occurrences": n, "works": works, "language": "en"} for word, n, works in counts]
    lake = filled(tmp_path, "derived/lyrics_word_counts", WORD_COUNTS, *words)
    ((_, said),) = findings.lyrics(lake)
    assert said.startswith("2 recordings") and said.endswith("river (2), bonny (1)")
