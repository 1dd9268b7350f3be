"""LRCLIB lyrics, as its API gives them. Source of the schema: https://lrclib.net/docs, `/api/get`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from resources.sources.json_records import parsed


@dataclass(frozen=True, slots=True)
class Lyrics:
    """The words of a recording, or that it has none."""

    lyrics_id: int
    recording_id: str | None
    title: str
    artist_credit: str
    language: str | None
    instrumental: bool
    text: str | None


def lyrics(path: Path) -> Iterator[Lyrics | tuple[int, str]]:
    """The lyrics in a file of one JSON object a line; for a line that holds none, its number and the reason."""
    return parsed(path, "trackName", parse)


def parse(told: Mapping[str, Any]) -> Lyrics:
    """Lyrics as LRCLIB tells them; `recording_mbid` and `language` are ours, where whoever wrote the file knew.

    Raises `KeyError`, `TypeError` or `ValueError` where the record is none.
    """
    mbid = told.get("recording_mbid")
    return Lyrics(
        lyrics_id=_id(told["id"]),
        recording_id=str(UUID(mbid)) if mbid else None,
        title=_text(told["trackName"]),
        artist_credit=_text(told["artistName"]),
        language=_text(told["language"]) if told.get("language") else None,
        instrumental=bool(told.get("instrumental")),
        text=_text(told["plainLyrics"]) if told.get("plainLyrics") is not None else None,
    )


def _id(value: int) -> int:
    if not 0 <= value < 1 << 63:
        raise ValueError("an id that is none")
    return int(value)


def _text(value: str) -> str:
    value.encode()  # half a character fits no table
    return value
