"""Pano Scrobbler's log: JSON lines, or the same in CSV, of what the phone or computer played and what was done with it.

`timeMs` is the UTC millisecond of the start, `durationMs` the length of the track, and `event` what the line tells:
a `scrobble` is a listen, `love` and `unlove` are feedback, the others are neither.
"""

import re
from typing import Any

from resources.sources.feedback import LOVE, NEITHER, Feedback
from resources.sources.listen import Listen, Malformed, Nameless, PassedOver, instant, needed, text

NAME = "panoscrobbler"
EXPORT = "a Pano Scrobbler log (JSON lines or CSV)"

SCORES = {"love": LOVE, "unlove": NEITHER}


def recognise(record: dict[str, Any]) -> bool:
    """Whether a record has the shape of this format; it may lack what a listen needs."""
    return _of(record, "timeMs") is not None and "event" in record and "track" in record


def parse(record: dict[str, Any], listener: str | None) -> Listen | Feedback:
    """The listen or the feedback that a record tells of; the file does not name its listener."""
    if not listener:
        raise Nameless("it does not say whose listen it is")
    event = needed(record.get("event"), "event").lower()
    if event != "scrobble" and event not in SCORES:
        raise PassedOver("an event that is no listen")
    ms = _of(record, "timeMs")
    if isinstance(ms, str) and re.fullmatch(r"[0-9]{1,15}", ms):
        ms = int(ms)
    if type(ms) is not int:
        raise Malformed("timeMs is not a number of milliseconds")
    at = instant(ms // 1000, "timeMs").replace(microsecond=ms % 1000 * 1000)
    artist_name, recording_name = needed(record.get("artist"), "artist"), needed(record.get("track"), "track")
    if event in SCORES:
        return Feedback(
            user_id=listener,
            recording_mbid=None,
            recording_msid=None,
            artist_name=artist_name,
            recording_name=recording_name,
            score=SCORES[event],
            created_at=at,
            source=NAME,
        )
    return Listen(
        user_id=listener,
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
        origin=None,
        client=text(_of(record, "mediaPlayerName"), "mediaPlayerName"),
    )


def _of(record: dict[str, Any], name: str) -> Any:
    """A value by its name in JSON, or by its heading, which is compared without case."""
    return record.get(name, record.get(name.lower()))
