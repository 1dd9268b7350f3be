"""ListenBrainz listens, in each form that ListenBrainz exports or accepts.

These are the user export (`listens/<year>/<month>.jsonl`: `listened_at` with or without decimals), the public dump
(`timestamp`, `user_name`), the API's answers and the body of submit-listens. All share `track_metadata`, with the
client's fields in `additional_info` and ListenBrainz's match in `mbid_mapping`. The client's fields take precedence
over the match, as ListenBrainz documents. Its Spark dump does the reverse.

`record` is the inverse of `parse`.
"""

import re
from collections.abc import Mapping
from typing import Any

from resources.sources.records.listen import (
    Listen,
    Malformed,
    SkippedRecord,
    find_listener,
    free_text,
    instant,
    isrc,
    mbid,
    mbids,
    ms_of,
    optional_text,
    parse_number,
    required_text,
    time_zone,
)

NAME = "listenbrainz"
# For fields that the format lacks: in `additional_info` of exports, beside the listen at the scrobble endpoint.
OWN_KEY = "tutti"
EXPORT = "ListenBrainz"

SPOTIFY_TRACK = re.compile(r"(?:https?://open\.spotify\.com/(?:intl-\w+/)?track/|spotify:track:)([0-9A-Za-z]{22})\b.*")


def recognize(record: dict[str, Any]) -> bool:
    """Return whether a record has the keys of this format. Pins and feedback have `track_metadata` without a time."""
    times = ("listened_at", "timestamp", "playing_now")
    return isinstance(record.get("track_metadata"), dict) and any(name in record for name in times)


def playing_now(document: dict[str, Any]) -> bool:
    """Return whether a submission reports the track playing now."""
    return document.get("listen_type") == "playing_now"


def parse(record: dict[str, Any], listener: str | None) -> Listen:
    """Parse a listen. `listener` takes precedence over the record's `user_name`."""
    user_id = find_listener(listener, record, "user_name")
    if record.get("playing_now"):
        raise SkippedRecord("a track that is still playing")
    metadata = record.get("track_metadata")
    if not isinstance(metadata, dict):
        raise Malformed("track_metadata is missing or not an object")
    info, match = nested(metadata, "additional_info"), nested(metadata, "mbid_mapping")
    ours, endpoint = nested(info, OWN_KEY), nested(record, OWN_KEY)
    field = "listened_at" if "listened_at" in record else "timestamp" if "timestamp" in record else "listened_at"
    return Listen(
        user_id=user_id,
        listened_at=instant(record.get(field), field),
        ms_played=_ms_played(info.get("duration_played")),
        source=free_text(ours.get("source")) or free_text(endpoint.get("source")) or NAME,
        time_zone=time_zone(info.get("time_zone")),
        artist_name=required_text(metadata.get("artist_name"), "artist_name"),
        recording_name=required_text(metadata.get("track_name"), "track_name"),
        release_name=optional_text(metadata.get("release_name"), "release_name"),
        recording_mbid=mbid(info.get("recording_mbid")) or mbid(match.get("recording_mbid")),
        artist_mbids=mbids(info.get("artist_mbids")) or mbids(match.get("artist_mbids")),
        isrc=isrc(info.get("isrc")),
        source_ref=free_text(ours.get("source_ref")) or _spotify_ref(info.get("spotify_id")),
        client=_client(info),
    )


def record(listen: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of the user export for a listen with the fields of `Listen`."""
    fields = {
        "recording_mbid": listen["recording_mbid"],
        "artist_mbids": list(listen["artist_mbids"]),
        "isrc": listen["isrc"],
        "duration_played": None if listen["ms_played"] is None else _plain(listen["ms_played"] / 1000),
        "time_zone": listen["time_zone"],
        "submission_client": listen["client"],
        "spotify_id": listen["source_ref"] if SPOTIFY_TRACK.fullmatch(listen["source_ref"] or "") else None,
        OWN_KEY: {"source": listen["source"], "source_ref": listen["source_ref"]},
    }
    names = {"artist_name": listen["artist_name"], "track_name": listen["recording_name"]}
    release = {"release_name": listen["release_name"]} if listen["release_name"] is not None else {}
    info = {key: value for key, value in fields.items() if value not in (None, [])}
    # A float of seconds is exact to the microsecond for the time of any listen.
    at = _plain(listen["listened_at"].timestamp())
    return {"listened_at": at, "track_metadata": names | release | {"additional_info": info}}


def nested(parent: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the object at a key, or an empty one."""
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _plain(seconds: float) -> int | float:
    return int(seconds) if seconds.is_integer() else seconds


def _ms_played(seconds: object) -> int | None:
    """Parse `duration_played`, a free field. Return None if it is invalid. (`duration` is the length of the track.)"""
    return ms_of(parse_number(seconds))  # ListenBrainz accepts a number in quotes


def _client(info: dict[str, Any]) -> str | None:
    """Return the program that submitted the listen, else the player."""
    return free_text(info.get("submission_client")) or free_text(info.get("media_player"))


def _spotify_ref(spotify_id: object) -> str | None:
    """Return the track's URI as in Spotify's own export, so that duplicates from both sources are found.

    `origin_url` is not read: it may be an address in the listener's home network.
    """
    track = SPOTIFY_TRACK.fullmatch(spotify_id.strip()) if isinstance(spotify_id, str) else None
    return f"spotify:track:{track[1]}" if track else None
