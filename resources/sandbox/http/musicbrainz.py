"""MusicBrainz's face of the sandbox: entities looked up, browsed and searched for, in the shapes of its web service.

What is not asked to be included is left out; ids that were merged redirect. Searching knows words, and fields of the
few that are listed, joined by AND.
"""

import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from resources.sandbox.entities import Entities, Record
from resources.sandbox.http.faults import EMPTY

USUAL, MOST = 25, 100  # entities on a page, unless asked; at most
HELP = "For usage, please see: https://musicbrainz.org/development/mmd"
OVER = JSONResponse(
    {
        "error": "Your requests are exceeding the allowable rate limit. "
        "Please see http://wiki.musicbrainz.org/XMLWebService for more information.",
        "help": HELP,
    },
    503,
    {"Retry-After": "1"},
)
INCLUDED = {
    "artist-credits": "artist-credit",
    "isrcs": "isrcs",
    "releases": "releases",
    "release-groups": "release-group",
    "media": "media",
    "tags": "tags",
    "genres": "genres",
}
ALLOWED = {
    "recording": {"artist-credits", "isrcs", "releases", "tags", "genres"},
    "artist": {"tags", "genres"},
    "release": {"artist-credits", "release-groups", "media", "tags", "genres"},
    "release-group": {"artist-credits", "tags", "genres"},
}
BROWSED = {
    "recording": ("artist", "release"),
    "artist": ("recording", "release", "release-group"),
    "release": ("artist", "recording", "release-group"),
    "release-group": ("artist", "release"),
}
TERM = re.compile(r'(?:(\w+):)?(?:"((?:[^"\\]|\\.)*)"|\(([^)]*)\)|(\S+))')


class Refused(Exception):
    """An error of the service, by its status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def routes(entities: Entities) -> list[Route]:
    """The paths under which MusicBrainz answers."""

    def answering(answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            try:
                return answer(request)
            except Refused as refused:
                return JSONResponse({"error": str(refused), "help": HELP}, refused.status)

        return answered

    def looked_up(kind: str) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            asked, included = _mbid(request.path_params["mbid"]), _included(kind, request)
            if kept := entities.merged.get(kind, {}).get(asked):
                query = urlencode(request.query_params.multi_items())
                return RedirectResponse(f"/ws/2/{kind}/{kept}?{query}", 301)
            found = entities.of[kind].get(asked)
            if found is None:
                raise Refused(404, "Not Found")
            return JSONResponse(_shown(found, included))

        return answer

    def listed(kind: str) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            query, included = request.query_params, _included(kind, request)
            offset, limit = _number(request, "offset", 0), min(MOST, _number(request, "limit", USUAL) or USUAL)
            if "query" in query:
                if not query["query"].strip():
                    raise Refused(400, "The given parameters do not match any available query type.")
                found = [e for e in entities.of[kind].values() if _fits(kind, e, query["query"])]
                included = ALLOWED[kind] - {"genres"}  # searching asks for nothing and tells this
                told: Record = {"created": "2025-03-01T00:00:00.000Z", "count": len(found), "offset": offset}
            else:
                of = next((name for name in BROWSED[kind] if name in query), None)
                if of is None:
                    raise Refused(400, "The given parameters do not match any available query type.")
                found = _belonging(entities, kind, of, _mbid(query[of]))
                told = {f"{kind}-count": len(found), f"{kind}-offset": offset}
            page = [] if request.scope.get(EMPTY) else found[offset : offset + limit]
            score = {"score": 100} if "query" in query else {}
            return JSONResponse({**told, f"{kind}s": [_shown(entity, included) | score for entity in page]})

        return answer

    return [
        route
        for kind in ALLOWED
        for route in (
            Route(f"/{kind}", answering(listed(kind))),
            Route(f"/{kind}/{{mbid}}", answering(looked_up(kind))),
        )
    ]


def _shown(entity: Record, included: set[str]) -> Record:
    """An entity with what is to be included."""
    hidden = {"provenance", *(key for name, key in INCLUDED.items() if name not in included)}  # it is the sandbox's own
    return {key: value for key, value in entity.items() if key not in hidden}


def _belonging(entities: Entities, kind: str, of: str, mbid: str) -> list[Record]:
    """The entities of a kind that belong to one of another. Raises `Refused` where there is no such one."""
    mbid = entities.merged.get(of, {}).get(mbid, mbid)
    other = entities.of[of].get(mbid)
    if other is None:
        raise Refused(404, "Not Found")
    if of == "artist":
        return [e for e in entities.of[kind].values() if mbid in _artists(e)]
    if kind == "artist":
        credited = set(_artists(other))
        return [e for e in entities.of[kind].values() if e["id"] in credited]
    if of == "release" and kind == "recording":
        return [e for e in entities.of[kind].values() if mbid in (r["id"] for r in e["releases"])]
    if kind == "release" and of == "recording":
        return [entities.of[kind][release["id"]] for release in other["releases"]]
    if kind == "release":
        return [e for e in entities.of[kind].values() if e["release-group"]["id"] == mbid]
    return [entities.of[kind][other["release-group"]["id"]]]


def _artists(entity: Record) -> list[str]:
    return [credit["artist"]["id"] for credit in entity.get("artist-credit", ())]


def _fits(kind: str, entity: Record, query: str) -> bool:
    """Whether an entity is what a query asks for."""
    name = entity.get("title") or entity.get("name") or ""
    credit = "".join(c["name"] + c["joinphrase"] for c in entity.get("artist-credit", ()))
    ids = {"recording": "rid", "artist": "arid", "release": "reid", "release-group": "rgid"}
    fields = {"": f"{name} {credit}", kind.replace("-", ""): name, "artist": credit or name, ids[kind]: entity["id"]}
    fields["arid"] = " ".join(_artists(entity)) or fields.get("arid", "")
    for field, quoted, either, word in TERM.findall(query.replace(" AND ", " ")):
        sought = re.split(r" OR | ", either) if either else [quoted or word]
        text = fields.get(field, "").casefold()
        if sought != ["*"] and not any(one.casefold() in text for one in sought if one):
            return False
    return True


def _included(kind: str, request: Request) -> set[str]:
    wanted = set(re.split(r"[ +]+", request.query_params.get("inc", "").strip())) - {""}
    for name in sorted(wanted - ALLOWED[kind]):
        raise Refused(400, f"{name} is not a valid inc parameter for the {kind} resource.")
    return wanted


def _mbid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise Refused(400, "Invalid mbid.") from None


def _number(request: Request, name: str, usual: int) -> int:
    value = request.query_params.get(name, "")
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else usual
