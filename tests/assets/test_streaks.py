"""Streaks of a few active days."""

from datetime import date, timedelta

from resources.frames.frame import Engine
from tests import oracle
from tests.oracle import Row
from tests.tables import LEAP, at, listen
from tests.transformations import STREAKS_OF_DAILY_LISTENING


def streak(engine: Engine, *listens: Row) -> Row:
    """Return the streaks of one listener."""
    (result,) = STREAKS_OF_DAILY_LISTENING.on(engine, [oracle.daily_listening(listens, [])], (LEAP, LEAP)).to_pylist()
    return result


def _day(n: int) -> date:
    return LEAP + timedelta(days=n)


def on(*days: int, hour: int = 12, zone: str | None = None) -> list[Row]:
    return [listen(at(_day(n), hour * 60), time_zone=zone) for n in days]


def test_a_day_without_a_listen_ends_a_streak(engine: Engine) -> None:
    result = streak(engine, *on(0, 1, 2, 4, 5))
    assert (result["longest"], result["longest_first_day"], result["longest_last_day"]) == (3, _day(0), _day(2))
    assert (result["latest_streak"], result["first_day"], result["last_day"], result["active_days"]) == (
        2,
        _day(0),
        _day(5),
        5,
    )


def test_of_equally_long_streaks_the_earliest_is_reported(local: Engine) -> None:
    result = streak(local, *on(0, 1, 3, 4, 6))
    assert (result["longest"], result["longest_first_day"], result["latest_streak"]) == (2, _day(0), 1)


def test_a_streak_counts_local_days_that_are_one_utc_day(local: Engine) -> None:
    """The two listens are on one UTC day, before and after midnight in Honolulu, which is at 10:00 UTC."""
    evenings = [*on(1, hour=9, zone="Pacific/Honolulu"), *on(1, hour=23, zone="Pacific/Honolulu")]
    result = streak(local, *evenings)
    assert (result["longest"], result["first_day"], result["last_day"]) == (2, _day(0), _day(1))


def test_consecutive_utc_days_with_a_local_gap_are_not_a_streak(local: Engine) -> None:
    """In Istanbul one is late in the evening and the other after midnight, with a full day between them."""
    result = streak(local, *on(0, hour=20, zone="Europe/Istanbul"), *on(1, hour=22, zone="Europe/Istanbul"))
    assert (result["longest"], result["active_days"]) == (1, 2)


def test_a_date_skipped_at_the_date_line_counts_as_active(local: Engine) -> None:
    result = streak(local, *on(0, hour=3, zone="Pacific/Honolulu"), *on(0, hour=12, zone="Pacific/Auckland"))
    assert (result["longest"], result["first_day"], result["last_day"]) == (3, _day(-1), _day(1))
