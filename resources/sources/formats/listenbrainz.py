"""ListenBrainz listens, in each of the forms it hands them out.

The user export (`listens/<year>/<month>.jsonl`: `listened_at` with or without decimals), the public dump (`timestamp`,
`user_name`), what the API answers, and the body of submit-listens all share `track_metadata`, with the client's own
words in `additional_info` and ListenBrainz's match in `mbid_mapping`. What the client submitted goes before the match,
as ListenBrainz documents; its Spark dump does the reverse.

`record` writes what `parse` reads, to the same listen.
"""

import re
from collections.abc import Mapping
from typing import Any

from resources.sources.records.listen import (
    Listen,
    Malformed,
    PassedOver,
    as_number,
    free_text,
    instant,
    isrc,
    mbid,
    mbids,
    ms_of,
    needed,
    text,
    time_zone,
    whose,
)

NAME = "listenbrainz"
OURS = "tutti"  # what the format has no place for: in `additional_info` of exports, beside the listen at the live door
EXPORT = "ListenBrainz"

SPOTIFY_TRACK = re.compile(r"(?:https?://open\.spotify\.com/(?:intl-\w+/)?track/|spotify:track:)([0-9A-Za-z]{22})\b.*")


def recognize(record: dict[str, Any]) -> bool:
    """Whether a record has the shape of this format: pins and feedback have `track_metadata` but no such time."""
    telling = ("listened_at", "timestamp", "playing_now")
    return isinstance(record.get("track_metadata"), dict) and any(name in record for name in telling)


def playing_now(document: dict[str, Any]) -> bool:
    """Whether what a client submitted says what is being heard, and not what was."""
    return document.get("listen_type") == "playing_now"


def parse(record: dict[str, Any], listener: str | None) -> Listen:
    """The listen a record tells of; the listener given goes before the record's own `user_name`."""
    user_id = whose(listener, record, "user_name")
    if record.get("playing_now"):
        raise PassedOver("a track playing now, not yet listened to")
    metadata = record.get("track_metadata")
    if not isinstance(metadata, dict):
        raise Malformed("no track_metadata")
    info, match = within(metadata, "additional_info"), within(metadata, "mbid_mapping")
    ours, beside = within(info, OURS), within(record, OURS)
    field = "listened_at" if "listened_at" in record else "timestamp" if "timestamp" in record else "listened_at"
    return Listen(
        user_id=user_id,
        listened_at=instant(record.get(field), field),
        ms_played=_ms_played(info.get("duration_played")),
        source=free_text(ours.get("source")) or free_text(beside.get("source")) or NAME,
        time_zone=time_zone(info.get("time_zone")),
        artist_name=needed(metadata.get("artist_name"), "artist_name"),
        recording_name=needed(metadata.get("track_name"), "track_name"),
        release_name=text(metadata.get("release_name"), "release_name"),
        recording_mbid=mbid(info.get("recording_mbid")) or mbid(match.get("recording_mbid")),
        artist_mbids=mbids(info.get("artist_mbids")) or mbids(match.get("artist_mbids")),
        isrc=isrc(info.get("isrc")),
        source_ref=free_text(ours.get("source_ref")) or _origin(info.get("spotify_id")),
        client=_client(info),
    )


def record(listen: Mapping[str, Any]) -> dict[str, Any]:
    """A listen, told by the names of `Listen`, as a line of the user export."""
    told = {
        "recording_mbid": listen["recording_mbid"],
        "artist_mbids": list(listen["artist_mbids"]),
        "isrc": listen["isrc"],
        "duration_played": None if listen["ms_played"] is None else _plain(listen["ms_played"] / 1000),
        "time_zone": listen["time_zone"],
        "submission_client": listen["client"],
        "spotify_id": listen["source_ref"] if SPOTIFY_TRACK.fullmatch(listen["source_ref"] or "") else None,
        OURS: {"source": listen["source"], "source_ref": listen["source_ref"]},
    }
    names = {"artist_name": listen["artist_name"], "track_name": listen["recording_name"]}
    release = {"release_name": listen["release_name"]} if listen["release_name"] is not None else {}
    info = {key: value for key, value in told.items() if value not in (None, [])}
    # A number of seconds holds microseconds of any listen exactly.
    at = _plain(listen["listened_at"].timestamp())
    return {"listened_at": at, "track_metadata": names | release | {"additional_info": info}}


def within(parent: dict[str, Any], key: str) -> dict[str, Any]:
    """The object at a key; an empty one where there is none."""
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _plain(seconds: float) -> int | float:
    return int(seconds) if seconds.is_integer() else seconds


def _ms_played(seconds: object) -> int | None:
    """`duration_played`, a free field: unusable values count as absent. (`duration` is the length of the track.)"""
    return ms_of(as_number(seconds))  # ListenBrainz takes a number in quotes


def _client(info: dict[str, Any]) -> str | None:
    """What submitted the listen, else the player it was heard on."""
    return free_text(info.get("submission_client")) or free_text(info.get("media_player"))


def _origin(spotify_id: object) -> str | None:
    """The track in Spotify's own words, so that the same play told by both sources can be paired.

    `origin_url` is not taken: it may be an address in the listener's home.
    """
    track = SPOTIFY_TRACK.fullmatch(spotify_id.strip()) if isinstance(spotify_id, str) else None
    return f"spotify:track:{track[1]}" if track else None
