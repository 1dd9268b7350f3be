"""ListenBrainz feedback from the user export and from the API."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from resources.sources.formats import listenbrainz_feedback
from resources.sources.records.listen import Malformed, MissingListener
from tests.exporting import feedback, read

MBID, MSID = "c7d0bf6e-b2aa-4ffa-bded-2448415b39b0", "2cfad207-3f55-4aec-8120-86cf66e34d59"


def love(**changes: Any) -> dict[str, Any]:
    return {"recording_msid": MSID, "recording_mbid": MBID, "score": 1, "created": 1_695_047_940} | changes


def test_love_and_hate_have_both_ids_and_the_time(tmp_path: Path) -> None:
    lines = [love(), love(score=-1, recording_mbid=None), love(score=0, created=None, recording_msid=None)]
    one, other, third = feedback(read(tmp_path, "\n".join(map(json.dumps, lines))))
    assert (one.user_id, one.score, one.source) == ("ann", 1, "listenbrainz")
    assert (one.recording_mbid, one.recording_msid) == (MBID, MSID)
    assert one.created_at == datetime(2023, 9, 18, 14, 39, tzinfo=UTC)
    assert (other.score, other.recording_mbid, other.recording_msid) == (-1, None, MSID)
    assert (third.score, third.created_at, third.recording_msid) == (0, None, None)


def test_an_api_answer_names_the_listener_and_the_recording(tmp_path: Path) -> None:
    named = love(user_id="ada", track_metadata={"artist_name": "Clara", "track_name": "Prelude"})
    (one,) = feedback(read(tmp_path, json.dumps({"feedback": [named], "count": 1, "offset": 0}, indent=1), None))
    assert (one.user_id, one.artist_name, one.recording_name) == ("ada", "Clara", "Prelude")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"score": 2}, "score is not"),
        ({"score": True}, "score is not"),
        ({"score": "1"}, "score is not"),
        ({"recording_mbid": "x", "recording_msid": None}, "recording_mbid"),
        ({"created": "today"}, "created is not a number"),
    ],
)
def test_invalid_feedback_raises_the_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        listenbrainz_feedback.parse(love(**changes), "ann")


def test_feedback_without_a_listener_raises() -> None:
    with pytest.raises(MissingListener):
        listenbrainz_feedback.parse(love(user_id=7), None)
