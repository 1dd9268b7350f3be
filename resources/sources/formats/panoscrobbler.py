"""Pano Scrobbler's log as JSON lines or CSV.

`timeMs` is the UTC millisecond of the start, `durationMs` the length of the track. The `event` `scrobble` is a listen,
`love` and `unlove` are feedback, and the others are skipped.
"""

from typing import Any

from resources.sources.records.feedback import LOVE, NEITHER, Feedback
from resources.sources.records.listen import (
    Listen,
    Malformed,
    SkippedRecord,
    find_listener,
    instant,
    optional_text,
    parse_number,
    required_text,
)

NAME = "panoscrobbler"
EXPORT = "Pano Scrobbler"

SCORES = {"love": LOVE, "unlove": NEITHER}


def recognize(record: dict[str, Any]) -> bool:
    """Return whether a record has the keys of this format."""
    return _of(record, "timeMs") is not None and "event" in record and "track" in record


def parse(record: dict[str, Any], listener: str | None) -> Listen | Feedback:
    """Parse a listen or feedback. The file does not name its listener."""
    user_id = find_listener(listener)
    event = required_text(record.get("event"), "event").lower()
    if event != "scrobble" and event not in SCORES:
        raise SkippedRecord("an event that is not a listen or feedback")
    ms = parse_number(_of(record, "timeMs"))
    if type(ms) is not int:
        raise Malformed("timeMs is not a number of milliseconds")
    at = instant(ms // 1000, "timeMs").replace(microsecond=ms % 1000 * 1000)
    artist_name, recording_name = (
        required_text(record.get("artist"), "artist"),
        required_text(record.get("track"), "track"),
    )
    if event in SCORES:
        return Feedback(
            user_id=user_id,
            recording_mbid=None,
            recording_msid=None,
            artist_name=artist_name,
            recording_name=recording_name,
            score=SCORES[event],
            created_at=at,
            source=NAME,
        )
    return Listen(
        user_id=user_id,
        listened_at=at,
        ms_played=None,
        source=NAME,
        time_zone=None,
        artist_name=artist_name,
        recording_name=recording_name,
        release_name=optional_text(record.get("album"), "album"),
        recording_mbid=None,
        artist_mbids=(),
        isrc=None,
        source_ref=None,
        client=optional_text(_of(record, "mediaPlayerName"), "mediaPlayerName"),
    )


def _of(record: dict[str, Any], name: str) -> Any:
    """Return a value by its JSON name or its lower-case CSV heading."""
    return record.get(name, record.get(name.lower()))
