"""Retention of small cohorts."""

from datetime import date, timedelta

from resources.frames.frame import Engine
from tests import oracle
from tests.tables import at, listen
from tests.transformations import RETENTION_OF_DAILY_LISTENING

MONDAY = date(2024, 2, 26)


def cohorts(engine: Engine, active: dict[str, list[int]]) -> dict[int, list[tuple[int, int]]]:
    """Return retained listeners and size of each cohort per week, by the day of the cohort, counted from a Monday."""
    listens = [listen(at(MONDAY + timedelta(days=n)), user) for user, days in active.items() for n in days]
    read = [oracle.daily_listening(listens, [])]
    by_cohort: dict[int, list[tuple[int, int]]] = {}
    order = [("cohort_week", "ascending"), ("weeks_since", "ascending")]
    for row in RETENTION_OF_DAILY_LISTENING.on(engine, read, (MONDAY, MONDAY)).sort_by(order).to_pylist():
        weeks = by_cohort.setdefault((row["cohort_week"] - MONDAY).days, [])
        assert row["weeks_since"] == len(weeks)
        weeks.append((row["retained"], row["cohort_size"]))
    return by_cohort


def test_a_listener_is_retained_in_each_week_they_are_active(engine: Engine) -> None:
    active = {"ada": [0, 8, 22, 35], "bo": [6], "cy": [7]}
    assert cohorts(engine, active) == {0: [(2, 2), (1, 2), (0, 2), (1, 2), (0, 2)], 7: [(1, 1), (0, 1), (0, 1), (0, 1)]}


def test_the_newest_week_is_left_out(local: Engine) -> None:
    assert cohorts(local, {"ada": [0], "bo": [6]}) == {}
    assert cohorts(local, {"ada": [0], "bo": [6, 7]}) == {0: [(2, 2)]}


def test_weeks_begin_on_monday(local: Engine) -> None:
    assert cohorts(local, {"ada": [-1], "bo": [0], "cy": [20]}) == {-7: [(1, 1), (0, 1), (0, 1)], 0: [(1, 1), (0, 1)]}
