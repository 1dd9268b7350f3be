"""ListenBrainz feedback: `feedback.jsonl` of the user export, and what its API answers.

A score of 1 (love), -1 (hate) or 0 (taken back) for a recording known by MBID or MSID; the API adds `user_id`, which is
the user's name, and the names of the recording where it knows them.

`record` writes what `parse` reads, to the same feedback; it may be known by its names alone, which ListenBrainz' own
never is.
"""

from collections.abc import Mapping
from typing import Any

from resources.sources.formats.listenbrainz import OURS, within
from resources.sources.records.feedback import HATE, LOVE, NEITHER, Feedback
from resources.sources.records.listen import Malformed, free_text, instant, mbid, text, whose

NAME = "listenbrainz"
EXPORT = "ListenBrainz"


def recognize(record: dict[str, Any]) -> bool:
    """Whether a record has the shape of this format."""
    return "score" in record and ("recording_msid" in record or "recording_mbid" in record)


def parse(record: dict[str, Any], listener: str | None) -> Feedback:
    """The feedback a record tells of; the listener given goes before the record's own name."""
    user_id = whose(listener, record, "user_name", "user_id", what="feedback")
    score = record.get("score")
    if type(score) is not int or score not in (LOVE, HATE, NEITHER):
        raise Malformed("score is not 1, -1 or 0")
    recording_mbid, recording_msid = mbid(record.get("recording_mbid")), mbid(record.get("recording_msid"))
    names, ours = within(record, "track_metadata"), within(record, OURS)
    artist, title = text(names.get("artist_name"), "artist_name"), text(names.get("track_name"), "track_name")
    if not (recording_mbid or recording_msid or (artist and title)):
        raise Malformed("neither recording_mbid nor recording_msid is a UUID, and no names tell the recording")
    return Feedback(
        user_id=user_id,
        recording_mbid=recording_mbid,
        recording_msid=recording_msid,
        artist_name=artist,
        recording_name=title,
        score=score,
        created_at=instant(record["created"], "created") if record.get("created") is not None else None,
        source=free_text(ours.get("source")) or NAME,
    )


def record(feedback: Mapping[str, Any]) -> dict[str, Any]:
    """Feedback, told by the names of `Feedback`, as a line of the user export."""
    names = {"artist_name": feedback["artist_name"], "track_name": feedback["recording_name"]}
    told = {name: feedback[name] for name in ("recording_mbid", "recording_msid", "score")}
    created = {} if feedback["created_at"] is None else {"created": int(feedback["created_at"].timestamp())}
    known = {key: value for key, value in names.items() if value is not None}
    return told | created | ({"track_metadata": known} if known else {}) | {OURS: {"source": feedback["source"]}}
