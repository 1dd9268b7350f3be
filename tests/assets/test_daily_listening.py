"""Activity of a few known listens: what is a skip, what is heard to its end, and whose date it was."""

from datetime import timedelta
from zoneinfo import available_timezones

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.events.daily_listening import DATED, on_dates
from assets.events.listens import LISTENS
from resources.frames.frame import Engine
from tests import oracle
from tests.oracle import Row
from tests.tables import LEAP, at, listen, recording, table
from tests.transformations import ACTIVITY_OF_LISTENS

BEFORE, AFTER = LEAP - timedelta(days=1), LEAP + timedelta(days=1)
CATALOG = [recording("song", 200_000), recording("jingle", 20_000), recording("unknown", None)]


def day(engine: Engine, *listens: Row) -> Row:
    """What one listener did on a day."""
    (found,) = ACTIVITY_OF_LISTENS.on(engine, [list(listens), CATALOG], (LEAP, LEAP)).to_pylist()
    return found


def played(*milliseconds: int | None, of: str = "song") -> list[Row]:
    return [listen(at(LEAP, n), recording=of, ms_played=ms) for n, ms in enumerate(milliseconds)]


def test_less_than_thirty_seconds_is_a_skip_and_thirty_are_not(local: Engine) -> None:
    found = day(local, *played(0, 29_999, 30_000, 200_000))
    assert (found["with_duration"], found["skips"]) == (4, 2)


def test_nine_tenths_of_a_recording_complete_it(local: Engine) -> None:
    found = day(local, *played(179_999, 180_000, 200_000, 250_000))
    assert (found["with_track_length"], found["completions"]) == (4, 3)


def test_a_short_recording_heard_to_its_end_is_both_a_skip_and_a_completion(local: Engine) -> None:
    """What pays is one question, what was heard to its end another."""
    found = day(local, *played(20_000, of="jingle"))
    assert (found["skips"], found["completions"]) == (1, 1)


@pytest.mark.parametrize(
    ("listens", "with_duration", "with_track_length"),
    [
        (played(None, 1_000), 1, 1),
        (played(1_000, of="unknown"), 1, 0),
        (played(1_000, of="not in the catalog"), 1, 0),
    ],
    ids=["how long", "of what length", "of what"],
)
def test_what_is_unknown_is_in_no_rate_but_counts_as_a_listen(
    local: Engine, listens: list[Row], with_duration: int, with_track_length: int
) -> None:
    found = day(local, *listens)
    counted = (found["listens"], found["with_duration"], found["with_track_length"])
    assert counted == (len(listens), with_duration, with_track_length)


def test_a_recording_heard_twice_is_two_listens_of_one_recording(engine: Engine) -> None:
    found = day(engine, *played(200_000, 200_000, of="song"), listen(at(LEAP, 9), recording="other"))
    assert (found["listens"], found["recordings"], found["ms_played"]) == (3, 2, 400_000)


def test_the_date_is_the_listeners_own_where_the_source_tells_the_time_zone(engine: Engine) -> None:
    late = at(LEAP, 23 * 60)  # the next morning in Istanbul, the same evening by UTC, the afternoon in Honolulu
    found = {z: day(engine, listen(late, time_zone=z)) for z in ("Europe/Istanbul", None, "Pacific/Honolulu")}
    assert [r["last_date"] for r in found.values()] == [AFTER, LEAP, LEAP]
    assert [r["day"] for r in found.values()] == [LEAP] * 3
    early = day(engine, listen(at(LEAP), time_zone="Pacific/Honolulu"), listen(late, time_zone="Europe/Istanbul"))
    assert (early["first_date"], early["last_date"]) == (BEFORE, AFTER)


@given(
    st.lists(
        st.tuples(st.integers(0, 24 * 366 * 4 * 60), st.sampled_from([None, *sorted(available_timezones())])),
        max_size=20,
    )
)
def test_dates_are_those_of_the_clocks_in_every_zone_and_season(heard: list[tuple[int, str | None]]) -> None:
    rows = [listen(at(LEAP, minutes), time_zone=zone) for minutes, zone in heard]
    found: pa.Table = on_dates(table(rows, LISTENS).select([*DATED.names[:-1], "listened_at", "time_zone"]))
    assert found["date"].to_pylist() == [oracle.daily_listening([row], [])[0]["first_date"] for row in rows]
