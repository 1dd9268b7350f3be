"""Spotify's account data: `StreamingHistory_music_N.json`, `StreamingHistoryN.json`, of the last year.

A JSON list of plays that says less than the extended history: `endTime` is the UTC minute in which the play *ended*,
`msPlayed` how long it lasted. So its start is known to the minute only, which is why this is a source of its own. Of
podcasts the older files say no more than of music; the newer ones keep them apart.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from resources.sources.records.listen import LONGEST_PLAY_MS, Listen, Malformed, PassedOver, needed, whose

NAME = "spotify_account"
EXPORT = "Spotify"

END = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(?::[0-9]{2})?")
SPOKEN = ("podcastName", "episodeName", "audiobookName", "bookName", "chapterName")


def recognize(record: dict[str, Any]) -> bool:
    """Whether a record has the shape of this format; it may lack what a listen needs."""
    named = "trackName" in record or any(name in record for name in SPOKEN)
    return named and ("endTime" in record or "msPlayed" in record)


def parse(record: dict[str, Any], listener: str | None) -> Listen:
    """The listen a record tells of; the file does not name its listener."""
    user_id = whose(listener)
    if any(record.get(name) for name in SPOKEN) and not record.get("trackName"):
        raise PassedOver("an episode of a podcast or a chapter of an audiobook")
    ms_played = record.get("msPlayed")
    if type(ms_played) is not int or not 0 <= ms_played <= LONGEST_PLAY_MS:
        raise Malformed("msPlayed is not a number of milliseconds: without it the start of the play is unknown")
    return Listen(
        user_id=user_id,
        listened_at=_ended_at(record.get("endTime")) - timedelta(milliseconds=ms_played),
        ms_played=ms_played,
        source=NAME,
        time_zone=None,
        artist_name=needed(record.get("artistName"), "artistName"),
        recording_name=needed(record.get("trackName"), "trackName"),
        release_name=None,
        recording_mbid=None,
        artist_mbids=(),
        isrc=None,
        source_ref=None,
        client=None,
    )


def _ended_at(value: object) -> datetime:
    end = needed(value, "endTime")
    try:
        if END.fullmatch(end):
            ended = datetime.fromisoformat(end).replace(tzinfo=UTC)
            if ended.year > 1:  # the start still has to fit a datetime
                return ended
    except ValueError:
        pass
    raise Malformed("endTime is not a UTC minute such as 2024-05-06 07:08")
