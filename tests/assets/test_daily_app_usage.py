"""What became of plays that a few known events tell of."""

from datetime import date, timedelta
from typing import Any

import pytest

from resources.frames.frame import Engine
from tests import oracle
from tests.oracle import Row
from tests.tables import LEAP, app_event, at, recording
from tests.transformations import APP_ACTIVITY_OF_EVENTS, APP_EVENTS_ONCE

CATALOG = [recording("song", 200_000), recording("other", 100_000), recording("unknown", None)]
NEXT = LEAP + timedelta(days=1)
RATES = ("plays_started", "plays_ended", "skipped", "with_track_length", "completed")


def pressed(minutes: float, event: str, of: str | None = "song", position: int | None = None, **more: Any) -> Row:
    when = at(LEAP) + timedelta(minutes=minutes)
    return app_event(when, round(minutes * 1000), event, recording_mbid=of, position_ms=position, **more)


def done(engine: Engine, *events: Row, day: date = LEAP) -> Row:
    """What one person did on a day."""
    once = oracle.app_events(events, [])
    (found,) = APP_ACTIVITY_OF_EVENTS.on(engine, [once, CATALOG], (day, day)).to_pylist()
    return found


def rates(engine: Engine, *events: Row, day: date = LEAP) -> tuple[int, ...]:
    """Plays begun, ended, skipped, measured and completed."""
    found = done(engine, *events, day=day)
    return tuple(found[n] for n in RATES)


def test_a_play_that_a_skip_ends_is_skipped(local: Engine) -> None:
    assert rates(local, pressed(0, "play"), pressed(1, "skip", position=60_000)) == (1, 1, 1, 1, 0)


def test_a_play_followed_by_another_came_as_far_as_the_time_between_them(local: Engine) -> None:
    long, short = [pressed(0, "play"), pressed(3, "play", "other")], [pressed(0, "play"), pressed(2.9, "play", "other")]
    assert rates(local, *long) == (2, 1, 0, 1, 1)  # 180 seconds of 200
    assert rates(local, *short) == (2, 1, 0, 1, 0)


def test_the_last_play_of_a_day_is_open_until_events_tell_how_it_ended(local: Engine) -> None:
    last = pressed(24 * 60 - 1, "play")
    assert rates(local, last) == (1, 0, 0, 0, 0)
    assert rates(local, last, pressed(24 * 60 + 1, "skip", position=120_000)) == (1, 1, 1, 1, 0)
    assert rates(local, last, pressed(24 * 60 + 1, "skip"), day=NEXT) == (0, 0, 0, 0, 0)  # it belongs to the day before
    assert rates(local, last, pressed(2 * 24 * 60, "skip")) == (1, 0, 0, 0, 0)  # too late to tell anything


def test_time_in_pause_is_not_played(local: Engine) -> None:
    paused = [pressed(0, "play"), pressed(1, "pause", position=60_000), pressed(20, "play", position=60_000)]
    assert rates(local, *paused, pressed(21, "skip")) == (1, 1, 1, 1, 0)
    assert rates(local, *paused, pressed(22, "skip")) == (1, 1, 1, 1, 1)


def test_a_seek_plays_on_from_where_it_arrives_unless_it_is_paused(local: Engine) -> None:
    sought = pressed(2, "seek", position=120_000, to_ms=150_000)
    assert rates(local, pressed(0, "play"), sought, pressed(2.5, "play", "other")) == (2, 1, 0, 1, 1)
    paused = [pressed(0, "play"), pressed(1, "pause"), sought, pressed(60, "play", "other")]
    assert rates(local, *paused) == (2, 1, 0, 1, 0)


@pytest.mark.parametrize(
    ("again", "begun"),
    [
        (pressed(30, "play"), 1),
        (pressed(30, "play", position=60_000), 1),
        (pressed(30, "play", position=0), 2),  # it says that it starts at the beginning
        (pressed(30, "play", "other"), 2),
        (pressed(1 + 12 * 60, "play"), 1),
        (pressed(1.001 + 12 * 60, "play"), 2),
        (pressed(30, "play", client="Phone"), 2),  # another player
    ],
)
def test_a_play_resumes_what_was_paused_in_the_same_program_not_long_ago(local: Engine, again: Row, begun: int) -> None:
    assert rates(local, pressed(0, "play"), pressed(1, "pause", position=60_000), again)[0] == begun


def test_a_recording_played_twice_in_a_row_is_two_plays(local: Engine) -> None:
    assert rates(local, pressed(0, "play"), pressed(3.5, "play"), pressed(7, "play")) == (3, 2, 0, 2, 2)


def test_what_ends_a_play_comes_before_what_begins_the_next_at_one_instant(engine: Engine) -> None:
    assert rates(engine, pressed(0, "play"), pressed(1, "play", "other"), pressed(1.0, "skip") | {"event_id": "z"}) == (
        *(2, 1, 1, 1, 0),
    )


def test_of_what_length_a_recording_is_must_be_known_to_measure_a_play(local: Engine) -> None:
    assert rates(local, pressed(0, "play", "unknown"), pressed(9, "skip", "unknown")) == (1, 1, 1, 0, 0)
    assert rates(local, pressed(0, "play", "not in the catalog"), pressed(9, "play")) == (2, 1, 0, 0, 0)


def test_a_play_is_skipped_once_whatever_follows(local: Engine) -> None:
    found = done(
        local, pressed(0, "play"), pressed(1, "skip"), pressed(2, "skip"), pressed(3, "pause", position=199_000)
    )
    assert (found["skips"], found["skipped"], found["completed"]) == (2, 1, 0)


def test_events_of_names_that_nobody_counts_are_counted_as_others(engine: Engine) -> None:
    found = done(engine, pressed(0, "Share Sheet Opened"), pressed(1, "pageView"), pressed(2, "Add to playlist"))
    assert (found["events"], found["others"], found["page_views"], found["playlist_adds"]) == (3, 1, 1, 1)


# Each event once.


def once(engine: Engine, *events: Row) -> list[Row]:
    found: list[Row] = APP_EVENTS_ONCE.on(engine, [list(events), []], (LEAP, LEAP)).to_pylist()
    return found


def test_an_event_sent_again_counts_once_and_the_earliest_account_of_it_is_kept(engine: Engine) -> None:
    sent = [pressed(5, "play", position=n, event_id="x", import_id=str(n)) for n in range(3)]
    early = pressed(4, "play", position=9, event_id="x", import_id="9")
    assert [r["position_ms"] for r in once(engine, *sent)] == [0]
    assert [r["position_ms"] for r in once(engine, *sent, early)] == [9]
    others = [early | {"user_id": "bob"}, early | {"event_id": "y"}]
    assert len(once(engine, *sent, *others)) == 3


@pytest.mark.parametrize(
    ("told", "name"),
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
def test_names_of_events_are_spelt_alike(pandas: Engine, told: str, name: str) -> None:
    assert [r["event"] for r in once(pandas, pressed(0, told))] == [name]
