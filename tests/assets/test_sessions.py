"""Sessions of listeners with known evenings, nights and days."""

from datetime import date, datetime, timedelta

from resources.frames.frame import Engine
from tests.oracle import Row
from tests.tables import BEYOND, HALF_HOUR, INSTANT, LEAP, at, day_and_night, listen, run_of
from tests.transformations import SESSIONS_OF_LISTENS

NEXT, THIRD, FOURTH = (LEAP + timedelta(days=n) for n in (1, 2, 3))


def found(engine: Engine, rows: list[Row], first: date = LEAP, last: date = FOURTH) -> list[tuple[date, datetime, int]]:
    """Day, start and listens of each session that began on some days."""
    sessions = SESSIONS_OF_LISTENS.on(engine, [rows], (first, last)).sort_by("started_at").to_pylist()
    return [(s["day"], s["started_at"], s["listens"]) for s in sessions]


def test_a_pause_of_thirty_minutes_does_not_end_a_session_and_a_longer_one_does(engine: Engine) -> None:
    rows = [listen(at(LEAP, 600) + wait) for wait in (timedelta(0), HALF_HOUR, 2 * HALF_HOUR + INSTANT)]
    assert found(engine, rows) == [(LEAP, at(LEAP, 600), 2), (LEAP, rows[2]["listened_at"], 1)]


def test_an_evening_that_lasts_past_midnight_belongs_to_the_day_it_began(local: Engine) -> None:
    rows = run_of(at(LEAP, 23 * 60), timedelta(minutes=20), 6)
    assert found(local, rows) == [(LEAP, at(LEAP, 23 * 60), 6)]
    assert found(local, rows, NEXT, NEXT) == []


def test_three_days_without_a_gap_are_a_session_each(engine: Engine) -> None:
    rows = day_and_night("ada", LEAP, 3)
    assert found(engine, rows) == [(day, at(day), 48) for day in (LEAP, NEXT, THIRD)]


def test_who_begins_at_noon_and_never_stops_has_a_session_until_the_midnight_that_closes_the_first_full_day(
    local: Engine,
) -> None:
    rows = run_of(at(LEAP, 12 * 60), HALF_HOUR, 24 + 48 + 48)
    assert found(local, rows) == [(LEAP, at(LEAP, 12 * 60), 24 + 48), (THIRD, at(THIRD), 48)]


def test_a_day_opened_later_than_a_pause_after_midnight_is_not_full(local: Engine) -> None:
    opening = at(LEAP, 30)
    full, late = run_of(opening, HALF_HOUR, 60), run_of(opening + INSTANT, HALF_HOUR, 60)
    assert [n for _, _, n in found(local, full)] == [47, 13]
    assert [n for _, _, n in found(local, late)] == [60]


def test_one_pause_keeps_a_day_from_being_full(local: Engine) -> None:
    rows = [r for r in day_and_night("ada", LEAP, 2) if r["listened_at"] != at(LEAP, 60)]
    assert found(local, rows) == [(LEAP, at(LEAP), 2), (LEAP, at(LEAP, 90), 45 + 48)]


def test_listeners_do_not_hear_each_other(local: Engine) -> None:
    rows = [listen(at(LEAP, n), user) for n, user in enumerate(("ada", "Ada", "ada "))]
    assert [n for _, _, n in found(local, rows)] == [1, 1, 1]


def test_a_session_ends_with_the_listen_that_ends_last_and_adds_up_what_sources_tell(local: Engine) -> None:
    rows = [
        listen(at(LEAP, 0), recording="long", ms_played=BEYOND, ended_at=at(LEAP, 90)),
        listen(at(LEAP, 10), recording="short", ms_played=1, ended_at=at(LEAP, 11)),
        listen(at(LEAP, 20), recording="short"),
    ]
    (session,) = SESSIONS_OF_LISTENS.on(local, [rows], (LEAP, LEAP)).to_pylist()
    assert session["ended_at"] == at(LEAP, 90)
    assert (session["listens"], session["recordings"], session["ms_played"]) == (3, 2, BEYOND + 1)
    (unknown,) = SESSIONS_OF_LISTENS.on(local, [rows[2:]], (LEAP, LEAP)).to_pylist()
    assert unknown["ended_at"] == unknown["started_at"] == at(LEAP, 20)
    assert unknown["ms_played"] == 0
