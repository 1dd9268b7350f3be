"""LRCLIB's lyrics, one answer of its API per line. Source of the schema: https://lrclib.net/docs, `/api/get`.

Three fields are not LRCLIB's: `recording_mbid` is the requested recording, `fetched_at` the time of the request, and
`language` (ISO 639-1) the language of the words. If LRCLIB has no lyrics, the line is its answer with "statusCode" 404
and the requested names.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from resources.sources.formats import lrc
from resources.sources.readers.json_records import parse_file
from resources.sources.records.lyrics import INSTRUMENTAL, LRCLIB, NOT_FOUND, WORDS, Lyrics

LANGUAGE = re.compile(r"[a-z]{2}")


def lyrics(path: Path) -> Iterator[Lyrics | tuple[str, str]]:
    """Yield the lyrics in a file of JSON lines, or the position of an invalid record and the reason."""
    return parse_file(path, "trackName", parse)


def parse(answer: Mapping[str, Any]) -> Lyrics:
    """Parse an answer of LRCLIB. One without words counts as not found unless it is marked as instrumental.

    Raises `KeyError`, `TypeError` or `ValueError` if it is invalid.
    """
    recording = str(UUID(answer["recording_mbid"])) if answer.get("recording_mbid") else None
    fetched_at = _instant(answer["fetched_at"]) if answer.get("fetched_at") else None
    names = _text(answer["trackName"]), _text(answer["artistName"])
    if answer.get("statusCode") == 404:
        if recording is None or fetched_at is None:
            raise ValueError("a 404 answer without recording_mbid or fetched_at")
        lyrics_id = f"{LRCLIB}/-/{recording}"
        return Lyrics(lyrics_id, LRCLIB, None, recording, *names, NOT_FOUND, fetched_at=fetched_at)
    if type(answer["id"]) is not int:
        raise TypeError("id is not a number")
    origin = str(answer["id"])
    plain, timed = (lrc.parse(_text(answer.get(words) or "")) for words in ("plainLyrics", "syncedLyrics"))
    text = plain.text or timed.text
    instrumental = answer.get("instrumental") or (timed if timed.text else plain).instrumental
    language = answer.get("language")
    status = INSTRUMENTAL if instrumental else WORDS if text else NOT_FOUND
    return Lyrics(
        lyrics_id=f"{LRCLIB}/{origin}" + (f"/{recording}" if recording else ""),
        source=LRCLIB,
        origin=origin,
        recording_id=recording,
        title=names[0],
        artist_credit=names[1],
        status=status,
        text=text if status == WORDS else None,
        lrc=lrc.write(timed) if status == WORDS and timed.synced else None,
        language=language if status == WORDS and LANGUAGE.fullmatch(language or "") else None,
        fetched_at=fetched_at,
    )


def _instant(text: str) -> datetime:
    """Parse an ISO 8601 time to UTC. Raises `TypeError` or `ValueError` if it is invalid."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:
        raise ValueError("not in the years 1 to 9999") from None


def _text(value: str) -> str:
    """Return a text with invalid characters replaced. Raises `TypeError` if it is not text."""
    if not isinstance(value, str):
        raise TypeError("not text")
    return value.encode("utf-8", "replace").decode()
