"""Maloja's export: `maloja_export_<time>.json`, a document whose `scrobbles` are listens.

`time` is the UTC second of the start, `duration` the seconds that were heard (`length` is the track's), and `origin`
who sent it: `client:<program>`, or `import:<service>` for what was itself imported. Older exports name artists and
title without a `track` around them.
"""

from typing import Any

from resources.sources.records.listen import Listen, Malformed, instant, ms_of, needed, text, whose

NAME = "maloja"
EXPORT = "Maloja"


def recognize(record: dict[str, Any]) -> bool:
    """Whether a record has the shape of this format; it may lack what a listen needs."""
    track = record.get("track", record)
    return "time" in record and isinstance(track, dict) and "artists" in track and "title" in track


def parse(record: dict[str, Any], listener: str | None) -> Listen:
    """The listen a record tells of; the file does not name its listener."""
    user_id = whose(listener)
    track = record.get("track", record)
    if not isinstance(track, dict):
        raise Malformed("no track")
    return Listen(
        user_id=user_id,
        listened_at=instant(record.get("time"), "time"),
        ms_played=ms_of(record.get("duration")),
        source=NAME,
        time_zone=None,
        artist_name=_artists(track.get("artists")),
        recording_name=needed(track.get("title"), "title"),
        release_name=_album(track.get("album")),
        recording_mbid=None,
        artist_mbids=(),
        isrc=None,
        source_ref=None,
        client=_client(record.get("origin")),
    )


def _artists(names: object) -> str:
    """The credit: Maloja keeps the artists and forgets what joined them."""
    found = [needed(name, "artists") for name in names] if isinstance(names, list) else []
    return ", ".join(found) or needed(names if isinstance(names, str) else None, "artists")


def _album(album: object) -> str | None:
    if isinstance(album, dict):
        return text(album.get("albumtitle", album.get("name")), "album")
    return text(album, "album")


def _client(origin: object) -> str | None:
    """What sent it; what was imported is a feed of its own, by the service it came from."""
    try:
        told = text(origin, "origin")
    except Malformed:
        return None
    return (told.removeprefix("client:").strip() or None) if told else None
