"""Last.fm's API, and that of Libre.fm: `user.getRecentTracks` and `user.getLovedTracks`, as pages or line by line.

Source: https://www.last.fm/api. A page may hold one track that is no list, and the track playing now, which is not yet
a listen. `mbid` is left where it is: it may be that of a track or of nothing, and an artist's that of a namesake.
A line of its own says whose it is (`user_name`); a page says it beside its tracks (`@attr`).
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from resources.sources.records.feedback import LOVE, Feedback
from resources.sources.records.listen import Listen, Malformed, PassedOver, as_number, instant, needed, text, whose

NAME, LIBRE = "lastfm", "librefm"
EXPORT = "Last.fm"

LIBRE_FM = re.compile(r"https?://(?:[\w-]+\.)*libre\.fm/")


def _of_page(track: dict[str, Any], header: dict[str, Any], key: str) -> dict[str, Any]:
    """A track of a page as a line of its own would have it."""
    around = header.get(key, header)
    told = around.get("@attr") if isinstance(around, dict) else None
    user = told.get("user") if isinstance(told, dict) else None
    return {"user_name": user, **track} if isinstance(user, str) else dict(track)


def _recent(track: dict[str, Any], header: dict[str, Any]) -> dict[str, Any]:
    """A listen of a page; whether its track is loved as well, which a page may tell, is not its own business."""
    return {key: value for key, value in _of_page(track, header, "recenttracks").items() if key != "loved"}


def _loved(track: dict[str, Any], header: dict[str, Any]) -> dict[str, Any]:
    return _of_page(track, header, "lovedtracks") | {"loved": "1"}


PAGES: Mapping[tuple[str, ...], Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]] = {
    ("recenttracks", "track"): _recent,
    ("track",): _recent,
    ("lovedtracks", "track"): _loved,
}
"""What makes a record of a track in a document, by where the track is."""


def recognize(record: dict[str, Any]) -> bool:
    """Whether a record has the shape of this format; it may lack what a listen needs."""
    artist = record.get("artist")
    named = isinstance(artist, dict) and ("#text" in artist or "name" in artist) and "name" in record
    return named and any(key in record for key in ("date", "@attr", "loved"))


def parse(record: dict[str, Any], listener: str | None) -> Listen | Feedback:
    """The listen, or the love, that a track tells of; the listener given goes before the record's own `user_name`."""
    user_id = whose(listener, record, "user_name")
    told = record.get("@attr")
    if isinstance(told, dict) and str(told.get("nowplaying")).lower() == "true" and not record.get("date"):
        raise PassedOver("a track playing now, not yet listened to")
    artist, url = record.get("artist"), record.get("url")
    by_name = artist if isinstance(artist, dict) else {"#text": artist}
    artist_name = needed(by_name.get("#text", by_name.get("name")), "artist")
    recording_name = needed(record.get("name"), "name")
    source = LIBRE if isinstance(url, str) and LIBRE_FM.match(url) else NAME
    if str(record.get("loved")) == "1" and "#text" not in by_name:
        return Feedback(
            user_id=user_id,
            recording_mbid=None,
            recording_msid=None,
            artist_name=artist_name,
            recording_name=recording_name,
            score=LOVE,
            created_at=_date(record["date"]) if record.get("date") else None,
            source=source,
        )
    album = record.get("album")
    return Listen(
        user_id=user_id,
        listened_at=_date(record.get("date")),
        ms_played=None,
        source=source,
        time_zone=None,
        artist_name=artist_name,
        recording_name=recording_name,
        release_name=text(album.get("#text") if isinstance(album, dict) else album, "album"),
        recording_mbid=None,
        artist_mbids=(),
        isrc=None,
        source_ref=None,
        client=None,
    )


def _date(value: object) -> datetime:
    uts = as_number(value.get("uts")) if isinstance(value, dict) else None
    if uts is None:
        raise Malformed("no date")
    return instant(uts, "uts")
