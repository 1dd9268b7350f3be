"""Sessions of evenings, nights and days without a break."""

from datetime import date, datetime, timedelta

from resources.frames.frame import Engine
from tests.oracle import Row
from tests.tables import BEYOND, HALF_HOUR, INSTANT, LEAP, at, day_and_night, listen, run_of
from tests.transformations import SESSIONS_OF_LISTENS

NEXT, THIRD, FOURTH = (LEAP + timedelta(days=n) for n in (1, 2, 3))


def sessions_of(
    engine: Engine, rows: list[Row], first: date = LEAP, last: date = FOURTH
) -> list[tuple[date, datetime, int]]:
    """Return day, start and listens of each session that began on these days."""
    sessions = SESSIONS_OF_LISTENS.on(engine, [rows], (first, last)).sort_by("started_at").to_pylist()
    return [(s["day"], s["started_at"], s["listens"]) for s in sessions]


def test_a_pause_of_over_thirty_minutes_ends_a_session(engine: Engine) -> None:
    rows = [listen(at(LEAP, 600) + wait) for wait in (timedelta(0), HALF_HOUR, 2 * HALF_HOUR + INSTANT)]
    assert sessions_of(engine, rows) == [(LEAP, at(LEAP, 600), 2), (LEAP, rows[2]["listened_at"], 1)]


def test_a_session_past_midnight_belongs_to_the_day_it_began(local: Engine) -> None:
    rows = run_of(at(LEAP, 23 * 60), timedelta(minutes=20), 6)
    assert sessions_of(local, rows) == [(LEAP, at(LEAP, 23 * 60), 6)]
    assert sessions_of(local, rows, NEXT, NEXT) == []


def test_three_days_without_a_gap_are_a_session_each(engine: Engine) -> None:
    rows = day_and_night("ada", LEAP, 3)
    assert sessions_of(engine, rows) == [(day, at(day), 48) for day in (LEAP, NEXT, THIRD)]


def test_nonstop_session_is_cut_at_the_end_of_its_first_full_day(
    local: Engine,
) -> None:
    rows = run_of(at(LEAP, 12 * 60), HALF_HOUR, 24 + 48 + 48)
    assert sessions_of(local, rows) == [(LEAP, at(LEAP, 12 * 60), 24 + 48), (THIRD, at(THIRD), 48)]


def test_a_day_that_begins_with_a_long_pause_is_not_full(local: Engine) -> None:
    opening = at(LEAP, 30)
    full, late = run_of(opening, HALF_HOUR, 60), run_of(opening + INSTANT, HALF_HOUR, 60)
    assert [n for _, _, n in sessions_of(local, full)] == [47, 13]
    assert [n for _, _, n in sessions_of(local, late)] == [60]


def test_one_pause_keeps_a_day_from_being_full(local: Engine) -> None:
    rows = [r for r in day_and_night("ada", LEAP, 2) if r["listened_at"] != at(LEAP, 60)]
    assert sessions_of(local, rows) == [(LEAP, at(LEAP), 2), (LEAP, at(LEAP, 90), 45 + 48)]


def test_sessions_of_listeners_are_separate(local: Engine) -> None:
    rows = [listen(at(LEAP, n), user) for n, user in enumerate(("ada", "Ada", "ada "))]
    assert [n for _, _, n in sessions_of(local, rows)] == [1, 1, 1]


def test_a_session_ends_with_the_latest_end_of_its_listens(local: Engine) -> None:
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
