"""LRCLIB's API: the lyrics of a track, by its names and length. Documented at https://lrclib.net/docs.

The service needs no key and documents no rate limit; it asks programs to identify themselves. An instrumental is a
record, a track that it does not have is `None`, and a failure is an error.
"""

from collections.abc import Callable, Mapping
from typing import Any

from resources.errors import TuttiError
from resources.services.api import Record
from resources.services.web import Retry, Web, agent_of, is_here

NAME = "lrclib"
URL = "https://lrclib.net"
MIN_INTERVAL_S = 0.5  # between requests: for an unknown track the service asks other services
MAX_NAME_CHARS = 1_000  # of a title or an artist, so that addresses stay short


class Refused(TuttiError):
    """The service refuses the request for this track. Requests for other tracks may succeed."""


def connect(environ: Mapping[str, str], log: Callable[[str], object]) -> "LrcLib":
    """Connect with the settings in environment variables."""
    url = environ.get("TUTTI_LRCLIB_URL") or URL
    return LrcLib(Web("LRCLIB", url, agent=agent_of(environ), min_interval_s=min_interval_s(url), log=log))


class LrcLib:
    """A client of LRCLIB, or of another service with the same API."""

    NAME = NAME

    def __init__(self, web: Web) -> None:
        self._web = web

    def get(self, title: str, artist: str, album: str | None = None, length_ms: int | None = None) -> Record | None:
        """Return the record of a track, or None if the service has none.

        If `length_ms` is given, the record's length is within two seconds of it. For an unknown track the service asks
        other services, which takes a while. Raises `Refused` if a name is empty or too long or the service refuses the
        request, and `TuttiError` if the service fails.
        """

        def read(status: int, value: Any) -> Record | None:
            if status == 404 and isinstance(value, dict) and value.get("name") == "TrackNotFound":
                return None
            if status != 200:
                self._refuse(status, value)
            if not _is_record(value):
                raise Retry("an answer in an unknown format")
            return value

        return self._web.get("/api/get", _query(title, artist, album, length_ms), read)

    def _refuse(self, status: int, value: Any) -> None:
        """Raise the error of an answer that a retry would not change."""
        message = value.get("message") if isinstance(value, dict) else None
        shown = f"{status} {self._web.shown(message)}" if message else str(status)
        if status in (400, 414, 422):
            raise Refused(f"LRCLIB refused the request ({shown})")
        raise TuttiError(f"no LRCLIB API at {self._web.url} (status {shown}). Check TUTTI_LRCLIB_URL.")


def _query(title: str, artist: str, album: str | None, length_ms: int | None) -> dict[str, str | int]:
    """Return the query for a track. Raises `Refused` if a name is empty or too long."""
    names = {"track_name": title.strip(), "artist_name": artist.strip()}
    if not all(0 < len(name) <= MAX_NAME_CHARS for name in names.values()):
        raise Refused(f"LRCLIB needs a title and an artist of 1 to {MAX_NAME_CHARS:,} characters")
    query: dict[str, str | int] = {**names}
    if album and album.strip():
        query["album_name"] = album.strip()[:MAX_NAME_CHARS]
    if length_ms is not None:
        query["duration"] = round(length_ms / 1000)
    return query


def _is_record(value: Any) -> bool:
    """Return whether an answer has the fields of a record."""
    return (
        isinstance(value, dict)
        and type(value.get("id")) is int
        and all(isinstance(value.get(name), str) for name in ("trackName", "artistName"))
        and isinstance(value.get("instrumental"), bool)
        and isinstance(value.get("duration"), int | float)
        and all(isinstance(value.get(name), str | None) for name in ("plainLyrics", "syncedLyrics"))
    )


def min_interval_s(url: str) -> float:
    """Return the minimum number of seconds between two requests: 0 for a service on this machine."""
    return 0.0 if is_here(url) else MIN_INTERVAL_S
