"""Active listeners of days, weeks and months, for a few listeners."""

from datetime import date, timedelta

from resources.frames.frame import Engine
from tests.oracle import Row
from tests.tables import LEAP, at, listen
from tests.transformations import ACTIVE_OF_DAILY_LISTENING


def active_listeners(engine: Engine, active: dict[str, list[int]], first: int, last: int | None = None) -> list[Row]:
    """Return the rows from `first` to `last`, as numbers of days, for listeners with these active days."""
    listens = [listen(at(LEAP + timedelta(days=n)), user) for user, days in active.items() for n in days]
    span = (_day(first), _day(first if last is None else last))
    result = ACTIVE_OF_DAILY_LISTENING.on(engine, ACTIVE_OF_DAILY_LISTENING.prepare(listens, span), span)
    return result.sort_by("day").to_pylist()


def _day(n: int) -> date:
    return LEAP + timedelta(days=n)


def test_a_daily_listener_is_one_listener_of_week_and_month(engine: Engine) -> None:
    (result,) = active_listeners(engine, {"ada": list(range(40))}, 39)
    assert (result["dau"], result["wau"], result["mau"]) == (1, 1, 1)


def test_a_listener_counts_for_seven_and_for_thirty_days(local: Engine) -> None:
    result = active_listeners(local, {"ada": [0]}, 0, 29)
    assert [r["wau"] for r in result] == [1] * 7 + [0] * 23
    assert [r["mau"] for r in result] == [1] * 30


def test_a_day_has_a_row_if_its_month_has_a_listener(local: Engine) -> None:
    assert [r["day"] for r in active_listeners(local, {"ada": [0]}, -3, 60)] == [_day(n) for n in range(30)]


def test_there_are_no_rows_without_listens(engine: Engine) -> None:
    assert active_listeners(engine, {}, -3, 3) == []


def test_new_and_lost_listeners_are_counted_in_each_window(local: Engine) -> None:
    habits = {"ada": [0, 1, 2, 3, 10], "bo": [0, 8], "cy": [9]}
    result = active_listeners(local, habits, 7, 10)
    assert [(r["dau"], r["wau"], r["mau"]) for r in result] == [(0, 1, 2), (1, 2, 2), (1, 3, 3), (1, 3, 3)]
