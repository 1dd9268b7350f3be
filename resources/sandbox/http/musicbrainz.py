"""Mock MusicBrainz: lookup, browse and search of entities, in the format of its web service.

Responses contain only what `inc` requests. Merged ids redirect. Search supports words and a few fields, joined by AND.
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

DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 25, 100
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
    """An error of the service, with its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def routes(entities: Entities) -> list[Route]:
    """Return the routes of MusicBrainz's web service."""

    def with_errors(answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            try:
                return answer(request)
            except Refused as refused:
                return JSONResponse({"error": str(refused), "help": HELP}, refused.status)

        return answered

    def looked_up(kind: str) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            mbid, included = _mbid(request.path_params["mbid"]), _included(kind, request)
            if merged_into := entities.merged.get(kind, {}).get(mbid):
                query = urlencode(request.query_params.multi_items())
                return RedirectResponse(f"/ws/2/{kind}/{merged_into}?{query}", 301)
            entity = entities.of[kind].get(mbid)
            if entity is None:
                raise Refused(404, "Not Found")
            return JSONResponse(_shown(entity, included))

        return answer

    def listed(kind: str) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            query, included = request.query_params, _included(kind, request)
            limit = min(MAX_PAGE_SIZE, _number(request, "limit", DEFAULT_PAGE_SIZE) or DEFAULT_PAGE_SIZE)
            offset = _number(request, "offset", 0)
            if "query" in query:
                if not query["query"].strip():
                    raise Refused(400, "The given parameters do not match any available query type.")
                matches = [e for e in entities.of[kind].values() if _matches(kind, e, query["query"])]
                included = ALLOWED[kind] - {"genres"}  # the search has no `inc` and returns these
                head: Record = {"created": "2025-03-01T00:00:00.000Z", "count": len(matches), "offset": offset}
            else:
                linked = next((name for name in BROWSED[kind] if name in query), None)
                if linked is None:
                    raise Refused(400, "The given parameters do not match any available query type.")
                matches = _belonging(entities, kind, linked, _mbid(query[linked]))
                head = {f"{kind}-count": len(matches), f"{kind}-offset": offset}
            page = [] if request.scope.get(EMPTY) else matches[offset : offset + limit]
            score = {"score": 100} if "query" in query else {}
            return JSONResponse({**head, f"{kind}s": [_shown(entity, included) | score for entity in page]})

        return answer

    return [
        route
        for kind in ALLOWED
        for route in (
            Route(f"/{kind}", with_errors(listed(kind))),
            Route(f"/{kind}/{{mbid}}", with_errors(looked_up(kind))),
        )
    ]


def _shown(entity: Record, included: set[str]) -> Record:
    """Return an entity with the included parts. MusicBrainz has no provenance, so it is left out."""
    hidden = {"provenance", *(key for name, key in INCLUDED.items() if name not in included)}
    return {key: value for key, value in entity.items() if key not in hidden}


def _belonging(entities: Entities, kind: str, linked: str, mbid: str) -> list[Record]:
    """Return the entities of a kind that are linked to an entity. Raise Refused if that does not exist."""
    mbid = entities.merged.get(linked, {}).get(mbid, mbid)
    other = entities.of[linked].get(mbid)
    if other is None:
        raise Refused(404, "Not Found")
    if linked == "artist":
        return [e for e in entities.of[kind].values() if mbid in _artists(e)]
    if kind == "artist":
        credited = set(_artists(other))
        return [e for e in entities.of[kind].values() if e["id"] in credited]
    if linked == "release" and kind == "recording":
        return [e for e in entities.of[kind].values() if mbid in (r["id"] for r in e["releases"])]
    if kind == "release" and linked == "recording":
        return [entities.of[kind][release["id"]] for release in other["releases"]]
    if kind == "release":
        return [e for e in entities.of[kind].values() if e["release-group"]["id"] == mbid]
    return [entities.of[kind][other["release-group"]["id"]]]


def _artists(entity: Record) -> list[str]:
    return [credit["artist"]["id"] for credit in entity.get("artist-credit", ())]


def _matches(kind: str, entity: Record, query: str) -> bool:
    """Return whether an entity matches a query."""
    name = entity.get("title") or entity.get("name") or ""
    credit = "".join(c["name"] + c["joinphrase"] for c in entity.get("artist-credit", ()))
    ids = {"recording": "rid", "artist": "arid", "release": "reid", "release-group": "rgid"}
    fields = {"": f"{name} {credit}", kind.replace("-", ""): name, "artist": credit or name, ids[kind]: entity["id"]}
    fields["arid"] = " ".join(_artists(entity)) or fields.get("arid", "")
    for field, quoted, either, plain in TERM.findall(query.replace(" AND ", " ")):
        alternatives = re.split(r" OR | ", either) if either else [quoted or plain]
        text = fields.get(field, "").casefold()
        if alternatives != ["*"] and not any(word.casefold() in text for word in alternatives if word):
            return False
    return True


def _included(kind: str, request: Request) -> set[str]:
    requested = set(re.split(r"[ +]+", request.query_params.get("inc", "").strip())) - {""}
    for name in sorted(requested - ALLOWED[kind]):
        raise Refused(400, f"{name} is not a valid inc parameter for the {kind} resource.")
    return requested


def _mbid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise Refused(400, "Invalid mbid.") from None


def _number(request: Request, name: str, default: int) -> int:
    value = request.query_params.get(name, "")
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else default
