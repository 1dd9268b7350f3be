"""Last.fm's API: scrobbles and loved tracks of a user, page by page. Libre.fm and others speak the same.

Pages are numbered from the newest track on, so that they stand still only while the list does. What is asked for has
an end that does not move, and every page says how many tracks there are: where that changes, the list is read again
from its beginning. Documented at https://www.last.fm/api/show/user.getRecentTracks.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from resources.errors import TuttiError
from resources.services.api import MOVES, Api, Cursor, Page, Record, checked_user_name, settled
from resources.services.web import Again, Unanswered, Web, agent_of

NAME = "lastfm"
URL = "https://ws.audioscrobbler.com/2.0/"
MOST = 200  # tracks on a page: what the service allows
PACE = 0.2  # seconds between requests: more than five a second are too many

PASSING = {8: "it failed", 11: "it is closed for maintenance", 16: "it is busy", 29: "too many requests"}
KEY = "set TUTTI_LASTFM_API_KEY to one that https://www.last.fm/api/accounts shows"
LASTING = {
    10: f"takes the key for wrong: {KEY}",
    17: "keeps what this user hears private: the user can open it under Settings, Privacy",
    26: f"has suspended the key: {KEY}",
}


def connect(environ: Mapping[str, str], log: Callable[[str], object]) -> Api:
    """Connect as the environment variables say. Raises `TuttiError` if there is no API key."""
    key = environ.get("TUTTI_LASTFM_API_KEY", "").strip()
    if not key:
        raise TuttiError(f"Last.fm requires an API key: {KEY}")
    url = environ.get("TUTTI_LASTFM_URL") or URL
    return LastFm(Web("Last.fm", url, secrets=[key], agent=agent_of(environ), pace=PACE, log=log), key)


class LastFm:
    """The service at an address, or one that speaks as it does."""

    NAME = NAME

    def __init__(self, web: Web, key: str, most: int = MOST) -> None:
        self._web, self._key, self._most = web, key, most

    def listens(self, user: str, since: int, until: int, cursor: Cursor | None = None) -> Iterator[Page]:
        """The scrobbles of [since, until), newest first; `cursor` tells the page, and what was seen before it.

        Whether the service counts its own bounds in is not documented: it is asked for a second more on either side.
        """
        user, at = checked_user_name(user), _Place(*cursor) if cursor else _Place()
        while True:
            query = {"from": max(0, since - 1), "to": until, "extended": 0}
            tracks = self._tracks("recenttracks", "user.getRecentTracks", user, at.page, query)
            seen, last = at.seen + len(tracks.records), at.page >= tracks.pages
            if tracks.total != (tracks.total if at.total is None else at.total) or (last and seen > tracks.total):
                if at.moves == MOVES:
                    raise Unanswered(f"the list of {user} on Last.fm changes faster than it can be read: try later")
                at = _Place(moves=at.moves + 1)
                continue
            if last and seen < tracks.total:
                self._web.log(f"{NAME}: {tracks.total:,} tracks of {user} are counted, {seen:,} are shown")
            at = _Place(at.page + 1, tracks.total, seen, at.moves)
            # What has no date that can be read is for the import to quarantine.
            kept = [t for t in tracks.records if (uts := _date(t)) is None or since <= uts < until]
            yield Page([{**t, "user_name": tracks.user or user} for t in kept], None if last else list(at))
            if last:
                return

    def feedback(self, user: str) -> list[Record]:
        """The tracks the user loves, oldest first."""
        user = checked_user_name(user)
        unsettled = f"the loved tracks of {user} on Last.fm change faster than they can be read: try again later"
        return settled(lambda: self._whole_feedback(user), _date, unsettled)

    def _whole_feedback(self, user: str) -> list[Record] | None:
        """All loved tracks, or None if they changed while they were read."""
        found, page, first = list[Record](), 1, None
        while True:
            tracks = self._tracks("lovedtracks", "user.getLovedTracks", user, page, {})
            if tracks.total != (first := tracks.total if first is None else first):
                return None
            found += ({**t, "loved": "1", "user_name": tracks.user or user} for t in tracks.records)
            if page >= tracks.pages:
                break
            page += 1
        if len(found) != first:
            self._web.log(f"{NAME}: {first:,} loved tracks of {user} are counted, {len(found):,} are shown")
        return found

    def _tracks(self, root: str, method: str, user: str, page: int, query: dict[str, int]) -> "_Tracks":
        """A page of tracks, without what is playing just now."""

        def read(status: int, value: Any) -> _Tracks:
            told = self._answer(user, status, value).get(root)
            if not isinstance(told, dict) or not isinstance(told.get("@attr"), dict):
                raise Again("an answer without tracks")
            attributes, tracks = told["@attr"], told.get("track") or []
            total, pages, number = (_whole(attributes.get(key)) for key in ("total", "totalPages", "page"))
            if total is None or pages is None or number is None:
                raise Again("a page that does not say which it is, and of how many")
            records = [tracks] if isinstance(tracks, dict) else tracks  # one track comes without a list around it
            if not isinstance(records, list) or not all(isinstance(track, dict) for track in records):
                raise Again("a page without tracks")
            records = [track for track in records if not _playing(track)]
            if total and (number != page or not records):
                raise Again("an empty page where there are tracks" if number == page else "another page")
            size, name = _whole(attributes.get("perPage")) or self._most, attributes.get("user")
            return _Tracks(records, total, pages, size, name if isinstance(name, str) else "")

        who: dict[str, str | int] = {"method": method, "user": user, "api_key": self._key, "format": "json"}
        asked = who | {"limit": self._most, "page": page} | query
        tracks = self._web.get("/", asked, read)
        expected = min(tracks.size, max(0, tracks.total - (page - 1) * tracks.size))
        if len(tracks.records) < expected or not tracks.total:  # a page cut short, or none: believed the second time
            again = self._web.get("/", asked, read)
            tracks = max(tracks, again, key=lambda told: len(told.records))
        return tracks

    def _answer(self, user: str, status: int, value: Any) -> dict[str, Any]:
        """The answer, if it is one. Raises `TuttiError` for what asking again does not mend."""
        if isinstance(value, dict) and (code := _whole(value.get("error"))) is not None:
            said = self._web.shown(value.get("message", ""))
            if code in PASSING:
                raise Again(f"{PASSING[code]} (error {code})")
            if code in LASTING:
                raise TuttiError(f"Last.fm {LASTING[code]}")
            if code == 6:
                raise TuttiError(f"Last.fm knows no user {user!r} ({said}): check the spelling of the name")
            raise TuttiError(f"Last.fm does not answer what we ask (error {code}, {said}): check the name and the key")
        if status == 200 and isinstance(value, dict):
            return value
        if status in (200, 400):  # Last.fm says 400 when it is out of sorts, too
            raise Again(f"an answer of another form ({status})")
        raise TuttiError(f"there is no Last.fm at {self._web.url} ({status}): check TUTTI_LASTFM_URL")


class _Place(NamedTuple):
    """Where a list is being read: the page, and what the pages before it told and held."""

    page: int = 1
    total: int | None = None
    seen: int = 0
    moves: int = 0


class _Tracks(NamedTuple):
    records: list[Record]
    total: int
    pages: int
    size: int
    user: str


def _playing(track: Record) -> bool:
    attributes = track.get("@attr")
    return isinstance(attributes, dict) and attributes.get("nowplaying") in ("true", True) and "date" not in track


def _date(track: Record) -> int | None:
    """When a track was heard or loved, in seconds since 1970; None if that cannot be read."""
    date = track.get("date")
    return _whole(date.get("uts")) if isinstance(date, dict) else None


def _whole(value: object) -> int | None:
    """A number, which Last.fm writes as text."""
    if type(value) is int:
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16 else None
