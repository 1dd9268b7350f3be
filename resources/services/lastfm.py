"""Last.fm's API: scrobbles and loved tracks of a user, page by page. Libre.fm and others offer the same API.

Pages are numbered from the newest track, so they shift when the list changes. Requests have a fixed end time, and every
page contains the total number of tracks. If the total changes, the list is read again from its beginning. Documented at
https://www.last.fm/api/show/user.getRecentTracks.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from resources.errors import TuttiError
from resources.services.api import MAX_CHANGES, Api, Cursor, Page, Record, checked_user_name, read_settled
from resources.services.web import Retry, Unanswered, Web, agent_of

NAME = "lastfm"
URL = "https://ws.audioscrobbler.com/2.0/"
PAGE_SIZE = 200  # tracks: the service's maximum
MIN_INTERVAL_S = 0.2  # between requests: more than five a second are too many

TEMPORARY_ERRORS = {8: "it failed", 11: "it is closed for maintenance", 16: "it is busy", 29: "too many requests"}
KEY = "Set TUTTI_LASTFM_API_KEY to a key from https://www.last.fm/api/accounts."
PERMANENT_ERRORS = {
    10: f"rejects the API key. {KEY}",
    17: "does not show this user's listens, which are private. The user can change that under Settings, Privacy.",
    26: f"has suspended the API key. {KEY}",
}


def connect(environ: Mapping[str, str], log: Callable[[str], object]) -> Api:
    """Connect with the settings in environment variables. Raises `TuttiError` if there is no API key."""
    key = environ.get("TUTTI_LASTFM_API_KEY", "").strip()
    if not key:
        raise TuttiError(f"Last.fm requires an API key. {KEY}")
    url = environ.get("TUTTI_LASTFM_URL") or URL
    return LastFm(
        Web("Last.fm", url, secrets=[key], agent=agent_of(environ), min_interval_s=MIN_INTERVAL_S, log=log), key
    )


class LastFm:
    """A client of Last.fm, or of another service with the same API."""

    NAME = NAME

    def __init__(self, web: Web, key: str, page_size: int = PAGE_SIZE) -> None:
        self._web, self._key, self._page_size = web, key, page_size

    def listens(self, user: str, since: int, until: int, cursor: Cursor | None = None) -> Iterator[Page]:
        """Yield pages of the scrobbles of [since, until), newest first, as `Api.listens`.

        It is not documented whether the service's bounds are inclusive, so requests ask for one more second on either
        side.
        """
        user, at = checked_user_name(user), _Place(*cursor) if cursor else _Place()
        while True:
            query = {"from": max(0, since - 1), "to": until, "extended": 0}
            tracks = self._tracks("recenttracks", "user.getRecentTracks", user, at.page, query)
            seen, last = at.seen + len(tracks.records), at.page >= tracks.pages
            if tracks.total != (tracks.total if at.total is None else at.total) or (last and seen > tracks.total):
                if at.changes == MAX_CHANGES:
                    raise Unanswered(f"the scrobbles of {user} on Last.fm change faster than Tutti reads. Try later.")
                at = _Place(changes=at.changes + 1)
                continue
            if last and seen < tracks.total:
                self._web.log(f"{NAME}: Last.fm counts {tracks.total:,} tracks of {user}, but returned {seen:,}")
            at = _Place(at.page + 1, tracks.total, seen, at.changes)
            # A track without a valid date is left for the import to quarantine.
            selected = [t for t in tracks.records if (uts := _date(t)) is None or since <= uts < until]
            yield Page([{**t, "user_name": tracks.user or user} for t in selected], None if last else list(at))
            if last:
                return

    def feedback(self, user: str) -> list[Record]:
        """Return the tracks that the user loves, oldest first."""
        user = checked_user_name(user)
        unsettled = f"the loved tracks of {user} on Last.fm change faster than Tutti reads. Try later."
        return read_settled(lambda: self._all_feedback(user), _date, unsettled)

    def _all_feedback(self, user: str) -> list[Record] | None:
        """Return all loved tracks, or None if they changed while they were read."""
        loved, page, first = list[Record](), 1, None
        while True:
            tracks = self._tracks("lovedtracks", "user.getLovedTracks", user, page, {})
            if tracks.total != (first := tracks.total if first is None else first):
                return None
            loved += ({**t, "loved": "1", "user_name": tracks.user or user} for t in tracks.records)
            if page >= tracks.pages:
                break
            page += 1
        if len(loved) != first:
            self._web.log(f"{NAME}: Last.fm counts {first:,} loved tracks of {user}, but returned {len(loved):,}")
        return loved

    def _tracks(self, root: str, method: str, user: str, page: int, query: dict[str, int]) -> "_Tracks":
        """Request a page of tracks, without the one that is playing now."""

        def read(status: int, value: Any) -> _Tracks:
            answer = self._answer(user, status, value).get(root)
            if not isinstance(answer, dict) or not isinstance(answer.get("@attr"), dict):
                raise Retry("an answer without tracks")
            attributes, tracks = answer["@attr"], answer.get("track") or []
            total, pages, number = (_as_int(attributes.get(key)) for key in ("total", "totalPages", "page"))
            if total is None or pages is None or number is None:
                raise Retry("a page without its number and total")
            records = [tracks] if isinstance(tracks, dict) else tracks  # a single track is not in a list
            if not isinstance(records, list) or not all(isinstance(track, dict) for track in records):
                raise Retry("a page without tracks")
            records = [track for track in records if not _playing(track)]
            if total and (number != page or not records):
                raise Retry("an empty page although there are tracks" if number == page else "another page")
            size, name = _as_int(attributes.get("perPage")) or self._page_size, attributes.get("user")
            return _Tracks(records, total, pages, size, name if isinstance(name, str) else "")

        common: dict[str, str | int] = {"method": method, "user": user, "api_key": self._key, "format": "json"}
        asked = common | {"limit": self._page_size, "page": page} | query
        tracks = self._web.get("/", asked, read)
        expected = min(tracks.size, max(0, tracks.total - (page - 1) * tracks.size))
        if len(tracks.records) < expected or not tracks.total:  # a short page is accepted if it comes twice
            again = self._web.get("/", asked, read)
            tracks = max(tracks, again, key=lambda answer: len(answer.records))
        return tracks

    def _answer(self, user: str, status: int, value: Any) -> dict[str, Any]:
        """Return a usable answer. Raises `Again` for temporary errors and `TuttiError` for permanent ones."""
        if isinstance(value, dict) and (code := _as_int(value.get("error"))) is not None:
            message = self._web.shown(value.get("message", ""))
            if code in TEMPORARY_ERRORS:
                raise Retry(f"{TEMPORARY_ERRORS[code]} (error {code})")
            if code in PERMANENT_ERRORS:
                raise TuttiError(f"Last.fm {PERMANENT_ERRORS[code]}")
            if code == 6:
                raise TuttiError(f"Last.fm has no user {user!r} ({message}). Check the spelling of the name.")
            raise TuttiError(f"Last.fm refused the request (error {code}, {message}). Check the user name and the key.")
        if status == 200 and isinstance(value, dict):
            return value
        if status in (200, 400):  # Last.fm also answers 400 if it fails
            raise Retry(f"an answer in an unknown format ({status})")
        raise TuttiError(f"no Last.fm API at {self._web.url} (status {status}). Check TUTTI_LASTFM_URL.")


class _Place(NamedTuple):
    """A position in a list: the next page, the total, the tracks seen so far, and how often the list has changed."""

    page: int = 1
    total: int | None = None
    seen: int = 0
    changes: int = 0


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
    """Return when a track was played or loved, in seconds since 1970; None if it cannot be parsed."""
    date = track.get("date")
    return _as_int(date.get("uts")) if isinstance(date, dict) else None


def _as_int(value: object) -> int | None:
    """Parse a number, which Last.fm writes as text; return None if it is not one."""
    if type(value) is int:
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16 else None
