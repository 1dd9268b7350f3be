"""LRCLIB lyrics, as its API gives them. Source of the schema: https://lrclib.net/docs, `/api/get`.

A file has a record a line, and may have what LRCLIB does not tell: `recording_mbid` says which recording was asked
for, `fetched_at` when, `language` (ISO 639-1) what is sung. Where LRCLIB knew none the line is its answer, "statusCode"
404, with the names that were asked for.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from resources.sources.formats import lrc
from resources.sources.readers.json_records import parsed
from resources.sources.records.lyrics import INSTRUMENTAL, LRCLIB, NOT_FOUND, WORDS, Lyrics

LANGUAGE = re.compile(r"[a-z]{2}")


def lyrics(path: Path) -> Iterator[Lyrics | tuple[int, str]]:
    """The lyrics in a file of one JSON object a line; for a line that holds none, its number and the reason."""
    return parsed(path, "trackName", parse)


def parse(told: Mapping[str, Any]) -> Lyrics:
    """Lyrics as LRCLIB tells them. A record without words that is not said to be instrumental is none of lyrics.

    Raises `KeyError`, `TypeError` or `ValueError` where the record is none.
    """
    recording = str(UUID(told["recording_mbid"])) if told.get("recording_mbid") else None
    fetched_at = _instant(told["fetched_at"]) if told.get("fetched_at") else None
    names = _text(told["trackName"]), _text(told["artistName"])
    if told.get("statusCode") == 404:
        if recording is None or fetched_at is None:
            raise ValueError("not found, but which recording, and when?")
        id = f"{LRCLIB}/-/{recording}"
        return Lyrics(id, LRCLIB, None, recording, *names, NOT_FOUND, fetched_at=fetched_at)
    if type(told["id"]) is not int:
        raise TypeError("an id that is no number")
    origin = str(told["id"])
    plain, timed = (lrc.parse(_text(told.get(words) or "")) for words in ("plainLyrics", "syncedLyrics"))
    text = plain.text or timed.text
    instrumental = told.get("instrumental") or (timed if timed.text else plain).instrumental
    language = told.get("language")
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
    """When something was asked. Raises `TypeError` or `ValueError` for what is no time."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:
        raise ValueError("before the first year, or after the last") from None


def _text(value: str) -> str:
    """A text that a table can hold. Raises `TypeError` for what is none."""
    if not isinstance(value, str):
        raise TypeError("not text")
    return value.encode("utf-8", "replace").decode()
