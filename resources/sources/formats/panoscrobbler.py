"""Pano Scrobbler's log: JSON lines, or the same in CSV, of what the phone or computer played and what was done with it.

`timeMs` is the UTC millisecond of the start, `durationMs` the length of the track, and `event` what the line tells:
a `scrobble` is a listen, `love` and `unlove` are feedback, the others are neither.
"""

from typing import Any

from resources.sources.records.feedback import LOVE, NEITHER, Feedback
from resources.sources.records.listen import Listen, Malformed, PassedOver, as_number, instant, needed, text, whose

NAME = "panoscrobbler"
EXPORT = "Pano Scrobbler"

SCORES = {"love": LOVE, "unlove": NEITHER}


def recognize(record: dict[str, Any]) -> bool:
    """Whether a record has the shape of this format; it may lack what a listen needs."""
    return _of(record, "timeMs") is not None and "event" in record and "track" in record


def parse(record: dict[str, Any], listener: str | None) -> Listen | Feedback:
    """The listen or the feedback that a record tells of; the file does not name its listener."""
    user_id = whose(listener)
    event = needed(record.get("event"), "event").lower()
    if event != "scrobble" and event not in SCORES:
        raise PassedOver("an event that is no listen")
    ms = as_number(_of(record, "timeMs"))
    if type(ms) is not int:
        raise Malformed("timeMs is not a number of milliseconds")
    at = instant(ms // 1000, "timeMs").replace(microsecond=ms % 1000 * 1000)
    artist_name, recording_name = needed(record.get("artist"), "artist"), needed(record.get("track"), "track")
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
        release_name=text(record.get("album"), "album"),
        recording_mbid=None,
        artist_mbids=(),
        isrc=None,
        source_ref=None,
        client=text(_of(record, "mediaPlayerName"), "mediaPlayerName"),
    )


def _of(record: dict[str, Any], name: str) -> Any:
    """A value by its name in JSON, or by its heading, which is compared without case."""
    return record.get(name, record.get(name.lower()))
