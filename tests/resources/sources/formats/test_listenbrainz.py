"""ListenBrainz listens in each form: user export, public dump, API."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from resources.sources.formats import listenbrainz
from resources.sources.records.listen import EARLIEST, Listen, Malformed, MissingListener, SkippedRecord, time_error

SUBMITTED, MATCHED = "c7d0bf6e-b2aa-4ffa-bded-2448415b39b0", "20ddea3a-1ad2-4036-9ca7-5f3383ad31c1"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def listen(info: Any = None, match: Any = None, metadata: Any = None, **record: Any) -> dict[str, Any]:
    names = {"artist_name": "Artist", "track_name": "Song", "release_name": "Album"}
    parts = {"additional_info": info, "mbid_mapping": match}
    return {"listened_at": 1_700_000_000, "track_metadata": {**names, **parts, **(metadata or {})}, **record}


def parse(*args: Any, **kwargs: Any) -> Listen:
    return listenbrainz.parse(listen(*args, **kwargs), "ann")


def test_a_user_export_listen_starts_at_listened_at_exactly() -> None:
    read = parse(listened_at=Decimal("1748964422.521049"))
    assert read.listened_at == datetime(2025, 6, 3, 15, 27, 2, 521_049, tzinfo=UTC)
    assert (read.user_id, read.source, read.ms_played) == ("ann", "listenbrainz", None)
    assert (read.artist_name, read.recording_name, read.release_name) == ("Artist", "Song", "Album")


def test_the_public_dump_has_its_own_names_for_time_and_user() -> None:
    record = listen(timestamp=1_700_000_000, user_name=" bob ", user_id=7)
    del record["listened_at"]
    assert listenbrainz.recognize(record)
    read = listenbrainz.parse(record, None)
    assert (read.user_id, read.listened_at) == ("bob", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC))


def test_the_listener_named_at_import_precedes_the_records_user_name() -> None:
    assert parse(user_name="bob").user_id == "ann"
    with pytest.raises(MissingListener):
        listenbrainz.parse(listen(), None)


def test_the_clients_fields_precede_listenbrainz_matches() -> None:
    match = {"recording_mbid": MATCHED, "artist_mbids": [MATCHED]}
    both = parse({"recording_mbid": SUBMITTED.upper(), "artist_mbids": [SUBMITTED]}, match)
    assert (both.recording_mbid, both.artist_mbids) == (SUBMITTED, (SUBMITTED,))
    invalid = parse({"recording_mbid": "none", "artist_mbids": [SUBMITTED, "?"]}, match)
    assert (invalid.recording_mbid, invalid.artist_mbids) == (MATCHED, (MATCHED,))
    assert parse().recording_mbid is None
    assert parse({"artist_mbids": SUBMITTED}).artist_mbids == ()


@pytest.mark.parametrize(
    ("info", "ms"),
    [
        ({"duration_played": 95}, 95_000),
        ({"duration_played": Decimal("95.5")}, 95_500),
        ({"duration_played": "95"}, 95_000),
        ({"duration_played": 0}, 0),
        ({"duration": 200, "duration_ms": 200_000}, None),
        ({"duration_played": -1}, None),
        ({"duration_played": True}, None),
        ({"duration_played": Decimal("1e999999")}, None),
        ({"duration_played": 10**40}, None),
        ("not an object", None),
    ],
)
def test_play_time_is_duration_played_not_the_track_length(info: Any, ms: int | None) -> None:
    assert parse(info).ms_played == ms


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("Europe/Berlin", "Europe/Berlin"), ("Europe", None), ("../etc/passwd", None), ("CEST", None), (3600, None)],
)
def test_only_iana_time_zones_are_kept(zone: object, expected: str | None) -> None:
    assert parse({"time_zone": zone}).time_zone == expected


@pytest.mark.parametrize(
    "url",
    [
        "spotify:track:2AX5E86cn9n2dgioZEjirI",
        "https://open.spotify.com/track/2AX5E86cn9n2dgioZEjirI",
        "https://open.spotify.com/intl-de/track/2AX5E86cn9n2dgioZEjirI?si=1",
    ],
)
def test_a_spotify_track_gets_spotifys_own_uri(url: str) -> None:
    assert parse({"spotify_id": url}).source_ref == "spotify:track:2AX5E86cn9n2dgioZEjirI"


@pytest.mark.parametrize(
    ("info", "client"),
    [
        ({"submission_client": " Pano ", "media_player": "Phone"}, "Pano"),
        ({"submission_client": "", "media_player": "Phone"}, "Phone"),
        ({"submission_client": "\0", "media_player": ["Phone"]}, None),
        ({}, None),
    ],
)
def test_the_client_is_the_submitting_program_else_the_player(info: Any, client: str | None) -> None:
    assert parse(info).client == client


def test_an_address_in_the_listeners_home_is_not_kept() -> None:
    assert parse({"origin_url": "http://192.168.0.4/song"}).source_ref is None


def test_isrcs_are_compacted_and_placeholders_dropped() -> None:
    assert parse({"isrc": "gb-aye-81-00053"}).isrc == "GBAYE8100053"
    assert parse({"isrc": "isrc"}).isrc is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"listened_at": None}, "listened_at is missing"),
        ({"listened_at": "1700000000"}, "not a number of seconds"),
        ({"listened_at": True}, "not a number of seconds"),
        ({"listened_at": -5}, "negative"),
        ({"listened_at": 1_486_449_409_000}, "milliseconds"),
        ({"listened_at": 1_486_449_409_000_000_000}, "milliseconds"),
        ({"listened_at": Decimal("1e999999")}, "milliseconds"),
        ({"track_metadata": None}, "track_metadata is missing"),
        ({"metadata": {"artist_name": ""}}, "artist_name is missing"),
        ({"metadata": {"track_name": ["Song"]}}, "track_name is not text"),
        ({"metadata": {"track_name": "\0Fade"}}, "NUL"),
        ({"user_name": "\ud83d"}, "half a character"),
    ],
)
def test_an_invalid_record_raises_the_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        listenbrainz.parse(listen(**changes), None if "user_name" in changes else "ann")


def test_the_track_playing_now_is_not_a_listen() -> None:
    with pytest.raises(SkippedRecord, match="still playing"):
        parse(playing_now=True)


def test_pins_and_feedback_are_not_listens() -> None:
    assert not listenbrainz.recognize({"recording_msid": SUBMITTED, "score": 1, "created": 1})
    assert not listenbrainz.recognize({"track_metadata": {}, "blurb_content": "", "pinned_until": 1, "created": 1})


def test_times_before_2002_and_an_hour_ahead_are_errors() -> None:
    assert time_error(EARLIEST, NOW) is None
    assert "2002-09-30T23:59:59" in str(time_error(EARLIEST - timedelta(seconds=1), NOW))
    assert time_error(NOW + timedelta(hours=1), NOW) is None
    assert "2026-01-01T01:00:01" in str(time_error(NOW + timedelta(hours=1, seconds=1), NOW))
