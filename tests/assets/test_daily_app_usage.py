"""Daily app usage: outcomes of plays with a few events."""

from datetime import date, timedelta
from typing import Any

import pytest

from resources.frames.frame import Engine
from tests import oracle
from tests.oracle import Row
from tests.tables import LEAP, app_event, at, recording
from tests.transformations import APP_EVENTS_ONCE, DAILY_APP_USAGE_OF_EVENTS

CATALOG = [recording("song", 200_000), recording("other", 100_000), recording("unknown", None)]
NEXT = LEAP + timedelta(days=1)
RATES = ("plays_started", "plays_ended", "skipped", "with_track_length", "completed")


def sent(minutes: float, event: str, of: str | None = "song", position: int | None = None, **more: Any) -> Row:
    when = at(LEAP) + timedelta(minutes=minutes)
    return app_event(when, round(minutes * 1000), event, recording_mbid=of, position_ms=position, **more)


def usage(engine: Engine, *events: Row, day: date = LEAP) -> Row:
    """Return the row of one listener and day."""
    once = oracle.app_events(events, [])
    (result,) = DAILY_APP_USAGE_OF_EVENTS.on(engine, [once, CATALOG], (day, day)).to_pylist()
    return result


def rates(engine: Engine, *events: Row, day: date = LEAP) -> tuple[int, ...]:
    """Return the values of `RATES`."""
    result = usage(engine, *events, day=day)
    return tuple(result[n] for n in RATES)


def test_a_play_ended_by_a_skip_is_skipped(local: Engine) -> None:
    assert rates(local, sent(0, "play"), sent(1, "skip", position=60_000)) == (1, 1, 1, 1, 0)


def test_a_play_before_another_reached_the_time_between_them(local: Engine) -> None:
    long, short = [sent(0, "play"), sent(3, "play", "other")], [sent(0, "play"), sent(2.9, "play", "other")]
    assert rates(local, *long) == (2, 1, 0, 1, 1)  # 180 seconds of 200
    assert rates(local, *short) == (2, 1, 0, 1, 0)


def test_the_last_play_of_a_day_is_open_until_an_event_ends_it(local: Engine) -> None:
    last = sent(24 * 60 - 1, "play")
    assert rates(local, last) == (1, 0, 0, 0, 0)
    assert rates(local, last, sent(24 * 60 + 1, "skip", position=120_000)) == (1, 1, 1, 1, 0)
    assert rates(local, last, sent(24 * 60 + 1, "skip"), day=NEXT) == (0, 0, 0, 0, 0)  # belongs to the day before
    assert rates(local, last, sent(2 * 24 * 60, "skip")) == (1, 0, 0, 0, 0)  # too late to end the play


def test_time_in_pause_is_not_played(local: Engine) -> None:
    paused = [sent(0, "play"), sent(1, "pause", position=60_000), sent(20, "play", position=60_000)]
    assert rates(local, *paused, sent(21, "skip")) == (1, 1, 1, 1, 0)
    assert rates(local, *paused, sent(22, "skip")) == (1, 1, 1, 1, 1)


def test_playing_continues_at_the_end_of_a_seek_unless_paused(local: Engine) -> None:
    sought = sent(2, "seek", position=120_000, to_ms=150_000)
    assert rates(local, sent(0, "play"), sought, sent(2.5, "play", "other")) == (2, 1, 0, 1, 1)
    paused = [sent(0, "play"), sent(1, "pause"), sought, sent(60, "play", "other")]
    assert rates(local, *paused) == (2, 1, 0, 1, 0)


@pytest.mark.parametrize(
    ("second", "plays"),
    [
        (sent(30, "play"), 1),
        (sent(30, "play", position=60_000), 1),
        (sent(30, "play", position=0), 2),  # starts at the beginning
        (sent(30, "play", "other"), 2),
        (sent(1 + 12 * 60, "play"), 1),
        (sent(1.001 + 12 * 60, "play"), 2),
        (sent(30, "play", client="Phone"), 2),  # another player
    ],
)
def test_a_play_resumes_a_recent_pause_in_the_same_program(local: Engine, second: Row, plays: int) -> None:
    assert rates(local, sent(0, "play"), sent(1, "pause", position=60_000), second)[0] == plays


def test_a_recording_played_twice_in_a_row_is_two_plays(local: Engine) -> None:
    assert rates(local, sent(0, "play"), sent(3.5, "play"), sent(7, "play")) == (3, 2, 0, 2, 2)


def test_at_one_instant_a_play_ends_before_the_next_begins(engine: Engine) -> None:
    assert rates(engine, sent(0, "play"), sent(1, "play", "other"), sent(1.0, "skip") | {"event_id": "z"}) == (
        *(2, 1, 1, 1, 0),
    )


def test_a_play_without_a_track_length_is_in_no_completion_rate(local: Engine) -> None:
    assert rates(local, sent(0, "play", "unknown"), sent(9, "skip", "unknown")) == (1, 1, 1, 0, 0)
    assert rates(local, sent(0, "play", "not in the catalog"), sent(9, "play")) == (2, 1, 0, 0, 0)


def test_a_play_is_skipped_only_once(local: Engine) -> None:
    result = usage(local, sent(0, "play"), sent(1, "skip"), sent(2, "skip"), sent(3, "pause", position=199_000))
    assert (result["skips"], result["skipped"], result["completed"]) == (2, 1, 0)


def test_events_without_a_column_count_as_others(engine: Engine) -> None:
    result = usage(engine, sent(0, "Share Sheet Opened"), sent(1, "pageView"), sent(2, "Add to playlist"))
    assert (result["events"], result["others"], result["page_views"], result["playlist_adds"]) == (3, 1, 1, 1)


# Each event once.


def once(engine: Engine, *events: Row) -> list[Row]:
    result: list[Row] = APP_EVENTS_ONCE.on(engine, [list(events), []], (LEAP, LEAP)).to_pylist()
    return result


def test_a_repeated_event_counts_once_by_its_earliest_record(engine: Engine) -> None:
    records = [sent(5, "play", position=n, event_id="x", import_id=str(n)) for n in range(3)]
    early = sent(4, "play", position=9, event_id="x", import_id="9")
    assert [r["position_ms"] for r in once(engine, *records)] == [0]
    assert [r["position_ms"] for r in once(engine, *records, early)] == [9]
    others = [early | {"user_id": "bob"}, early | {"event_id": "y"}]
    assert len(once(engine, *records, *others)) == 3


@pytest.mark.parametrize(
    ("submitted", "name"),
    [
        ("play", "play"),
        ("Add to Playlist", "add_to_playlist"),
        ("addToPlaylist", "add_to_playlist"),
        ("add-to-playlist", "add_to_playlist"),
        ("PAGE VIEW", "page_view"),
        ("Szene öffnen", "szene_öffnen"),
        ("???", "???"),
    ],
)
def test_event_names_are_converted_to_snake_case(pandas: Engine, submitted: str, name: str) -> None:
    assert [r["event"] for r in once(pandas, sent(0, submitted))] == [name]
