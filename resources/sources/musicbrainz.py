"""MusicBrainz recordings, as its web service and its JSON dumps give them.

Source of the schema: https://musicbrainz.org/doc/MusicBrainz_API, `/ws/2/recording/{mbid}?fmt=json` with
artist-credits, releases, isrcs and annotation.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from resources.sources.json_records import parsed
from resources.sources.listen import LONGEST_PLAY_MS


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording and whom it is credited to."""

    recording_id: str
    title: str
    artist_credit: str
    artist_ids: list[str]
    release_id: str | None
    length_ms: int | None
    isrcs: list[str]
    first_release_date: str | None
    provenance: str


def recordings(path: Path) -> Iterator[Recording | tuple[int, str]]:
    """The recordings in a file of one JSON object a line; for a line that is none, its number and the reason."""
    return parsed(path, "artist-credit", parse)


def parse(told: Mapping[str, Any]) -> Recording:
    """A recording as MusicBrainz tells it. Raises `KeyError`, `TypeError` or `ValueError` where it is none."""
    credit = told["artist-credit"]
    releases = sorted(told.get("releases") or [], key=lambda r: (r.get("date") or "9999", r["id"]))
    return Recording(
        recording_id=str(UUID(told["id"])),
        title=_text(told["title"]),
        artist_credit=_text("".join(c["name"] + (c.get("joinphrase") or "") for c in credit)),
        artist_ids=[str(UUID(c["artist"]["id"])) for c in credit],
        release_id=str(UUID(releases[0]["id"])) if releases else None,
        length_ms=_length(told["length"]) if told.get("length") is not None else None,
        isrcs=[_text(i) for i in told.get("isrcs") or []],
        first_release_date=_text(told["first-release-date"]) if told.get("first-release-date") else None,
        provenance=_text(told.get("annotation") or "MusicBrainz"),
    )


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("empty name")
    value.encode()  # half a character fits no table
    return value


def _length(ms: float) -> int:
    if not 0 <= ms <= LONGEST_PLAY_MS:
        raise ValueError("a length that is none")
    return int(ms)
