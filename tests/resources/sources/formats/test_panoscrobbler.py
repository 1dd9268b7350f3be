"""Pano Scrobbler's log of listens and love, as JSON lines and as CSV."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from resources.sources.formats import panoscrobbler
from resources.sources.records.listen import Malformed, MissingListener
from tests.exporting import feedback, listen_of, read

AT = datetime(2023, 9, 18, 14, 39, 0, 123_000, tzinfo=UTC)


def event(**changes: Any) -> dict[str, Any]:
    return {
        "timeHuman": "September 18, 2023, 16:39 CEST",
        "timeMs": 1_695_047_940_123,
        "artist": "Clara Example",
        "track": "Prelude",
        "album": "Études",
        "albumArtist": "Clara Example",
        "durationMs": 346_958,
        "mediaPlayerPackage": "org.example.player",
        "mediaPlayerName": "Player",
        "mediaPlayerVersion": "2.0",
        "event": "scrobble",
    } | changes


LOG = [event(), event(event="love"), event(event="unlove"), event(event="nowplaying"), event(album=None)]


def table() -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(event()))
    writer.writeheader()
    writer.writerows(LOG)
    return text.getvalue()


TEXTS = {"lines": "\n".join(map(json.dumps, LOG)), "list": json.dumps(LOG), "csv": table()}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_scrobbles_are_listens_love_is_feedback_others_are_skipped(tmp_path: Path, text: str) -> None:
    reads = read(tmp_path, text)
    first, last = (listen_of(r) for r in reads if listen_of(r))
    assert (first.user_id, first.listened_at, first.source) == ("ann", AT, "panoscrobbler")
    assert (first.artist_name, first.recording_name, first.release_name) == ("Clara Example", "Prelude", "Études")
    assert (first.client, first.ms_played) == ("Player", None)  # `durationMs` is how long the track is
    assert last.release_name is None
    assert [(f.score, f.created_at, f.recording_name) for f in feedback(reads)] == [
        (1, AT, "Prelude"),
        (0, AT, "Prelude"),
    ]
    assert [r.skipped for r in reads if r.skipped] == ["an event that is not a listen or feedback"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"timeMs": "soon"}, "timeMs is not a number"),
        ({"timeMs": True}, "timeMs is not a number"),
        ({"timeMs": -1}, "negative"),
        ({"timeMs": 10**18}, "year 9999"),
        ({"artist": ""}, "artist is missing"),
        ({"track": None}, "track is missing"),
        ({"event": None}, "event is missing"),
    ],
)
def test_an_invalid_event_raises_the_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        panoscrobbler.parse(event(**changes), "ann")


def test_a_log_names_no_listener() -> None:
    with pytest.raises(MissingListener):
        panoscrobbler.parse(event(), None)
