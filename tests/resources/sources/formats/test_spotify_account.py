"""Spotify's account data: plays whose end is known to the minute."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from resources.sources.formats import spotify_account
from resources.sources.records.listen import Malformed, MissingListener
from tests.exporting import listens, read


def play(**changes: Any) -> dict[str, Any]:
    return {
        "endTime": "2024-03-01 00:03",
        "artistName": "Clara Example",
        "trackName": "Prelude",
        "msPlayed": 200_500,
    } | changes


def test_a_play_starts_at_its_end_minute_minus_the_play_time(tmp_path: Path) -> None:
    (one,) = listens(read(tmp_path, json.dumps([play()], indent=2), name="endsong.json"))
    assert one.listened_at == datetime(2024, 2, 29, 23, 59, 39, 500_000, tzinfo=UTC)
    assert (one.user_id, one.ms_played, one.source) == ("ann", 200_500, "spotify_account")
    assert (one.artist_name, one.recording_name, one.release_name) == ("Clara Example", "Prelude", None)


def test_podcasts_are_skipped(tmp_path: Path) -> None:
    spoken = {"endTime": "2024-03-01 00:03", "podcastName": "News", "episodeName": "Today", "msPlayed": 1}
    (one,) = read(tmp_path, json.dumps([spoken]))
    assert "podcast" in str(one.skipped)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"endTime": None}, "endTime is missing"),
        ({"endTime": "2024-02-30 10:00"}, "endTime is not a UTC minute"),
        ({"endTime": "2024-02-03"}, "endTime is not a UTC minute"),
        ({"endTime": "0001-01-01 00:00"}, "endTime is not a UTC minute"),
        ({"msPlayed": None}, "msPlayed is not a number"),
        ({"msPlayed": True}, "msPlayed is not a number"),
        ({"msPlayed": -1}, "msPlayed is not a number"),
        ({"msPlayed": 10**30}, "msPlayed is not a number"),
        ({"artistName": ""}, "artistName is missing"),
        ({"trackName": 5}, "trackName is not text"),
    ],
)
def test_an_invalid_play_raises_the_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        spotify_account.parse(play(**changes), "ann")


def test_account_data_names_no_listener() -> None:
    with pytest.raises(MissingListener):
        spotify_account.parse(play(), None)
