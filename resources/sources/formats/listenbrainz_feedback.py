"""ListenBrainz feedback: `feedback.jsonl` of the user export and answers of the API.

A record is a score of 1 (love), -1 (hate) or 0 (withdrawn) for a recording identified by MBID or MSID. The API adds
`user_id`, which is the user's name, and the names of the recording if it knows them.

`record` is the inverse of `parse`. Unlike ListenBrainz' own feedback it may identify a recording by names alone.
"""

from collections.abc import Mapping
from typing import Any

from resources.sources.formats.listenbrainz import OWN_KEY, nested
from resources.sources.records.feedback import HATE, LOVE, NEITHER, Feedback
from resources.sources.records.listen import Malformed, find_listener, free_text, instant, mbid, optional_text

NAME = "listenbrainz"
EXPORT = "ListenBrainz"


def recognize(record: dict[str, Any]) -> bool:
    """Return whether a record has the keys of this format."""
    return "score" in record and ("recording_msid" in record or "recording_mbid" in record)


def parse(record: dict[str, Any], listener: str | None) -> Feedback:
    """Parse feedback. `listener` takes precedence over the record's own."""
    user_id = find_listener(listener, record, "user_name", "user_id", what="feedback")
    score = record.get("score")
    if type(score) is not int or score not in (LOVE, HATE, NEITHER):
        raise Malformed("score is not 1, -1 or 0")
    recording_mbid, recording_msid = mbid(record.get("recording_mbid")), mbid(record.get("recording_msid"))
    names, ours = nested(record, "track_metadata"), nested(record, OWN_KEY)
    artist, title = (
        optional_text(names.get("artist_name"), "artist_name"),
        optional_text(names.get("track_name"), "track_name"),
    )
    if not (recording_mbid or recording_msid or (artist and title)):
        raise Malformed("no valid id (recording_mbid, recording_msid) and no artist and track name")
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
    """Return a line of the user export for feedback with the fields of `Feedback`."""
    names = {"artist_name": feedback["artist_name"], "track_name": feedback["recording_name"]}
    fields = {name: feedback[name] for name in ("recording_mbid", "recording_msid", "score")}
    created = {} if feedback["created_at"] is None else {"created": int(feedback["created_at"].timestamp())}
    metadata = {key: value for key, value in names.items() if value is not None}
    ours = {OWN_KEY: {"source": feedback["source"]}}
    return fields | created | ({"track_metadata": metadata} if metadata else {}) | ours
