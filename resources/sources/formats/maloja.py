"""Maloja's export: `maloja_export_<time>.json`, a document whose `scrobbles` are listens.

`time` is the UTC second of the start and `duration` the seconds played (`length` is the track's). `origin` is
`client:<program>`, or `import:<service>` for a listen that Maloja imported itself. Older exports have artists and title
in the scrobble itself, not in a `track`.
"""

from typing import Any

from resources.sources.records.listen import (
    Listen,
    Malformed,
    find_listener,
    free_text,
    instant,
    ms_of,
    optional_text,
    required_text,
)

NAME = "maloja"
EXPORT = "Maloja"


def recognize(record: dict[str, Any]) -> bool:
    """Return whether a record has the keys of this format."""
    track = record.get("track", record)
    return "time" in record and isinstance(track, dict) and "artists" in track and "title" in track


def parse(record: dict[str, Any], listener: str | None) -> Listen:
    """Parse a listen. The file does not name its listener."""
    user_id = find_listener(listener)
    track = record.get("track", record)
    if not isinstance(track, dict):
        raise Malformed("track is not an object")
    return Listen(
        user_id=user_id,
        listened_at=instant(record.get("time"), "time"),
        ms_played=ms_of(record.get("duration")),
        source=NAME,
        time_zone=None,
        artist_name=_artists(track.get("artists")),
        recording_name=required_text(track.get("title"), "title"),
        release_name=_album(track.get("album")),
        recording_mbid=None,
        artist_mbids=(),
        isrc=None,
        source_ref=None,
        client=_client(record.get("origin")),
    )


def _artists(names: object) -> str:
    """Join the artists to a credit: Maloja does not store the original joining words."""
    artists = [required_text(name, "artists") for name in names] if isinstance(names, list) else []
    return ", ".join(artists) or required_text(names if isinstance(names, str) else None, "artists")


def _album(album: object) -> str | None:
    if isinstance(album, dict):
        return optional_text(album.get("albumtitle", album.get("name")), "album")
    return optional_text(album, "album")


def _client(origin: object) -> str | None:
    """Return the program that submitted the listen, or `import:<service>`, which is a feed of its own."""
    client = free_text(origin)
    return (client.removeprefix("client:").strip() or None) if client else None
