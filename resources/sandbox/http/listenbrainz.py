"""Mock ListenBrainz: listens and feedback in the format of its API."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from resources.sandbox.http.accounts import Account, AccountListen, Accounts, Opinion, Record
from resources.sandbox.http.faults import EMPTY

DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 25, 1000


def routes(accounts: Accounts) -> list[Route]:
    """Return the routes of ListenBrainz's API."""

    def account(request: Request) -> Account:
        match = accounts.find(request.path_params["user"])
        if match is None:
            raise HTTPException(404, f"Cannot find user: {request.path_params['user']}")
        return match

    async def listens(request: Request) -> JSONResponse:
        owner, played = account(request), account(request).listens
        newest, oldest = _number(request, "max_ts"), _number(request, "min_ts")
        if newest is not None and oldest is not None:
            raise HTTPException(400, "You may only specify max_ts or min_ts, not both.")
        count = _count(request)
        if oldest is not None:  # the ones right after it, but newest first
            after = [listen for listen in played if listen.listened_at > oldest]
            page = after[max(0, len(after) - count) :]
        else:
            page = [listen for listen in played if newest is None or listen.listened_at < newest][:count]
        shown = [] if request.scope.get(EMPTY) else [_listen(owner.name, listen) for listen in page]
        payload = {
            "count": len(shown),
            "user_id": owner.name,
            "listens": shown,
            "latest_listen_ts": played[0].listened_at if played else 0,
            "oldest_listen_ts": played[-1].listened_at if played else 0,
        }
        return JSONResponse({"payload": payload})

    async def listen_count(request: Request) -> JSONResponse:
        return JSONResponse({"payload": {"count": len(account(request).listens)}})

    async def feedback(request: Request) -> JSONResponse:
        owner, score, offset = account(request), _number(request, "score"), _number(request, "offset") or 0
        if score not in (None, 0, 1, -1):
            raise HTTPException(400, "Score can have a value of 1 or -1.")
        if offset < 0:
            raise HTTPException(400, "'offset' should be a non-negative integer")
        chosen = [opinion for opinion in owner.opinions if not score or opinion.score == score]
        page = chosen[offset : offset + _count(request)]
        names = request.query_params.get("metadata") == "true"
        shown = [] if request.scope.get(EMPTY) else [_opinion(owner.name, opinion, names) for opinion in page]
        return JSONResponse(
            {"feedback": shown, "count": len(shown), "total_count": len(owner.opinions), "offset": offset}
        )

    return [
        Route("/1/user/{user}/listens", listens),
        Route("/1/user/{user}/listen-count", listen_count),
        Route("/1/feedback/user/{user}/get-feedback", feedback),
    ]


def refusal(request: Request, error: Exception) -> JSONResponse:
    """Return an error in ListenBrainz's format."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"code": error.status_code, "error": error.detail}, error.status_code)


def _listen(name: str, listen: AccountListen) -> Record:
    return {
        "inserted_at": listen.inserted_at or listen.listened_at,
        "listened_at": listen.listened_at,
        "recording_msid": listen.msid,
        "track_metadata": _metadata(listen, {**listen.info, "recording_msid": listen.msid}),
        "user_name": name,
    }


def _opinion(name: str, opinion: Opinion, names: bool) -> Record:
    record: Record = {
        "created": opinion.created,
        "recording_mbid": opinion.listen.recording_mbid,
        "recording_msid": opinion.listen.msid,
        "score": opinion.score,
        "user_id": name,
    }
    return {**record, "track_metadata": _metadata(opinion.listen, None) if names else None}


def _metadata(listen: AccountListen, info: Record | None) -> Record:
    """Return the names, the player's additional info and, if the names were matched, the MBIDs."""
    metadata: Record = {"artist_name": listen.artist, "track_name": listen.title}
    if listen.release:
        metadata["release_name"] = listen.release
    if info is not None:
        metadata["additional_info"] = info
    if listen.recording_mbid:
        match: dict[str, Any] = {"recording_mbid": listen.recording_mbid, "recording_name": listen.title}
        metadata["mbid_mapping"] = {**match, "artist_mbids": list(listen.artist_mbids)}
    return metadata


def _count(request: Request) -> int:
    count = _number(request, "count")
    if count is not None and count < 0:
        raise HTTPException(400, "'count' should be a non-negative integer")
    return min(DEFAULT_PAGE_SIZE if count is None else count, MAX_PAGE_SIZE)


def _number(request: Request, name: str) -> int | None:
    value = request.query_params.get(name)
    if not value:
        return None
    try:
        return int(value)
    except ValueError:
        raise HTTPException(400, f"Invalid {name} argument: {value}") from None
