"""LRCLIB's face of the sandbox: lyrics of its world, in the shapes and words of the API.

The works that have open lyrics are known with their words, of every other recording also with times; those are
invented. Of the rest LRCLIB says that they are instrumental, or, of every third, that it does not know them.
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

NEAR = 2.0  # seconds by which a length may differ
UNKNOWN = {"message": "Failed to find specified track", "name": "TrackNotFound", "statusCode": 404}
BREATH = re.compile(r"(?<=[,;:.!?])\s+")  # where singers take one
LINE_LENGTH = 80  # characters: scores have their verses in one line each, which are longer


def of_world(recordings: Iterable[Recording]) -> list[Record]:
    """What LRCLIB knows of the recordings of a world: always the same of the same."""
    found = []
    for number, recording in enumerate(recordings, start=1):
        chance = UUID(recording.id).int
        record = world.lrclib(number, recording)
        if recording.work.lyrics:
            lines = [line for long in recording.work.lyrics.split("\n") for line in _sung(long)]
            timed = _timed(lines, recording.length_ms) if chance % 2 else None
            found.append(record | {"plainLyrics": "\n".join(lines), "syncedLyrics": timed})
        elif chance % 3:
            found.append(record)
    return found


def routes(records: Sequence[Record]) -> list[Route]:
    """The paths under which LRCLIB answers."""
    by_names: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        by_names.setdefault((_key(record["trackName"]), _key(record["artistName"])), []).append(record)

    async def get(request: Request) -> JSONResponse:
        query = request.query_params
        if missing := [name for name in ("track_name", "artist_name") if not query.get(name)]:
            return _wrong(f"missing field `{missing[0]}`")
        try:
            seconds = float(query["duration"]) if query.get("duration") else None
        except ValueError:
            return _wrong("duration: invalid float literal")
        if request.scope.get(EMPTY):
            return JSONResponse(None)
        for record in by_names.get((_key(query["track_name"]), _key(query["artist_name"])), []):
            near = seconds is None or abs(record["duration"] - seconds) <= NEAR
            if near and (not query.get("album_name") or _key(query["album_name"]) == _key(record["albumName"])):
                return JSONResponse(record)
        return JSONResponse(UNKNOWN, 404)

    return [Route("/api/get", get)]


def _sung(line: str) -> list[str]:
    """Divide a verse into the lines in which it is sung; a line stays as it is."""
    return BREATH.split(line) if len(line) > LINE_LENGTH else [line]


def _timed(lines: Sequence[str], length_ms: int) -> str:
    """Lines with times, evenly from the tenth to the last of a recording's tenths, as LRCLIB writes them."""
    step = length_ms * 0.8 / len(lines) / 1000
    stamps = (divmod(length_ms / 10_000 + n * step, 60) for n in range(len(lines)))
    return "\n".join(f"[{int(m):02}:{s:05.2f}] {line}" for (m, s), line in zip(stamps, lines, strict=True))


def _key(name: str) -> str:
    """A name as it is compared."""
    return " ".join(name.casefold().split())


def _wrong(message: str) -> JSONResponse:
    return JSONResponse({"message": message, "name": "ValidationError", "statusCode": 400}, 400)
