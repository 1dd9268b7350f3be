"""Daily listening: skips, completions and dates of a few listens."""

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
from tests.transformations import DAILY_LISTENING_OF_LISTENS

BEFORE, AFTER = LEAP - timedelta(days=1), LEAP + timedelta(days=1)
CATALOG = [recording("song", 200_000), recording("jingle", 20_000), recording("unknown", None)]


def day(engine: Engine, *listens: Row) -> Row:
    """Return the row of one listener and day."""
    (rows,) = DAILY_LISTENING_OF_LISTENS.on(engine, [list(listens), CATALOG], (LEAP, LEAP)).to_pylist()
    return rows


def played(*milliseconds: int | None, of: str = "song") -> list[Row]:
    return [listen(at(LEAP, n), recording=of, ms_played=ms) for n, ms in enumerate(milliseconds)]


def test_a_listen_of_less_than_thirty_seconds_is_a_skip(local: Engine) -> None:
    rows = day(local, *played(0, 29_999, 30_000, 200_000))
    assert (rows["with_duration"], rows["skips"]) == (4, 2)


def test_nine_tenths_of_a_recording_complete_it(local: Engine) -> None:
    rows = day(local, *played(179_999, 180_000, 200_000, 250_000))
    assert (rows["with_track_length"], rows["completions"]) == (4, 3)


def test_a_short_recording_can_be_both_skipped_and_completed(local: Engine) -> None:
    """A stream that pays and a completed recording are separate questions."""
    rows = day(local, *played(20_000, of="jingle"))
    assert (rows["skips"], rows["completions"]) == (1, 1)


@pytest.mark.parametrize(
    ("listens", "with_duration", "with_track_length"),
    [
        (played(None, 1_000), 1, 1),
        (played(1_000, of="unknown"), 1, 0),
        (played(1_000, of="not in the catalog"), 1, 0),
    ],
    ids=["how long", "of what length", "of what"],
)
def test_a_listen_without_length_counts_in_no_rate(
    local: Engine, listens: list[Row], with_duration: int, with_track_length: int
) -> None:
    rows = day(local, *listens)
    counted = (rows["listens"], rows["with_duration"], rows["with_track_length"])
    assert counted == (len(listens), with_duration, with_track_length)


def test_a_repeated_recording_is_two_listens_of_one_recording(engine: Engine) -> None:
    rows = day(engine, *played(200_000, 200_000, of="song"), listen(at(LEAP, 9), recording="other"))
    assert (rows["listens"], rows["recordings"], rows["ms_played"]) == (3, 2, 400_000)


def test_the_date_is_that_of_the_listeners_time_zone(engine: Engine) -> None:
    late = at(LEAP, 23 * 60)  # the next morning in Istanbul, the same evening by UTC, the afternoon in Honolulu
    rows = {z: day(engine, listen(late, time_zone=z)) for z in ("Europe/Istanbul", None, "Pacific/Honolulu")}
    assert [r["last_date"] for r in rows.values()] == [AFTER, LEAP, LEAP]
    assert [r["day"] for r in rows.values()] == [LEAP] * 3
    early = day(engine, listen(at(LEAP), time_zone="Pacific/Honolulu"), listen(late, time_zone="Europe/Istanbul"))
    assert (early["first_date"], early["last_date"]) == (BEFORE, AFTER)


@given(
    st.lists(
        st.tuples(st.integers(0, 24 * 366 * 4 * 60), st.sampled_from([None, *sorted(available_timezones())])),
        max_size=20,
    )
)
def test_dates_follow_the_clock_changes_of_every_time_zone(times: list[tuple[int, str | None]]) -> None:
    rows = [listen(at(LEAP, minutes), time_zone=zone) for minutes, zone in times]
    dated: pa.Table = on_dates(table(rows, LISTENS).select([*DATED.names[:-1], "listened_at", "time_zone"]))
    assert dated["date"].to_pylist() == [oracle.daily_listening([row], [])[0]["first_date"] for row in rows]
