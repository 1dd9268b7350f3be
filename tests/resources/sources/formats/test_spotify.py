"""Spotify's extended streaming history."""

from datetime import UTC, datetime
from typing import Any

import pytest

from resources.sources.formats import spotify
from resources.sources.records.listen import Malformed, MissingListener, SkippedRecord


def play(**changes: Any) -> dict[str, Any]:
    return {
        "ts": "2020-03-01T00:03:20Z",
        "username": "someone",
        "platform": "android",
        "ms_played": 200_500,
        "conn_country": "DE",
        "ip_addr_decrypted": "203.0.113.7",
        "user_agent_decrypted": "Spotify/8.4 Android",
        "master_metadata_track_name": " Song ",
        "master_metadata_album_artist_name": "Artist",
        "master_metadata_album_album_name": "Album",
        "spotify_track_uri": "spotify:track:6RjKVXi31fui9m4dbiGRrL",
        "episode_name": None,
        "spotify_episode_uri": None,
        "offline_timestamp": 1_582_000_000_000,
    } | changes


def test_a_play_starts_at_ts_minus_the_play_time() -> None:
    listen = spotify.parse(play(), "ann")
    assert listen.listened_at == datetime(2020, 2, 29, 23, 59, 59, 500_000, tzinfo=UTC)
    assert listen.listened_at.tzinfo is UTC
    assert (listen.user_id, listen.ms_played, listen.source) == ("ann", 200_500, "spotify")
    assert (listen.artist_name, listen.recording_name, listen.release_name) == ("Artist", "Song", "Album")
    assert listen.source_ref == "spotify:track:6RjKVXi31fui9m4dbiGRrL"


def test_a_listen_has_no_personal_fields() -> None:
    listen = repr(spotify.parse(play(), "ann"))
    assert not [word for word in ("203.0.113.7", "Spotify/8.4", "someone", "android", "DE") if word in listen]


@pytest.mark.parametrize("ts", ["2020-03-01T00:03:20.25Z", "2020-03-01T00:03:20.250+00:00"])
def test_fractions_of_a_second_and_an_explicit_utc_are_read(ts: str) -> None:
    assert spotify.parse(play(ts=ts, ms_played=250), "ann").listened_at == datetime(2020, 3, 1, 0, 3, 20, tzinfo=UTC)


def test_a_play_of_zero_milliseconds_is_kept() -> None:
    assert spotify.parse(play(ms_played=0), "ann").ms_played == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ms_played": None}, "ms_played is missing: without it the start of the play is unknown"),
        ({"ms_played": -1}, "ms_played is negative"),
        ({"ms_played": True}, "ms_played is not a whole number"),
        ({"ms_played": "5"}, "ms_played is not a whole number"),
        ({"ms_played": 10**30}, "ms_played is longer than 24 days"),
        ({"ts": None}, "ts is missing"),
        ({"ts": 1583020800}, "ts is not text"),
        ({"ts": "2020-03-01T00:03:20+02:00"}, "ts is not a UTC time"),
        ({"ts": "2020-03-01T00:03:20"}, "ts is not a UTC time"),
        ({"ts": "2021-02-29T00:03:20Z"}, "ts is not a UTC time"),
        ({"ts": "0001-01-01T00:00:00Z"}, "ts is not a UTC time"),
        ({"master_metadata_album_artist_name": "  "}, "master_metadata_album_artist_name is missing"),
        ({"master_metadata_track_name": None}, "master_metadata_track_name is missing"),
        ({"master_metadata_track_name": "a\0b"}, "NUL character"),
        ({"master_metadata_track_name": "a\ud800"}, "half a character"),
        ({"master_metadata_album_album_name": "\udfff"}, "half a character"),
    ],
)
def test_an_invalid_play_raises_the_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        spotify.parse(play(**changes), "ann")


@pytest.mark.parametrize(
    ("changes", "what"), [({"episode_name": "News"}, "episode"), ({"audiobook_title": "A Book"}, "audiobook")]
)
def test_podcasts_and_audiobooks_are_skipped(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(SkippedRecord, match=what):
        spotify.parse(play(master_metadata_track_name=None, **changes), "ann")


def test_the_username_field_does_not_name_the_listener() -> None:
    with pytest.raises(MissingListener):
        spotify.parse(play(), None)
