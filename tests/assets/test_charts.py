"""Charts of a few plays."""

from datetime import date, timedelta

import pytest

from assets.partitions import PERIODS, Period
from resources.frames.frame import Engine
from resources.span import FIRST_DAY
from tests import oracle
from tests.oracle import Row
from tests.tables import BEYOND, at, listen
from tests.transformations import CHARTS

MONDAY = date(2024, 2, 26)


def chart(engine: Engine, period: str, rows: list[Row], first: date, last: date | None = None) -> list[Row]:
    """Return the recordings of charts, in order."""
    read = [oracle.recording_plays(rows), oracle.artist_plays(rows), oracle.display_names(rows)]
    result = (
        CHARTS[period]
        .on(engine, read, (first, last or first))
        .sort_by([("period_start", "ascending"), ("rank", "ascending")])
    )
    return [r for r in result.to_pylist() if r["entity"] == "recording"]


def listens(day: date, **plays: int) -> list[Row]:
    return [listen(at(day, n), key, key) for key, count in plays.items() for n in range(count)]


def test_of_equal_plays_the_smaller_id_ranks_first(local: Engine) -> None:
    result = chart(local, "daily", listens(MONDAY, b=2, é=2, a=1, B=2), MONDAY)
    assert [(r["rank"], r["entity_id"]) for r in result] == [(1, "B"), (2, "b"), (3, "é"), (4, "a")]


def test_movement_compares_with_the_period_before_only(local: Engine) -> None:
    weeks = [MONDAY + timedelta(weeks=n) for n in range(3)]
    rows = listens(weeks[0], a=1, b=2, c=3) + listens(weeks[1], a=2, b=1) + listens(weeks[2], a=1, c=2)
    result = chart(local, "weekly", rows, weeks[1], weeks[2])
    assert [(r["period_start"], r["entity_id"], r["rank"], r["previous_rank"]) for r in result] == [
        (weeks[1], "a", 1, 3),
        (weeks[1], "b", 2, 2),
        (weeks[2], "c", 1, None),
        (weeks[2], "a", 2, 1),
    ]


def test_listeners_of_a_week_are_counted_once(local: Engine) -> None:
    rows = [listen(at(MONDAY + timedelta(days=d)), user, ms_played=BEYOND) for d in range(7) for user in ("ada", "bo")]
    (result,) = chart(local, "weekly", rows, MONDAY)
    assert (result["plays"], result["listeners"], result["ms_played"]) == (14, 2, 14 * BEYOND)


def test_a_listener_who_loops_a_song_does_not_lead_the_capped_chart(engine: Engine) -> None:
    rows = [
        *(listen(at(MONDAY, 5 * n), "ada", "night") for n in range(60)),
        *(listen(at(MONDAY + timedelta(days=1), 5 * n), "ada", "night") for n in range(12)),
        *(listen(at(MONDAY, 5 * n), f"listener {n}", "day") for n in range(25)),
    ]
    read = [oracle.recording_plays(rows), oracle.artist_plays(rows), oracle.display_names(rows)]
    result = CHARTS["weekly"].on(engine, read, (MONDAY, MONDAY)).to_pylist()
    assert sorted((r["entity"], r["plays"], r["plays_capped"]) for r in result) == [
        ("artist", 97, 3 + 3 + 25),
        ("recording", 25, 25),
        ("recording", 72, 3 + 3),
    ]


def test_a_recording_by_two_artists_counts_once_for_each_in_charts(local: Engine) -> None:
    rows = [listen(at(MONDAY), artist_ids=["x", "y"]), listen(at(MONDAY, 5), artist_ids=["y"], artist_name="Y")]
    read = [oracle.recording_plays(rows), oracle.artist_plays(rows), oracle.display_names(rows)]
    result = CHARTS["daily"].on(local, read, (MONDAY, MONDAY)).sort_by("rank").to_pylist()
    artists = [(r["entity_id"], r["plays"], r["name"]) for r in result if r["entity"] == "artist"]
    assert artists == [("y", 2, "Y"), ("x", 1, None)]


def test_a_chart_shows_the_name_used_in_its_period(engine: Engine) -> None:
    """Regression: a range of periods run at once gave all of them the name of the last."""
    days = [MONDAY + timedelta(days=n) for n in range(3)]
    rows = [listen(at(day), recording_name=name) for day, name in zip(days, ("Old", "New", "Newest"), strict=True)]
    result = chart(engine, "daily", rows, days[0], days[2])
    assert [r["name"] for r in result] == ["Artist – Old", "Artist – New", "Artist – Newest"]


def test_the_chart_of_all_time_has_no_movement(local: Engine) -> None:
    result = chart(local, "all_time", listens(FIRST_DAY, a=1) + listens(MONDAY, a=1, b=1), FIRST_DAY)
    assert [(r["entity_id"], r["plays"], r["previous_rank"]) for r in result] == [("a", 2, None), ("b", 1, None)]


@pytest.mark.parametrize("period", PERIODS, ids=lambda p: p.name)
def test_every_day_is_in_one_period(period: Period) -> None:
    day = date(2019, 12, 25)
    start = period.first(day)
    while day < date(2025, 1, 7):
        following = period.following(start)
        assert start <= day < following
        assert period.first(day) == start == oracle.begin(day, period.name)
        day += timedelta(days=1)
        start = following if day == following else start
