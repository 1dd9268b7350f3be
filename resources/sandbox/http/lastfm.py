"""Last.fm's face of the sandbox: scrobbles and loved tracks in the shapes of its API, numbers as text and all."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote_plus

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from resources.sandbox.http.accounts import LOVED, Account, Accounts, Heard, Record
from resources.sandbox.http.faults import EMPTY

USUAL, MOST = 50, 200  # tracks on a page, unless asked; at most
STATUS = {6: 400, 10: 403, 17: 403, 26: 403, 29: 429, 8: 500, 11: 503, 16: 503}
SIZES = ("small", "medium", "large", "extralarge")
SUSPENDED = "suspended"  # a key that is; every other that is not empty will do


class Refused(Exception):
    """An error of the API, by its number."""

    def __init__(self, code: int, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code, self.status = code, status or STATUS[code]


class Asked(NamedTuple):
    """Which page of a list is asked for."""

    page: int
    limit: int


def routes(accounts: Accounts) -> list[Route]:
    """The path under which Last.fm answers."""

    async def answer(request: Request) -> JSONResponse:
        try:
            return JSONResponse(_answer(accounts, request))
        except Refused as refused:
            return JSONResponse({"error": refused.code, "message": str(refused)}, refused.status)

    return [Route("/2.0/", answer)]


def _answer(accounts: Accounts, request: Request) -> Record:
    query = request.query_params
    if query.get("format") != "json":
        raise Refused(6, "Invalid parameters - the sandbox speaks JSON alone")
    if not query.get("api_key"):
        raise Refused(10, "Invalid API key - You must be granted a valid key by last.fm")
    if query["api_key"] == SUSPENDED:
        raise Refused(26, "API Key Suspended - This application is not allowed to make requests to the web services")
    account = accounts.find(query.get("user", ""))
    if account is None:
        raise Refused(6, "User not found", 404)
    asked = Asked(max(1, _number(request, "page", 1)), min(MOST, _number(request, "limit", USUAL)) or USUAL)
    match query.get("method", "").lower():
        case "user.getrecenttracks":
            return _recent(account, request, asked)
        case "user.getlovedtracks":
            loved = [opinion for opinion in account.opinions if opinion.score == LOVED]
            tracks = [_loved(opinion.of, opinion.created) for opinion in loved]
            return {"lovedtracks": _page(account, tracks, asked, request)}
        case _:
            raise Refused(6, "Invalid Method - No method with that name in this package")


def _recent(account: Account, request: Request, asked: Asked) -> Record:
    if account.private:
        raise Refused(17, "Login: User required to be logged in")
    since, until = _number(request, "from", 0), _number(request, "to", 1 << 40)
    heard = [listen for listen in account.heard if since <= listen.listened_at < until]
    page = _page(account, [_scrobble(listen, listen.listened_at) for listen in heard], asked, request)
    if account.playing:
        tracks = page["track"] if isinstance(page["track"], list) else [page["track"]]
        page["track"] = [_scrobble(account.playing, None), *tracks]
    return {"recenttracks": page}


def _page(account: Account, tracks: Sequence[Record], asked: Asked, request: Request) -> Record:
    first = (asked.page - 1) * asked.limit
    shown = [] if request.scope.get(EMPTY) else list(tracks[first : first + asked.limit])
    told = {"page": asked.page, "perPage": asked.limit, "totalPages": -(-len(tracks) // asked.limit)}
    attributes = {"user": account.name, **told, "total": len(tracks)}
    # A list of one is written as the one, as Libre.fm does.
    track = shown[0] if len(shown) == 1 else shown
    return {"track": track, "@attr": {key: str(value) for key, value in attributes.items()}}


def _scrobble(heard: Heard, at: int | None) -> Record:
    """A track as it was heard, or (at None) as it plays just now."""
    artist, album = {"mbid": _first(heard), "#text": heard.artist}, {"mbid": "", "#text": heard.release or ""}
    when = {"@attr": {"nowplaying": "true"}} if at is None else {"date": _date(at)}
    return {"artist": artist, "album": album, "streamable": "0", **_common(heard), **when}


def _loved(heard: Heard, at: int) -> Record:
    artist = {
        "name": heard.artist,
        "mbid": _first(heard),
        "url": f"https://www.last.fm/music/{quote_plus(heard.artist)}",
    }
    return {"artist": artist, "date": _date(at), "streamable": {"fulltrack": "0", "#text": "0"}, **_common(heard)}


def _common(heard: Heard) -> Record:
    url = f"https://www.last.fm/music/{quote_plus(heard.artist)}/_/{quote_plus(heard.title)}"
    images = [{"size": size, "#text": ""} for size in SIZES]
    return {"name": heard.title, "mbid": heard.recording_mbid or "", "url": url, "image": images}


def _first(heard: Heard) -> str:
    return heard.artist_mbids[0] if heard.artist_mbids else ""


def _date(at: int) -> Record:
    return {"uts": str(at), "#text": f"{datetime.fromtimestamp(at, UTC):%d %b %Y, %H:%M}"}


def _number(request: Request, name: str, usual: int) -> int:
    value = request.query_params.get(name) or str(usual)
    if not value.isdecimal():
        raise Refused(6, f"Invalid parameters - {name} must be a positive integer")
    return int(value)
