"""Spotify's extended streaming history: `endsong_N.json`, since 2023 `Streaming_History_Audio_*.json` and `…_Video_…`.

A JSON array of plays. `ts` is the UTC time at which the play *ended*, `ms_played` its duration. Music has
`master_metadata_*` and `spotify_track_uri`, podcasts have `episode_*`, audiobooks `audiobook_*`. `offline_timestamp` is
not read: its unit changed from milliseconds to seconds between layouts. IP address, user agent, user name, platform and
country are not read either.
"""

import re
from datetime import datetime, timedelta
from typing import Any

from resources.sources.records.listen import (
    MAX_PLAY_MS,
    Listen,
    Malformed,
    SkippedRecord,
    find_listener,
    optional_text,
    required_text,
)

NAME = "spotify"
EXPORT = "Spotify"

TRACK, ARTIST = "master_metadata_track_name", "master_metadata_album_artist_name"
RELEASE = "master_metadata_album_album_name"
TS = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|\+00:00)")


def recognize(record: dict[str, Any]) -> bool:
    """Return whether a record has the keys of this format."""
    return TRACK in record and ("ts" in record or "ms_played" in record)


def parse(record: dict[str, Any], listener: str | None) -> Listen:
    """Parse a listen. The file does not name its listener."""
    user_id = find_listener(listener)
    if not record.get(TRACK):
        if record.get("episode_name") or record.get("spotify_episode_uri"):
            raise SkippedRecord("an episode of a podcast or show")
        if record.get("audiobook_title") or record.get("audiobook_uri"):
            raise SkippedRecord("a chapter of an audiobook")
    recording, artist = required_text(record.get(TRACK), TRACK), required_text(record.get(ARTIST), ARTIST)
    ms_played = _ms_played(record.get("ms_played"))
    return Listen(
        user_id=user_id,
        listened_at=_ended_at(record.get("ts")) - timedelta(milliseconds=ms_played),
        ms_played=ms_played,
        source=NAME,
        time_zone=None,
        artist_name=artist,
        recording_name=recording,
        release_name=optional_text(record.get(RELEASE), RELEASE),
        recording_mbid=None,
        artist_mbids=(),
        isrc=None,
        source_ref=optional_text(record.get("spotify_track_uri"), "spotify_track_uri"),
        client=None,
    )


def _ms_played(value: object) -> int:
    if type(value) is not int:  # isinstance would accept a bool
        problem = "ms_played is missing" if value is None else "ms_played is not a whole number"
    elif value < 0:
        problem = "ms_played is negative"
    elif value > MAX_PLAY_MS:
        problem = "ms_played is longer than 24 days"
    else:
        return value
    raise Malformed(f"{problem}: without it the start of the play is unknown")


def _ended_at(value: object) -> datetime:
    ts = required_text(value, "ts")
    try:
        if TS.fullmatch(ts):
            ended = datetime.fromisoformat(ts)
            if ended.year > 1:  # the start must fit a datetime as well
                return ended
    except ValueError:
        pass
    raise Malformed("ts is not a UTC time such as 2024-05-06T07:08:09Z")
