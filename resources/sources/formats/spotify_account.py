"""Spotify's account data: `StreamingHistory_music_N.json`, `StreamingHistoryN.json`, of the last year.

A JSON array of plays with fewer fields than the extended history. `endTime` is the UTC minute in which the play
*ended*, `msPlayed` its duration. The start is only exact to the minute, so this is a source of its own. Older files do
not distinguish podcasts from music. Newer ones have separate files for podcasts.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from resources.sources.records.listen import MAX_PLAY_MS, Listen, Malformed, SkippedRecord, find_listener, required_text

NAME = "spotify_account"
EXPORT = "Spotify"

END = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(?::[0-9]{2})?")
SPOKEN = ("podcastName", "episodeName", "audiobookName", "bookName", "chapterName")


def recognize(record: dict[str, Any]) -> bool:
    """Return whether a record has the keys of this format."""
    has_name = "trackName" in record or any(name in record for name in SPOKEN)
    return has_name and ("endTime" in record or "msPlayed" in record)


def parse(record: dict[str, Any], listener: str | None) -> Listen:
    """Parse a listen. The file does not name its listener."""
    user_id = find_listener(listener)
    if any(record.get(name) for name in SPOKEN) and not record.get("trackName"):
        raise SkippedRecord("an episode of a podcast or a chapter of an audiobook")
    ms_played = record.get("msPlayed")
    if type(ms_played) is not int or not 0 <= ms_played <= MAX_PLAY_MS:
        raise Malformed("msPlayed is not a number of milliseconds: without it the start of the play is unknown")
    return Listen(
        user_id=user_id,
        listened_at=_ended_at(record.get("endTime")) - timedelta(milliseconds=ms_played),
        ms_played=ms_played,
        source=NAME,
        time_zone=None,
        artist_name=required_text(record.get("artistName"), "artistName"),
        recording_name=required_text(record.get("trackName"), "trackName"),
        release_name=None,
        recording_mbid=None,
        artist_mbids=(),
        isrc=None,
        source_ref=None,
        client=None,
    )


def _ended_at(value: object) -> datetime:
    end = required_text(value, "endTime")
    try:
        if END.fullmatch(end):
            ended = datetime.fromisoformat(end).replace(tzinfo=UTC)
            if ended.year > 1:  # the start must fit a datetime as well
                return ended
    except ValueError:
        pass
    raise Malformed("endTime is not a UTC minute such as 2024-05-06 07:08")
