"""JSPF playlists, with MusicBrainz's extension and without. XSPF, the same in XML, comes here as well.

Source: https://www.xspf.org/jspf, https://musicbrainz.org/doc/jspf. A playlist is known by its identifier; one without
by a UUID of its title and tracks, so that the same file gives the same id everywhere.
"""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from resources.sources.readers.json_records import Envelope, Record
from resources.sources.records.listen import LONGEST_PLAY_MS, Malformed, mbid, text
from resources.sources.records.playlist import Track

NAME = "jspf"
EXPORT = "JSPF or XSPF"

PATH = ("playlist", "track")
NAMESPACE = uuid.UUID("5f0a6ee8-3f6c-4a86-9a53-50f0a4f3f6d1")  # ours; changing it renames playlists without identifier
RECORDING = re.compile(r"https?://(?:beta\.)?musicbrainz\.org/recording/([0-9a-fA-F-]{36})/?")
MOST_TRACKS = 100_000  # held until the playlist has ended; Spotify allows 10,000
TOO_MANY = f"beyond the {MOST_TRACKS:,} tracks that a playlist may have"


def held(records: Iterator[Record]) -> Iterator[Record]:
    """The same records, those of a playlist once all that is said of it has been read, each with its place in it."""
    waiting: list[Record] = []
    for record in records:
        if waiting and record.around is not waiting[0].around:
            yield from _placed(waiting)
            waiting = []
        if record.around and record.around.path == PATH and len(waiting) == MOST_TRACKS:
            yield record._replace(value=None, reason=TOO_MANY)
        elif record.around and record.around.path == PATH:
            waiting.append(record)
        else:
            yield record
    yield from _placed(waiting)


def _placed(records: list[Record]) -> Iterator[Record]:
    if not records or records[0].around is None:
        return
    header = _header(records[0].around)
    playlist_id = _id(header, records)
    source = records[0].around.header.get("source", NAME)
    for place, record in enumerate(records, 1):
        if record.value is None:
            yield record
        else:
            told = {"playlist": header, "playlist_id": playlist_id, "source": source, "position": place}
            yield record._replace(value=told | {"track": record.value})


def _header(around: Envelope) -> dict[str, Any]:
    header = around.header.get("playlist")
    return header if isinstance(header, dict) else {}


def _id(header: dict[str, Any], records: list[Record]) -> str:
    identifier = _or_none(_first(header.get("identifier")))
    if identifier:
        return identifier
    told = [_or_none(header.get("title")) or "", _or_none(header.get("creator")) or ""]
    for record in records:
        track = record.value or {}
        told += [_or_none(_first(track.get(name))) or "" for name in ("identifier", "creator", "title", "album")]
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(told)))


def is_track(record: dict[str, Any]) -> bool:
    """Whether an object among others may be a track."""
    return "title" in record and ("creator" in record or "identifier" in record)


def recognize(record: dict[str, Any]) -> bool:
    """Whether a record is a track with its playlist, as `held` has placed it."""
    kinds = {"playlist": dict, "playlist_id": str, "source": str, "position": int, "track": dict}
    return all(isinstance(record.get(name), kind) for name, kind in kinds.items())


def parse(record: dict[str, Any], listener: str | None) -> Track:
    """The track of a record that `held` has placed."""
    if not recognize(record):
        raise Malformed("it is no track of a playlist")
    header, track = record["playlist"], record["track"]
    found = Track(
        playlist_id=record["playlist_id"],
        title=text(header.get("title"), "title"),
        creator=text(header.get("creator"), "creator"),
        user_id=listener,
        position=record["position"],
        recording_mbid=_recording(track.get("identifier")),
        artist_name=text(track.get("creator"), "creator"),
        recording_name=text(track.get("title"), "title"),
        release_name=text(track.get("album"), "album"),
        duration_ms=_duration(track.get("duration")),
        created_at=_date(header.get("date")),
        source=record["source"],
    )
    if not (found.recording_mbid or found.recording_name):
        raise Malformed("neither a title nor a MusicBrainz recording")
    return found


def _first(value: object) -> object:
    return next(iter(value), None) if isinstance(value, list) else value


def _or_none(value: object) -> str | None:
    try:
        return text(value, "")
    except Malformed:
        return None


def _recording(identifiers: object) -> str | None:
    """The recording that an identifier names: by its address, or (as Troi writes) by its MBID alone."""
    for value in identifiers if isinstance(identifiers, list) else [identifiers]:
        if isinstance(value, str):
            address = RECORDING.fullmatch(value.strip())
            if found := mbid(address[1] if address else value):
                return found
    return None


def _duration(ms: object) -> int | None:
    return ms if type(ms) is int and 0 < ms <= LONGEST_PLAY_MS else None


def _date(value: object) -> datetime | None:
    """An XML date and time; one without a zone counts as UTC, any that is none as absent."""
    try:
        found = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
        if found and found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        return found.astimezone(UTC) if found else None
    except (ValueError, OverflowError):
        return None
