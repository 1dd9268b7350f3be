"""Streaks of listeners whose days are known."""

from datetime import date, timedelta

from resources.frames.frame import Engine
from tests import oracle
from tests.oracle import Row
from tests.tables import LEAP, at, listen
from tests.transformations import STREAKS_OF_ACTIVITY


def streak(engine: Engine, *listens: Row) -> Row:
    """The streaks of one listener."""
    (found,) = STREAKS_OF_ACTIVITY.on(engine, [oracle.daily_listening(listens, [])], (LEAP, LEAP)).to_pylist()
    return found


def _day(n: int) -> date:
    return LEAP + timedelta(days=n)


def on(*days: int, hour: int = 12, zone: str | None = None) -> list[Row]:
    return [listen(at(_day(n), hour * 60), time_zone=zone) for n in days]


def test_a_day_without_a_listen_ends_a_streak(engine: Engine) -> None:
    found = streak(engine, *on(0, 1, 2, 4, 5))
    assert (found["longest"], found["longest_first_day"], found["longest_last_day"]) == (3, _day(0), _day(2))
    assert (found["latest_streak"], found["first_day"], found["last_day"], found["active_days"]) == (
        2,
        _day(0),
        _day(5),
        5,
    )


def test_of_equally_long_streaks_the_earliest_is_told(local: Engine) -> None:
    found = streak(local, *on(0, 1, 3, 4, 6))
    assert (found["longest"], found["longest_first_day"], found["latest_streak"]) == (2, _day(0), 1)


def test_two_evenings_in_a_row_are_a_streak_though_both_are_one_day_by_utc(local: Engine) -> None:
    """In Honolulu, 23 o'clock is 9 o'clock of the next day in UTC, and 14 o'clock is midnight there."""
    evenings = [*on(1, hour=9, zone="Pacific/Honolulu"), *on(1, hour=23, zone="Pacific/Honolulu")]
    found = streak(local, *evenings)
    assert (found["longest"], found["first_day"], found["last_day"]) == (2, _day(0), _day(1))


def test_days_that_touch_by_utc_alone_are_no_streak(local: Engine) -> None:
    """In Istanbul one is late in the evening and the other after midnight, with a whole day between them."""
    found = streak(local, *on(0, hour=20, zone="Europe/Istanbul"), *on(1, hour=22, zone="Europe/Istanbul"))
    assert (found["longest"], found["active_days"]) == (1, 2)


def test_whoever_crosses_the_date_line_is_given_the_date_that_is_passed_over(local: Engine) -> None:
    found = streak(local, *on(0, hour=3, zone="Pacific/Honolulu"), *on(0, hour=12, zone="Pacific/Auckland"))
    assert (found["longest"], found["first_day"], found["last_day"]) == (3, _day(-1), _day(1))
