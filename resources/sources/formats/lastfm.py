"""Answers of Last.fm's and Libre.fm's API: `user.getRecentTracks` and `user.getLovedTracks`, as pages or JSON lines.

Source: https://www.last.fm/api. A page may have a single track in place of a list, and the track playing now, which is
not yet a listen. `mbid` is not read: it may be the id of a track or of nothing, and an artist's that of a namesake.
A line names its listener in `user_name`, a page in `@attr`.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from resources.sources.records.feedback import LOVE, Feedback
from resources.sources.records.listen import (
    Listen,
    Malformed,
    SkippedRecord,
    find_listener,
    instant,
    optional_text,
    parse_number,
    required_text,
)

NAME, LIBRE = "lastfm", "librefm"
EXPORT = "Last.fm"

LIBRE_FM = re.compile(r"https?://(?:[\w-]+\.)*libre\.fm/")


def _of_page(track: dict[str, Any], header: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a track of a page in the form of a line, with the listener of the page."""
    page = header.get(key, header)
    attributes = page.get("@attr") if isinstance(page, dict) else None
    user = attributes.get("user") if isinstance(attributes, dict) else None
    return {"user_name": user, **track} if isinstance(user, str) else dict(track)


def _recent(track: dict[str, Any], header: dict[str, Any]) -> dict[str, Any]:
    """Return a listen of a page, without the love of its track, which is not part of the listen."""
    return {key: value for key, value in _of_page(track, header, "recenttracks").items() if key != "loved"}


def _loved(track: dict[str, Any], header: dict[str, Any]) -> dict[str, Any]:
    return _of_page(track, header, "lovedtracks") | {"loved": "1"}


PAGES: Mapping[tuple[str, ...], Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]] = {
    ("recenttracks", "track"): _recent,
    ("track",): _recent,
    ("lovedtracks", "track"): _loved,
}
"""By the path of tracks in a document, the function that makes a record of each."""


def recognize(record: dict[str, Any]) -> bool:
    """Return whether a record has the keys of this format."""
    artist = record.get("artist")
    named = isinstance(artist, dict) and ("#text" in artist or "name" in artist) and "name" in record
    return named and any(key in record for key in ("date", "@attr", "loved"))


def parse(record: dict[str, Any], listener: str | None) -> Listen | Feedback:
    """Parse a listen or the love of a track. `listener` takes precedence over the record's `user_name`."""
    user_id = find_listener(listener, record, "user_name")
    attributes = record.get("@attr") or {}
    if isinstance(attributes, dict) and str(attributes.get("nowplaying")).lower() == "true" and not record.get("date"):
        raise SkippedRecord("a track that is still playing")
    artist, url = record.get("artist"), record.get("url")
    by_name = artist if isinstance(artist, dict) else {"#text": artist}
    artist_name = required_text(by_name.get("#text", by_name.get("name")), "artist")
    recording_name = required_text(record.get("name"), "name")
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
        release_name=optional_text(album.get("#text") if isinstance(album, dict) else album, "album"),
        recording_mbid=None,
        artist_mbids=(),
        isrc=None,
        source_ref=None,
        client=None,
    )


def _date(value: object) -> datetime:
    uts = parse_number(value.get("uts")) if isinstance(value, dict) else None
    if uts is None:
        raise Malformed("date is missing")
    return instant(uts, "uts")
