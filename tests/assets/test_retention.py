"""Retention of cohorts that are known by name."""

from datetime import date, timedelta

from resources.frames.frame import Engine
from tests import oracle
from tests.tables import at, listen
from tests.transformations import RETENTION_OF_ACTIVITY

MONDAY = date(2024, 2, 26)


def cohorts(engine: Engine, heard: dict[str, list[int]]) -> dict[int, list[tuple[int, int]]]:
    """Listeners and size of each cohort, from week to week, for listeners who came on certain days from a Monday on."""
    listens = [listen(at(MONDAY + timedelta(days=n)), user) for user, days in heard.items() for n in days]
    read = [oracle.daily_listening(listens, [])]
    found: dict[int, list[tuple[int, int]]] = {}
    order = [("cohort_week", "ascending"), ("weeks_since", "ascending")]
    for row in RETENTION_OF_ACTIVITY.on(engine, read, (MONDAY, MONDAY)).sort_by(order).to_pylist():
        weeks = found.setdefault((row["cohort_week"] - MONDAY).days, [])
        assert row["weeks_since"] == len(weeks)
        weeks.append((row["retained"], row["cohort_size"]))
    return found


def test_whoever_comes_back_in_a_week_is_retained_in_that_week_and_no_other(engine: Engine) -> None:
    heard = {"ada": [0, 8, 22, 35], "bo": [6], "cy": [7]}
    assert cohorts(engine, heard) == {0: [(2, 2), (1, 2), (0, 2), (1, 2), (0, 2)], 7: [(1, 1), (0, 1), (0, 1), (0, 1)]}


def test_the_newest_week_is_left_out_until_a_later_listen_tells_that_it_is_over(local: Engine) -> None:
    assert cohorts(local, {"ada": [0], "bo": [6]}) == {}
    assert cohorts(local, {"ada": [0], "bo": [6, 7]}) == {0: [(2, 2)]}


def test_weeks_begin_on_monday(local: Engine) -> None:
    assert cohorts(local, {"ada": [-1], "bo": [0], "cy": [20]}) == {-7: [(1, 1), (0, 1), (0, 1)], 0: [(1, 1), (0, 1)]}
