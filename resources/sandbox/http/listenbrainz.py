"""ListenBrainz's face of the sandbox: what its API answers of listens and feedback, in its own shapes and words."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from resources.sandbox.http.accounts import Account, Accounts, Heard, Opinion, Record
from resources.sandbox.http.faults import EMPTY

USUAL, MOST = 25, 1000  # records on a page, unless asked; at most


def routes(accounts: Accounts) -> list[Route]:
    """The paths under which ListenBrainz answers."""

    def account(request: Request) -> Account:
        found = accounts.find(request.path_params["user"])
        if found is None:
            raise HTTPException(404, f"Cannot find user: {request.path_params['user']}")
        return found

    async def listens(request: Request) -> JSONResponse:
        whose, heard = account(request), account(request).heard
        newest, oldest = _number(request, "max_ts"), _number(request, "min_ts")
        if newest is not None and oldest is not None:
            raise HTTPException(400, "You may only specify max_ts or min_ts, not both.")
        count = _count(request)
        if oldest is not None:  # the nearest ones, and yet newest first
            after = [listen for listen in heard if listen.listened_at > oldest]
            page = after[max(0, len(after) - count) :]
        else:
            page = [listen for listen in heard if newest is None or listen.listened_at < newest][:count]
        shown = [] if request.scope.get(EMPTY) else [_listen(whose.name, listen) for listen in page]
        payload = {
            "count": len(shown),
            "user_id": whose.name,
            "listens": shown,
            "latest_listen_ts": heard[0].listened_at if heard else 0,
            "oldest_listen_ts": heard[-1].listened_at if heard else 0,
        }
        return JSONResponse({"payload": payload})

    async def listen_count(request: Request) -> JSONResponse:
        return JSONResponse({"payload": {"count": len(account(request).heard)}})

    async def feedback(request: Request) -> JSONResponse:
        whose, score, offset = account(request), _number(request, "score"), _number(request, "offset") or 0
        if score not in (None, 0, 1, -1):
            raise HTTPException(400, "Score can have a value of 1 or -1.")
        if offset < 0:
            raise HTTPException(400, "'offset' should be a non-negative integer")
        chosen = [opinion for opinion in whose.opinions if not score or opinion.score == score]
        page = chosen[offset : offset + _count(request)]
        names = request.query_params.get("metadata") == "true"
        shown = [] if request.scope.get(EMPTY) else [_opinion(whose.name, opinion, names) for opinion in page]
        told = {"feedback": shown, "count": len(shown), "total_count": len(whose.opinions), "offset": offset}
        return JSONResponse(told)

    return [
        Route("/1/user/{user}/listens", listens),
        Route("/1/user/{user}/listen-count", listen_count),
        Route("/1/feedback/user/{user}/get-feedback", feedback),
    ]


def refusal(request: Request, error: Exception) -> JSONResponse:
    """An error as ListenBrainz tells it."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"code": error.status_code, "error": error.detail}, error.status_code)


def _listen(name: str, heard: Heard) -> Record:
    return {
        "inserted_at": heard.inserted_at or heard.listened_at,
        "listened_at": heard.listened_at,
        "recording_msid": heard.msid,
        "track_metadata": _metadata(heard, {**heard.info, "recording_msid": heard.msid}),
        "user_name": name,
    }


def _opinion(name: str, opinion: Opinion, names: bool) -> Record:
    told: Record = {
        "created": opinion.created,
        "recording_mbid": opinion.of.recording_mbid,
        "recording_msid": opinion.of.msid,
        "score": opinion.score,
        "user_id": name,
    }
    return {**told, "track_metadata": _metadata(opinion.of, None) if names else None}


def _metadata(heard: Heard, info: Record | None) -> Record:
    """Names, what the player added, and what the names were matched with, where they were."""
    told: Record = {"artist_name": heard.artist, "track_name": heard.title}
    if heard.release:
        told["release_name"] = heard.release
    if info is not None:
        told["additional_info"] = info
    if heard.recording_mbid:
        match: dict[str, Any] = {"recording_mbid": heard.recording_mbid, "recording_name": heard.title}
        told["mbid_mapping"] = {**match, "artist_mbids": list(heard.artist_mbids)}
    return told


def _count(request: Request) -> int:
    count = _number(request, "count")
    if count is not None and count < 0:
        raise HTTPException(400, "'count' should be a non-negative integer")
    return min(USUAL if count is None else count, MOST)


def _number(request: Request, name: str) -> int | None:
    value = request.query_params.get(name)
    if not value:
        return None
    try:
        return int(value)
    except ValueError:
        raise HTTPException(400, f"Invalid {name} argument: {value}") from None
