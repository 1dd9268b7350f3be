"""Mock Last.fm: scrobbles and loved tracks in the format of its API, which has numbers as text."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote_plus

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from resources.sandbox.http.accounts import LOVED, Account, AccountListen, Accounts, Record
from resources.sandbox.http.faults import EMPTY

DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 50, 200
STATUS = {6: 400, 10: 403, 17: 403, 26: 403, 29: 429, 8: 500, 11: 503, 16: 503}
SIZES = ("small", "medium", "large", "extralarge")
SUSPENDED = "suspended"  # the API key that is refused; any other is accepted


class Refused(Exception):
    """An error of the API, with its code and HTTP status."""

    def __init__(self, code: int, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code, self.status = code, status or STATUS[code]


class PageRequest(NamedTuple):
    """The requested page of a list, counted from 1, and its size."""

    page: int
    limit: int


def routes(accounts: Accounts) -> list[Route]:
    """Return the routes of Last.fm's API."""

    async def answer(request: Request) -> JSONResponse:
        try:
            return JSONResponse(_answer(accounts, request))
        except Refused as refused:
            return JSONResponse({"error": refused.code, "message": str(refused)}, refused.status)

    return [Route("/2.0/", answer)]


def _answer(accounts: Accounts, request: Request) -> Record:
    query = request.query_params
    if query.get("format") != "json":
        raise Refused(6, "Invalid parameters - the sandbox supports only format=json")
    if not query.get("api_key"):
        raise Refused(10, "Invalid API key - You must be granted a valid key by last.fm")
    if query["api_key"] == SUSPENDED:
        raise Refused(26, "API Key Suspended - This application is not allowed to make requests to the web services")
    account = accounts.find(query.get("user", ""))
    if account is None:
        raise Refused(6, "User not found", 404)
    size = min(MAX_PAGE_SIZE, _number(request, "limit", DEFAULT_PAGE_SIZE)) or DEFAULT_PAGE_SIZE
    requested = PageRequest(max(1, _number(request, "page", 1)), size)
    match query.get("method", "").lower():
        case "user.getrecenttracks":
            return _recent(account, request, requested)
        case "user.getlovedtracks":
            loved = [opinion for opinion in account.opinions if opinion.score == LOVED]
            tracks = [_loved(opinion.listen, opinion.created) for opinion in loved]
            return {"lovedtracks": _page(account, tracks, requested, request)}
        case _:
            raise Refused(6, "Invalid Method - No method with that name in this package")


def _recent(account: Account, request: Request, requested: PageRequest) -> Record:
    if account.private:
        raise Refused(17, "Login: User required to be logged in")
    since, until = _number(request, "from", 0), _number(request, "to", 1 << 40)
    listens = [listen for listen in account.listens if since <= listen.listened_at < until]
    page = _page(account, [_scrobble(listen, listen.listened_at) for listen in listens], requested, request)
    if account.playing:
        tracks = page["track"] if isinstance(page["track"], list) else [page["track"]]
        page["track"] = [_scrobble(account.playing, None), *tracks]
    return {"recenttracks": page}


def _page(account: Account, tracks: Sequence[Record], requested: PageRequest, request: Request) -> Record:
    first = (requested.page - 1) * requested.limit
    shown = [] if request.scope.get(EMPTY) else list(tracks[first : first + requested.limit])
    pages = -(-len(tracks) // requested.limit)
    paging = {"page": requested.page, "perPage": requested.limit, "totalPages": pages, "total": len(tracks)}
    attributes = {"user": account.name, **paging}
    # A list of one item becomes the item, as in Libre.fm.
    track = shown[0] if len(shown) == 1 else shown
    return {"track": track, "@attr": {key: str(value) for key, value in attributes.items()}}


def _scrobble(listen: AccountListen, at: int | None) -> Record:
    """Return a scrobble or, if `at` is None, the track that is playing."""
    artist = {"mbid": _first_artist_mbid(listen), "#text": listen.artist}
    album = {"mbid": "", "#text": listen.release or ""}
    when = {"@attr": {"nowplaying": "true"}} if at is None else {"date": _date(at)}
    return {"artist": artist, "album": album, "streamable": "0", **_common(listen), **when}


def _loved(listen: AccountListen, at: int) -> Record:
    artist = {
        "name": listen.artist,
        "mbid": _first_artist_mbid(listen),
        "url": f"https://www.last.fm/music/{quote_plus(listen.artist)}",
    }
    return {"artist": artist, "date": _date(at), "streamable": {"fulltrack": "0", "#text": "0"}, **_common(listen)}


def _common(listen: AccountListen) -> Record:
    url = f"https://www.last.fm/music/{quote_plus(listen.artist)}/_/{quote_plus(listen.title)}"
    images = [{"size": size, "#text": ""} for size in SIZES]
    return {"name": listen.title, "mbid": listen.recording_mbid or "", "url": url, "image": images}


def _first_artist_mbid(listen: AccountListen) -> str:
    return listen.artist_mbids[0] if listen.artist_mbids else ""


def _date(at: int) -> Record:
    return {"uts": str(at), "#text": f"{datetime.fromtimestamp(at, UTC):%d %b %Y, %H:%M}"}


def _number(request: Request, name: str, default: int) -> int:
    value = request.query_params.get(name) or str(default)
    if not value.isdecimal():
        raise Refused(6, f"Invalid parameters - {name} must be a positive integer")
    return int(value)
