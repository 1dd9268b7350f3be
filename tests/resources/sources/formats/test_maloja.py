"""Maloja's export: the document, its scrobbles and their clients."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from resources.sources.formats import maloja
from resources.sources.records.listen import Malformed, MissingListener
from tests.exporting import listens, read

AT = datetime(2023, 9, 18, 14, 39, tzinfo=UTC)


def scrobble(**changes: Any) -> dict[str, Any]:
    album = {"artists": ["Clara Example"], "albumtitle": "Études"}
    track = {"artists": ["Clara Example", "Ensemble"], "title": "Prelude", "album": album, "length": 300}
    return {"time": 1_695_047_940, "track": track, "duration": 245, "origin": "client:turntable"} | changes


def old(**changes: Any) -> dict[str, Any]:
    return {"time": 1_695_047_940, "artists": ["Clara Example"], "title": "Prelude", "album": "Études"} | changes


@pytest.mark.parametrize("indent", [None, 2])
def test_an_export_yields_scrobbles_with_play_time_and_client(tmp_path: Path, indent: int | None) -> None:
    document = {"maloja": {"export_time": 1_761_035_593}, "scrobbles": [scrobble(), old(), scrobble(duration=None)]}
    one, other, third = listens(read(tmp_path, json.dumps(document, indent=indent)))
    assert (one.user_id, one.listened_at, one.ms_played, one.source) == ("ann", AT, 245_000, "maloja")
    assert (one.artist_name, one.recording_name, one.release_name) == ("Clara Example, Ensemble", "Prelude", "Études")
    assert (one.client, other.client) == ("turntable", None)
    assert (other.artist_name, other.release_name, other.ms_played) == ("Clara Example", "Études", None)
    assert third.ms_played is None  # `length` is how long the track is


@pytest.mark.parametrize(
    ("origin", "client"), [("client:phone", "phone"), ("import:spotify", "import:spotify"), ("", None), (None, None)]
)
def test_imported_scrobbles_are_a_feed_of_their_own(origin: Any, client: str | None) -> None:
    assert maloja.parse(scrobble(origin=origin), "ann").client == client


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (scrobble(time=None), "time is missing"),
        (scrobble(time="1695047940"), "time is not a number"),
        (scrobble(track={"artists": [], "title": "x"}), "artists is missing"),
        (scrobble(track={"artists": [1], "title": "x"}), "artists is not text"),
        (scrobble(track={"artists": ["A"], "title": ""}), "title is missing"),
        (scrobble(track="Prelude"), "track is not"),
    ],
)
def test_an_invalid_scrobble_raises_the_reason(record: dict[str, Any], reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        maloja.parse(record, "ann")


def test_an_export_names_no_listener() -> None:
    with pytest.raises(MissingListener):
        maloja.parse(scrobble(), None)
