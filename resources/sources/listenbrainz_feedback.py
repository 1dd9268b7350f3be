"""ListenBrainz feedback: `feedback.jsonl` of the user export, and what its API answers.

A score of 1 (love), -1 (hate) or 0 (taken back) for a recording known by MBID or MSID; the API adds `user_id`, which is
the user's name, and the names of the recording where it knows them.
"""

from typing import Any

from resources.sources.feedback import HATE, LOVE, NEITHER, Feedback
from resources.sources.listen import Malformed, instant, mbid, text, whose

NAME = "listenbrainz"
EXPORT = "ListenBrainz"


def recognise(record: dict[str, Any]) -> bool:
    """Whether a record has the shape of this format."""
    return "score" in record and ("recording_msid" in record or "recording_mbid" in record)


def parse(record: dict[str, Any], listener: str | None) -> Feedback:
    """The feedback a record tells of; the listener given goes before the record's own name."""
    user_id = whose(listener, record, "user_name", "user_id", what="feedback")
    score = record.get("score")
    if type(score) is not int or score not in (LOVE, HATE, NEITHER):
        raise Malformed("score is not 1, -1 or 0")
    recording_mbid, recording_msid = mbid(record.get("recording_mbid")), mbid(record.get("recording_msid"))
    if not (recording_mbid or recording_msid):
        raise Malformed("neither recording_mbid nor recording_msid is a UUID")
    metadata = record.get("track_metadata")
    names = metadata if isinstance(metadata, dict) else {}
    return Feedback(
        user_id=user_id,
        recording_mbid=recording_mbid,
        recording_msid=recording_msid,
        artist_name=text(names.get("artist_name"), "artist_name"),
        recording_name=text(names.get("track_name"), "track_name"),
        score=score,
        created_at=instant(record["created"], "created") if record.get("created") is not None else None,
        source=NAME,
    )
