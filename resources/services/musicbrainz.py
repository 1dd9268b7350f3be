"""MusicBrainz's API: what it tells of recordings, artists, releases and release groups.

One entity is looked up by its id; entities that belong to another are browsed, and found by words, in pages. An id that
was merged into another leads there: the answer then has another id than was asked for. Documented at
https://musicbrainz.org/doc/MusicBrainz_API, with the rule that it may be asked once a second by programs that say who
they are, https://musicbrainz.org/doc/MusicBrainz_API/Rate_Limiting.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from resources.errors import TuttiError
from resources.services.api import Page, Record
from resources.services.web import AGENT, Again, Web, agent_of, host_of, is_here
from resources.sources.formats.musicbrainz import ARTISTS, RECORDINGS, RELEASE_GROUPS, RELEASES, Kind

NAME = "musicbrainz"
URL = "https://musicbrainz.org"
MOST = 100  # entities on a page: what the service allows; it gives 25 unless asked
PACE = 1.0  # seconds between requests
CONTACT = "set TUTTI_MUSICBRAINZ_CONTACT to an address it can write to, your e-mail or a page of yours"
LOOKED_UP: Mapping[Kind, Sequence[str]] = {
    RECORDINGS: ("artist-credits", "isrcs", "releases", "tags", "genres"),
    ARTISTS: ("tags", "genres"),
    RELEASES: ("artist-credits", "release-groups", "media", "tags", "genres"),
    RELEASE_GROUPS: ("artist-credits", "tags", "genres"),
}
"""What an answer is to include."""
BROWSED: Mapping[Kind, Sequence[str]] = {**LOOKED_UP, RECORDINGS: ("artist-credits", "isrcs", "tags", "genres")}
"""The same of pages: recordings do not tell their releases there."""

T = TypeVar("T")


class Answer(NamedTuple):
    """What the service says of an id: the entity, or None where it knows none."""

    asked: str
    record: Record | None

    @property
    def merged(self) -> bool:
        """Whether the id that was asked for is now part of another."""
        return self.record is not None and self.record["id"] != self.asked


def connect(environ: Mapping[str, str], log: Callable[[str], object]) -> "MusicBrainz":
    """Connect as the environment variables say.

    Raises `TuttiError` if the URL is that of the real service and no contact is given.
    """
    url = environ.get("TUTTI_MUSICBRAINZ_URL", "").strip() or URL
    who = agent(url, agent_of(environ), environ.get("TUTTI_MUSICBRAINZ_CONTACT", ""))
    interval = pace(url, environ.get("TUTTI_MUSICBRAINZ_MIN_INTERVAL_S", ""))
    return MusicBrainz(Web("MusicBrainz", url, agent=who, pace=interval, log=log))


class MusicBrainz:
    """The service at an address, or one that speaks as it does."""

    NAME = NAME

    def __init__(self, web: Web, most: int = MOST) -> None:
        self._web, self._most = web, most

    @property
    def elsewhere(self) -> str | None:
        """The host that is asked, where that is not MusicBrainz's own."""
        return None if self._web.url == URL else self._web.host

    def lookup(self, kind: Kind, mbid: str, include: Sequence[str] | None = None) -> Answer:
        """An entity by its id. Raises `TuttiError` for what is no id, or with what to do."""
        asked = _mbid(mbid)

        def read(status: int, value: Any) -> Answer:
            if status == 404 and _said(value):
                return Answer(asked, None)
            return Answer(asked, _entity(self._answer(status, value)))

        return self._get(f"/ws/2/{kind.path}/{asked}", {"inc": _joined(include, LOOKED_UP[kind])}, read)

    def browse(
        self, kind: Kind, of: Kind, mbid: str, include: Sequence[str] | None = None, offset: int = 0
    ) -> Iterator[Page]:
        """The entities of a kind that belong to another, page by page; a page's cursor is the offset of the next."""
        query = {of.path: _mbid(mbid), "inc": _joined(include, BROWSED[kind])}
        return self._pages(kind, query, offset, f"{kind.path}-count")

    def search(self, kind: Kind, words: str, offset: int = 0) -> Iterator[Page]:
        """The entities of a kind that words find, in the syntax of https://musicbrainz.org/doc/Indexed_Search_Syntax.

        The best comes first. What was merged is found under its new id alone.
        """
        if not words.strip():
            raise TuttiError("MusicBrainz is to search for nothing: name a word")
        return self._pages(kind, {"query": words}, offset, "count")

    def _pages(self, kind: Kind, query: Mapping[str, str], offset: int, counted: str) -> Iterator[Page]:
        at: int | None = offset
        listed = f"{kind.path}s"
        while at is not None:
            place = at

            def read(status: int, value: Any, place: int = place) -> tuple[list[Record], int]:
                if status == 404 and _said(value):
                    return [], 0
                answer = self._answer(status, value)
                records, count = answer.get(listed), answer.get(counted)
                if not isinstance(records, list) or type(count) is not int:
                    raise Again("a page that does not say of how many it is")
                if not records and place < count:
                    raise Again("an empty page where there are entities")
                return [_entity(record) for record in records], count

            path = f"/ws/2/{kind.path}"
            records, count = self._get(path, {**query, "limit": self._most, "offset": place}, read)
            at = place + len(records) if records and place + len(records) < count else None
            yield Page(records, at)

    def _get(self, path: str, query: Mapping[str, str | int], read: Callable[[int, Any], T]) -> T:
        """Return what `read` makes of the service's answer."""
        return self._web.get(path, {"fmt": "json", **query}, read)

    def _answer(self, status: int, value: Any) -> Record:
        """The answer, if it is one. Raises `TuttiError` for what asking again does not mend."""
        if status == 200 and isinstance(value, dict) and "error" not in value:
            return value
        if status == 200:
            raise Again("an answer of another form")
        said = self._web.shown(_said(value) or status)
        if status in (401, 403):
            raise TuttiError(f"MusicBrainz refuses us ({said}): {CONTACT}")
        if status == 404:
            raise TuttiError(f"there is no MusicBrainz at {self._web.host} ({said}): check TUTTI_MUSICBRAINZ_URL")
        raise TuttiError(f"MusicBrainz does not answer what we ask ({status} {said}): check what is asked for")


def agent(url: str, named: str | None, contact: str) -> str | None:
    """Who asks, as MusicBrainz wants to be told: a program and an address to write to.

    `named` is how the user has programs call themselves. Raises `TuttiError` where the real service is to be asked and
    there is no address, or where what is given does not fit into a line.
    """
    contact = contact.strip()
    if not contact.isascii() or not contact.isprintable():
        raise TuttiError("TUTTI_MUSICBRAINZ_CONTACT is no address: write it in plain letters, as in ada@example.org")
    if is_real(url) and not contact and not (named and ("@" in named or "://" in named)):
        raise TuttiError(f"MusicBrainz wants to know who asks: {CONTACT}")
    return f"{named or AGENT} ( {contact} )" if contact else named


def pace(url: str, wanted: str) -> float:
    """Seconds between two requests: the rule of the real service holds whatever is wanted of a mirror.

    A mirror on this machine may be asked at once, one elsewhere once a second, unless `wanted` says how often. Raises
    `TuttiError` for what is no number of seconds.
    """
    try:
        seconds = float(wanted) if wanted.strip() else None
    except ValueError:
        seconds = -1.0
    if seconds is not None and not 0 <= seconds <= 3600:
        raise TuttiError(
            "TUTTI_MUSICBRAINZ_MIN_INTERVAL_S is no number of seconds between requests: write it as 1 or 0.2"
        )
    if is_real(url):
        return max(PACE, seconds or 0.0)
    if seconds is not None:
        return seconds
    return 0.0 if is_here(url) else PACE


def is_real(url: str) -> bool:
    """Whether an address is MusicBrainz's own."""
    host = host_of(url)
    return host == "musicbrainz.org" or host.endswith(".musicbrainz.org")


def _mbid(text: str) -> str:
    try:
        return str(UUID(text))
    except (ValueError, AttributeError, TypeError):
        raise TuttiError(f"{ascii(text)[:50]} is no MusicBrainz id: it looks like a UUID") from None


def _joined(include: Sequence[str] | None, usual: Sequence[str]) -> str:
    return " ".join(usual if include is None else include)


def _entity(value: Any) -> Record:
    """A record with an id, written as ours are."""
    try:
        return {**value, "id": str(UUID(value["id"]))}
    except (ValueError, AttributeError, KeyError, TypeError):
        raise Again("an entity without its id") from None


def _said(value: Any) -> str:
    return str(value["error"]) if isinstance(value, dict) and value.get("error") else ""
