"""Actives of listeners with known habits."""

from datetime import date, timedelta

from resources.frames.frame import Engine
from tests.oracle import Row
from tests.tables import LEAP, at, listen
from tests.transformations import ACTIVES_OF_ACTIVITY


def active_listeners(engine: Engine, heard: dict[str, list[int]], first: int, last: int | None = None) -> list[Row]:
    """The rows of some days, counted from the first, for listeners who came on certain days."""
    listens = [listen(at(LEAP + timedelta(days=n)), user) for user, days in heard.items() for n in days]
    span = (_day(first), _day(first if last is None else last))
    found = ACTIVES_OF_ACTIVITY.on(engine, ACTIVES_OF_ACTIVITY.prepare(listens, span), span)
    return found.sort_by("day").to_pylist()


def _day(n: int) -> date:
    return LEAP + timedelta(days=n)


def test_a_listener_of_every_day_is_one_listener_of_the_week_and_of_the_month(engine: Engine) -> None:
    (found,) = active_listeners(engine, {"ada": list(range(40))}, 39)
    assert (found["dau"], found["wau"], found["mau"]) == (1, 1, 1)


def test_a_listener_counts_for_seven_days_and_for_thirty_with_the_day_itself(local: Engine) -> None:
    found = active_listeners(local, {"ada": [0]}, 0, 29)
    assert [r["wau"] for r in found] == [1] * 7 + [0] * 23
    assert [r["mau"] for r in found] == [1] * 30


def test_a_day_has_a_row_while_its_month_has_a_listener(local: Engine) -> None:
    assert [r["day"] for r in active_listeners(local, {"ada": [0]}, -3, 60)] == [_day(n) for n in range(30)]


def test_there_are_no_rows_without_listens(engine: Engine) -> None:
    assert active_listeners(engine, {}, -3, 3) == []


def test_those_who_come_and_go_are_told_from_those_who_stay(local: Engine) -> None:
    habits = {"ada": [0, 1, 2, 3, 10], "bo": [0, 8], "cy": [9]}
    found = active_listeners(local, habits, 7, 10)
    assert [(r["dau"], r["wau"], r["mau"]) for r in found] == [(0, 1, 2), (1, 2, 2), (1, 3, 3), (1, 3, 3)]
