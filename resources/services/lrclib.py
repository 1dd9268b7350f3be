"""LRCLIB's API: the lyrics of a track, by its names and length. Documented at https://lrclib.net/docs.

It knows no key and states no limit; it asks programs to say who they are. An instrumental, a track that it does not
know and a failure are three answers: a record, `None`, and an error.
"""

from collections.abc import Callable, Mapping
from typing import Any

from resources.errors import TuttiError
from resources.services.api import Record
from resources.services.web import Again, Web, agent_of, is_here

NAME = "lrclib"
URL = "https://lrclib.net"
PACE = 0.5  # seconds between requests: it may ask others for what it does not know
LONGEST = 1_000  # letters of a name: none has as many, and an address must not


class Refused(TuttiError):
    """What the service does not take as a question. The next track may be asked for."""


def connect(environ: Mapping[str, str], log: Callable[[str], object]) -> "LrcLib":
    """Connect as the environment variables say."""
    url = environ.get("TUTTI_LRCLIB_URL") or URL
    return LrcLib(Web("LRCLIB", url, agent=agent_of(environ), pace=pace(url), log=log))


class LrcLib:
    """The service at an address, or one that speaks as it does."""

    NAME = NAME

    def __init__(self, web: Web) -> None:
        self._web = web

    def get(self, title: str, artist: str, album: str | None = None, length_ms: int | None = None) -> Record | None:
        """The record of a track, whose length is within two seconds of what is told; None where there is none.

        Where the service does not know it, it looks elsewhere, which takes a while. Raises `Refused` for what is no
        name, `TuttiError` with what to do.
        """

        def read(status: int, value: Any) -> Record | None:
            if status == 404 and isinstance(value, dict) and value.get("name") == "TrackNotFound":
                return None
            if status != 200:
                self._refuse(status, value)
            if not _is_record(value):
                raise Again("an answer of another form")
            return value

        return self._web.get("/api/get", _query(title, artist, album, length_ms), read)

    def _refuse(self, status: int, value: Any) -> None:
        """Raise what asking again does not mend."""
        told = value.get("message") if isinstance(value, dict) else None
        said = f"{status} {self._web.shown(told)}" if told else str(status)
        if status in (400, 414, 422):
            raise Refused(f"LRCLIB does not take this for a track ({said})")
        raise TuttiError(f"there is no LRCLIB at {self._web.url} ({said}): check TUTTI_LRCLIB_URL")


def _query(title: str, artist: str, album: str | None, length_ms: int | None) -> dict[str, str | int]:
    """A track as the service is asked for it. Raises `Refused` for what is no name."""
    names = {"track_name": title.strip(), "artist_name": artist.strip()}
    if not all(0 < len(name) <= LONGEST for name in names.values()):
        raise Refused("LRCLIB is asked for a title and an artist, each of a letter at least and a thousand at most")
    query: dict[str, str | int] = {**names}
    if album and album.strip():
        query["album_name"] = album.strip()[:LONGEST]
    if length_ms is not None:
        query["duration"] = round(length_ms / 1000)
    return query


def _is_record(value: Any) -> bool:
    """Whether an answer has what a record has."""
    return (
        isinstance(value, dict)
        and type(value.get("id")) is int
        and all(isinstance(value.get(name), str) for name in ("trackName", "artistName"))
        and isinstance(value.get("instrumental"), bool)
        and isinstance(value.get("duration"), int | float)
        and all(isinstance(value.get(name), str | None) for name in ("plainLyrics", "syncedLyrics"))
    )


def pace(url: str) -> float:
    """Seconds between two requests: one that runs on this machine may be asked at once."""
    return 0.0 if is_here(url) else PACE
