"""MusicBrainz's API: recordings, artists, releases and release groups.

`lookup` returns one entity by its id. `browse` returns pages of entities that belong to another, and `search` pages of
entities that match words. The answer for an id that was merged into another has that other id. Documented at
https://musicbrainz.org/doc/MusicBrainz_API. Programs may send one request per second and must identify themselves:
https://musicbrainz.org/doc/MusicBrainz_API/Rate_Limiting.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from resources.errors import TuttiError
from resources.services.api import Page, Record
from resources.services.web import AGENT, Retry, Web, agent_of, host_of, is_here
from resources.sources.formats.musicbrainz import ARTISTS, RECORDINGS, RELEASE_GROUPS, RELEASES, Kind

NAME = "musicbrainz"
URL = "https://musicbrainz.org"
PAGE_SIZE = 100  # entities: the service's maximum; its default is 25
MIN_INTERVAL_S = 1.0  # between requests
CONTACT = "Set TUTTI_MUSICBRAINZ_CONTACT to your e-mail address or web page."
LOOKUP_INCLUDES: Mapping[Kind, Sequence[str]] = {
    RECORDINGS: ("artist-credits", "isrcs", "releases", "tags", "genres"),
    ARTISTS: ("tags", "genres"),
    RELEASES: ("artist-credits", "release-groups", "media", "tags", "genres"),
    RELEASE_GROUPS: ("artist-credits", "tags", "genres"),
}
"""The related data that a lookup includes."""
BROWSE_INCLUDES: Mapping[Kind, Sequence[str]] = {
    **LOOKUP_INCLUDES,
    RECORDINGS: ("artist-credits", "isrcs", "tags", "genres"),
}
"""The related data that pages include: those of recordings cannot include releases."""

T = TypeVar("T")


class Answer(NamedTuple):
    """The answer for an id: the entity, or None if the service does not know it."""

    asked: str
    record: Record | None

    @property
    def merged(self) -> bool:
        """Return whether the requested id was merged into another."""
        return self.record is not None and self.record["id"] != self.asked


def connect(environ: Mapping[str, str], log: Callable[[str], object]) -> "MusicBrainz":
    """Connect with the settings in environment variables.

    Raises `TuttiError` if a setting is invalid, or if the URL is the real service's and there is no contact.
    """
    url = environ.get("TUTTI_MUSICBRAINZ_URL", "").strip() or URL
    user_agent = agent(url, agent_of(environ), environ.get("TUTTI_MUSICBRAINZ_CONTACT", ""))
    interval = min_interval_s(url, environ.get("TUTTI_MUSICBRAINZ_MIN_INTERVAL_S", ""))
    return MusicBrainz(Web("MusicBrainz", url, agent=user_agent, min_interval_s=interval, log=log))


class MusicBrainz:
    """A client of MusicBrainz, or of another service with the same API."""

    NAME = NAME

    def __init__(self, web: Web, page_size: int = PAGE_SIZE) -> None:
        self._web, self._page_size = web, page_size

    @property
    def mirror_host(self) -> str | None:
        """Return the host of the service if it is not MusicBrainz's own, otherwise None."""
        return None if self._web.url == URL else self._web.host

    def lookup(self, kind: Kind, mbid: str, include: Sequence[str] | None = None) -> Answer:
        """Return an entity by its id. Raises `TuttiError` if the id is not a UUID or the service fails."""
        asked = _mbid(mbid)

        def read(status: int, value: Any) -> Answer:
            if status == 404 and _error_text(value):
                return Answer(asked, None)
            return Answer(asked, _entity(self._answer(status, value)))

        return self._get(f"/ws/2/{kind.path}/{asked}", {"inc": _joined(include, LOOKUP_INCLUDES[kind])}, read)

    def browse(
        self, kind: Kind, of: Kind, mbid: str, include: Sequence[str] | None = None, offset: int = 0
    ) -> Iterator[Page]:
        """Yield pages of the entities of a kind that belong to another; a page's cursor is the offset of the next."""
        query = {of.path: _mbid(mbid), "inc": _joined(include, BROWSE_INCLUDES[kind])}
        return self._pages(kind, query, offset, f"{kind.path}-count")

    def search(self, kind: Kind, query: str, offset: int = 0) -> Iterator[Page]:
        """Yield pages of the entities that match a query, the best match first.

        The syntax is https://musicbrainz.org/doc/Indexed_Search_Syntax. Merged entities are found only by their new id.
        Raises `TuttiError` if the query is empty.
        """
        if not query.strip():
            raise TuttiError("the search query for MusicBrainz is empty. Enter at least one word.")
        return self._pages(kind, {"query": query}, offset, "count")

    def _pages(self, kind: Kind, query: Mapping[str, str], offset: int, counted: str) -> Iterator[Page]:
        at: int | None = offset
        listed = f"{kind.path}s"
        while at is not None:
            place = at

            def read(status: int, value: Any, place: int = place) -> tuple[list[Record], int]:
                if status == 404 and _error_text(value):
                    return [], 0
                answer = self._answer(status, value)
                records, count = answer.get(listed), answer.get(counted)
                if not isinstance(records, list) or type(count) is not int:
                    raise Retry("a page without its total")
                if not records and place < count:
                    raise Retry("an empty page although there are entities")
                return [_entity(record) for record in records], count

            path = f"/ws/2/{kind.path}"
            records, count = self._get(path, {**query, "limit": self._page_size, "offset": place}, read)
            at = place + len(records) if records and place + len(records) < count else None
            yield Page(records, at)

    def _get(self, path: str, query: Mapping[str, str | int], read: Callable[[int, Any], T]) -> T:
        """Request a path and return the result of `read` for the answer."""
        return self._web.get(path, {"fmt": "json", **query}, read)

    def _answer(self, status: int, value: Any) -> Record:
        """Return a usable answer. Raises `Again` for temporary errors and `TuttiError` for permanent ones."""
        if status == 200 and isinstance(value, dict) and "error" not in value:
            return value
        if status == 200:
            raise Retry("an answer in an unknown format")
        message = self._web.shown(_error_text(value) or status)
        if status in (401, 403):
            raise TuttiError(f"MusicBrainz denies access ({message}). {CONTACT}")
        if status == 404:
            raise TuttiError(f"no MusicBrainz API at {self._web.host} ({message}). Check TUTTI_MUSICBRAINZ_URL.")
        raise TuttiError(f"MusicBrainz refused the request ({status} {message}). Check TUTTI_MUSICBRAINZ_URL.")


def agent(url: str, configured: str | None, contact: str) -> str | None:
    """Return the user agent that MusicBrainz requires: a program and a contact address.

    `configured` is the operator's user agent. Raises `TuttiError` if the contact is not printable ASCII, or if it is
    missing and the URL is the real service's.
    """
    contact = contact.strip()
    if not contact.isascii() or not contact.isprintable():
        raise TuttiError(
            "invalid TUTTI_MUSICBRAINZ_CONTACT: it must be printable ASCII in one line, for example ada@example.org."
        )
    if is_real(url) and not contact and not (configured and ("@" in configured or "://" in configured)):
        raise TuttiError(f"MusicBrainz requires a contact address. {CONTACT}")
    return f"{configured or AGENT} ( {contact} )" if contact else configured


def min_interval_s(url: str, configured: str) -> float:
    """Return the minimum number of seconds between two requests.

    `configured` is the setting. The real service's limit of one second always holds. The default for a mirror on this
    machine is 0, for another mirror one second. Raises `TuttiError` if the setting is not a number from 0 to 3600.
    """
    try:
        seconds = float(configured) if configured.strip() else None
    except ValueError:
        seconds = -1.0
    if seconds is not None and not 0 <= seconds <= 3600:
        raise TuttiError(
            f"invalid TUTTI_MUSICBRAINZ_MIN_INTERVAL_S: {configured[:20]!r}. "
            "Expected seconds from 0 to 3600, such as 0.2."
        )
    if is_real(url):
        return max(MIN_INTERVAL_S, seconds or 0.0)
    if seconds is not None:
        return seconds
    return 0.0 if is_here(url) else MIN_INTERVAL_S


def is_real(url: str) -> bool:
    """Return whether an address is MusicBrainz's own."""
    host = host_of(url)
    return host == "musicbrainz.org" or host.endswith(".musicbrainz.org")


def _mbid(text: str) -> str:
    try:
        return str(UUID(text))
    except (ValueError, AttributeError, TypeError):
        raise TuttiError(f"invalid MusicBrainz id: {ascii(text)[:50]}. Expected a UUID.") from None


def _joined(include: Sequence[str] | None, usual: Sequence[str]) -> str:
    return " ".join(usual if include is None else include)


def _entity(value: Any) -> Record:
    """Return a record with its id in lower case. Raises `Again` if it has no valid id."""
    try:
        return {**value, "id": str(UUID(value["id"]))}
    except (ValueError, AttributeError, KeyError, TypeError):
        raise Retry("an entity without its id") from None


def _error_text(value: Any) -> str:
    return str(value["error"]) if isinstance(value, dict) and value.get("error") else ""
