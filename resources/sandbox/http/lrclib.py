"""Mock LRCLIB: lyrics of a world, in the format of its API.

Works with open lyrics have their words, and every other recording of them also has invented times. Of the other
recordings a third is unknown, the rest is instrumental.
"""

import re
from collections.abc import Iterable, Sequence
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from resources.sandbox import world
from resources.sandbox.http.accounts import Record
from resources.sandbox.http.faults import EMPTY
from resources.sandbox.performers import Recording

MAX_DURATION_DIFFERENCE_S = 2.0
UNKNOWN = {"message": "Failed to find specified track", "name": "TrackNotFound", "statusCode": 404}
PHRASE_END = re.compile(r"(?<=[,;:.!?])\s+")
MAX_LINE_CHARS = 80  # longer lines are whole verses of a score


def of_world(recordings: Iterable[Recording]) -> list[Record]:
    """Return LRCLIB's records of a world's recordings. The result is deterministic."""
    records = []
    for number, recording in enumerate(recordings, start=1):
        number_of_id = UUID(recording.id).int
        record = world.lrclib(number, recording)
        if recording.work.lyrics:
            lines = [line for long in recording.work.lyrics.split("\n") for line in _sung(long)]
            timed = _timed(lines, recording.length_ms) if number_of_id % 2 else None
            records.append(record | {"plainLyrics": "\n".join(lines), "syncedLyrics": timed})
        elif number_of_id % 3:
            records.append(record)
    return records


def routes(records: Sequence[Record]) -> list[Route]:
    """Return the routes of LRCLIB's API."""
    by_names: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        by_names.setdefault((_key(record["trackName"]), _key(record["artistName"])), []).append(record)

    async def get(request: Request) -> JSONResponse:
        query = request.query_params
        if missing := [name for name in ("track_name", "artist_name") if not query.get(name)]:
            return _invalid(f"missing field `{missing[0]}`")
        try:
            seconds = float(query["duration"]) if query.get("duration") else None
        except ValueError:
            return _invalid("duration: invalid float literal")
        if request.scope.get(EMPTY):
            return JSONResponse(None)
        for record in by_names.get((_key(query["track_name"]), _key(query["artist_name"])), []):
            near = seconds is None or abs(record["duration"] - seconds) <= MAX_DURATION_DIFFERENCE_S
            if near and (not query.get("album_name") or _key(query["album_name"]) == _key(record["albumName"])):
                return JSONResponse(record)
        return JSONResponse(UNKNOWN, 404)

    return [Route("/api/get", get)]


def _sung(line: str) -> list[str]:
    """Split a verse into lines. Short lines are returned unchanged."""
    return PHRASE_END.split(line) if len(line) > MAX_LINE_CHARS else [line]


def _timed(lines: Sequence[str], length_ms: int) -> str:
    """Format lines with times in LRC, evenly over the middle 80 % of a recording."""
    step = length_ms * 0.8 / len(lines) / 1000
    stamps = (divmod(length_ms / 10_000 + n * step, 60) for n in range(len(lines)))
    return "\n".join(f"[{int(m):02}:{s:05.2f}] {line}" for (m, s), line in zip(stamps, lines, strict=True))


def _key(name: str) -> str:
    """Return a name in its form for comparison."""
    return " ".join(name.casefold().split())


def _invalid(message: str) -> JSONResponse:
    return JSONResponse({"message": message, "name": "ValidationError", "statusCode": 400}, 400)
