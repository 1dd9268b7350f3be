"""JSPF playlists, with or without MusicBrainz's extension, and XSPF playlists after `xspf` has read them.

Source: https://www.xspf.org/jspf, https://musicbrainz.org/doc/jspf. The id of a playlist is its identifier. If it has
none, the id is a UUIDv5 of its title and tracks, so that the same file gives the same id everywhere.
"""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from resources.sources.readers.json_records import Envelope, Record
from resources.sources.records.listen import MAX_PLAY_MS, Malformed, free_text, mbid, optional_text
from resources.sources.records.playlist import Track

NAME = "jspf"
EXPORT = "JSPF or XSPF"

PATH = ("playlist", "track")
NAMESPACE = uuid.UUID("5f0a6ee8-3f6c-4a86-9a53-50f0a4f3f6d1")  # changing it changes ids of playlists without identifier
RECORDING = re.compile(r"https?://(?:beta\.)?musicbrainz\.org/recording/([0-9a-fA-F-]{36})/?")
MAX_TRACKS = 100_000  # kept in memory until the playlist ends: Spotify allows 10,000
TOO_MANY = f"the playlist has more than {MAX_TRACKS:,} tracks"


def with_playlist(records: Iterator[Record]) -> Iterator[Record]:
    """Add the fields of the playlist and the position to each track. Other records are yielded unchanged.

    Tracks are held back until the playlist has been read to its end, since its title may follow them.
    """
    waiting: list[Record] = []
    for record in records:
        if waiting and record.envelope is not waiting[0].envelope:
            yield from _tracks(waiting)
            waiting = []
        if record.envelope and record.envelope.path == PATH and len(waiting) == MAX_TRACKS:
            yield record._replace(value=None, reason=TOO_MANY)
        elif record.envelope and record.envelope.path == PATH:
            waiting.append(record)
        else:
            yield record
    yield from _tracks(waiting)


def _tracks(records: list[Record]) -> Iterator[Record]:
    if not records or records[0].envelope is None:
        return
    header = _header(records[0].envelope)
    playlist_id = _id(header, records)
    source = records[0].envelope.header.get("source", NAME)
    for position, record in enumerate(records, 1):
        if record.value is None:
            yield record
        else:
            playlist = {"playlist": header, "playlist_id": playlist_id, "source": source, "position": position}
            yield record._replace(value=playlist | {"track": record.value})


def _header(envelope: Envelope) -> dict[str, Any]:
    header = envelope.header.get("playlist")
    return header if isinstance(header, dict) else {}


def _id(header: dict[str, Any], records: list[Record]) -> str:
    identifier = free_text(_first(header.get("identifier")))
    if identifier:
        return identifier
    parts = [free_text(header.get("title")) or "", free_text(header.get("creator")) or ""]
    for record in records:
        track = record.value or {}
        parts += [free_text(_first(track.get(name))) or "" for name in ("identifier", "creator", "title", "album")]
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(parts)))


def is_track(record: dict[str, Any]) -> bool:
    """Return whether an object of a broken document looks like a track."""
    return "title" in record and ("creator" in record or "identifier" in record)


def recognize(record: dict[str, Any]) -> bool:
    """Return whether a record is a track that `with_playlist` has prepared."""
    kinds = {"playlist": dict, "playlist_id": str, "source": str, "position": int, "track": dict}
    return all(isinstance(record.get(name), kind) for name, kind in kinds.items())


def parse(record: dict[str, Any], listener: str | None) -> Track:
    """Parse a track that `with_playlist` has prepared."""
    if not recognize(record):
        raise Malformed("not a track of a playlist")
    header, track = record["playlist"], record["track"]
    parsed = Track(
        playlist_id=record["playlist_id"],
        title=optional_text(header.get("title"), "title"),
        creator=optional_text(header.get("creator"), "creator"),
        user_id=listener,
        position=record["position"],
        recording_mbid=_recording(track.get("identifier")),
        artist_name=optional_text(track.get("creator"), "creator"),
        recording_name=optional_text(track.get("title"), "title"),
        release_name=optional_text(track.get("album"), "album"),
        duration_ms=_duration(track.get("duration")),
        created_at=_date(header.get("date")),
        source=record["source"],
    )
    if not (parsed.recording_mbid or parsed.recording_name):
        raise Malformed("both title and MusicBrainz recording are missing")
    return parsed


def _first(value: object) -> object:
    return next(iter(value), None) if isinstance(value, list) else value


def _recording(identifiers: object) -> str | None:
    """Return the first recording MBID in identifiers, which are addresses or (as Troi writes) MBIDs."""
    for value in identifiers if isinstance(identifiers, list) else [identifiers]:
        if isinstance(value, str):
            address = RECORDING.fullmatch(value.strip())
            if recording := mbid(address[1] if address else value):
                return recording
    return None


def _duration(ms: object) -> int | None:
    return ms if type(ms) is int and 0 < ms <= MAX_PLAY_MS else None


def _date(value: object) -> datetime | None:
    """Parse an XML date and time, without a zone as UTC. Return None if it is invalid."""
    try:
        at = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
        if at and at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        return at.astimezone(UTC) if at else None
    except (ValueError, OverflowError):
        return None
