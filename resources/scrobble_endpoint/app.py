"""The front door as clients see it: ListenBrainz's paths, answers, error bodies, limits and headers.

Who asks is settled before a byte of the body is read, and a body is counted while it is read. Neither an address nor a
user agent is written anywhere: addresses are counted in memory where no token tells who asks.
"""

import asyncio
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from resources.scrobble_endpoint.group_commit import DiskRefuses, GroupCommit
from resources.scrobble_endpoint.journal import Journal
from resources.scrobble_endpoint.limits import Limits, Standing
from resources.scrobble_endpoint.playing import Playing
from resources.scrobble_endpoint.submission import LONGEST_BODY, ListenType, read
from resources.scrobble_endpoint.tokens import Tokens
from resources.sources.records.listen import Malformed

REQUESTS = 100_000  # of a token in ten seconds, as ListenBrainz has it: who has a token is known
STRANGERS = (
    300  # requests of an address in ten seconds without a valid token: enough for mistakes, too few to guess one
)
IN_MEMORY = 4 * LONGEST_BODY  # bytes of bodies at once: parsed, they take several times as much
PATIENCE = 60  # seconds for a body to arrive
RETRY = {"Retry-After": "10"}

# Browsers' scrobblers ask from other origins, and ListenBrainz lets them.
CROSS_ORIGIN = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "21600",
}


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, code: int, error: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(error)
        self.code, self.error, self.headers = code, error, headers or {}


class ScrobbleEndpoint:
    """What the paths share."""

    def __init__(self, tokens: Tokens, journal: Journal, requests: int = REQUESTS) -> None:
        self._tokens, self._requests = tokens, requests
        self._commit = GroupCommit(journal)
        self._limits, self._playing = Limits(), Playing()
        self._held = 0  # bytes of bodies in memory

    @property
    def app(self) -> Starlette:
        """The ASGI application; its lifespan ends by closing the journal."""
        return Starlette(
            routes=[
                self._route("/1/submit-listens", "POST", self.submit_listens),
                self._route("/1/validate-token", "GET", self.validate_token),
                self._route("/1/user/{user_name}/playing-now", "GET", self.playing_now),
            ],
            exception_handlers={HTTPException: _refuse},  # paths and methods that are none
            lifespan=self._lifespan,
        )

    async def submit_listens(self, request: Request, told: dict[str, str]) -> dict[str, Any]:
        """Listens that are on disk once this answers; what is playing now is only remembered."""
        user = self._user(request, told)
        try:
            async with asyncio.timeout(PATIENCE):
                body = await self._body(request)
        except TimeoutError:
            raise Refused(408, "The body did not arrive in time.", {"Connection": "close"}) from None
        try:
            submission = read(body, datetime.now(UTC))
        except Malformed as malformed:
            raise Refused(400, str(malformed)) from None
        finally:
            self._held -= len(body)
        if submission.listen_type is ListenType.PLAYING_NOW:
            self._playing.put(user, submission.listens[0], time.monotonic())
        else:
            await self._commit.put(submission.lines(user))
        return {"status": "ok"}

    async def validate_token(self, request: Request, told: dict[str, str]) -> dict[str, Any]:
        """Whose token it is; in the query too, where clients of old put it."""
        token = _token(request) or request.query_params.get("token", "").encode()
        user = self._tokens.user(token) if token else None
        self._count(request, user, told)
        if not token:
            raise Refused(400, "You need to provide an Authorization token.")
        if user is None:
            return {"code": 200, "message": "Token invalid.", "valid": False}
        return {"code": 200, "message": "Token valid.", "valid": True, "user_name": user}

    async def playing_now(self, request: Request, told: dict[str, str]) -> dict[str, Any]:
        """What the token's user plays now. (ListenBrainz tells it of everybody; here it is theirs alone.)"""
        user, asked = self._user(request, told), request.path_params["user_name"]
        if user != asked:
            raise Refused(404, f"Cannot find user: {asked}")
        listen = self._playing.get(user, time.monotonic())
        listens = [listen | {"playing_now": True}] if listen else []
        payload = {"count": len(listens), "user_id": user, "playing_now": True, "listens": listens}
        return {"payload": payload}

    def _user(self, request: Request, told: dict[str, str]) -> str:
        """Who asks; a request of nobody is counted by its address."""
        token = _token(request)
        user = self._tokens.user(token) if token else None
        self._count(request, user, told)
        if user is None:
            given = "authorization" in request.headers
            wrong = "Invalid authorization token." if given else "You need to provide an Authorization header."
            raise Refused(401, wrong, {"WWW-Authenticate": "Token"})
        return user

    def _count(self, request: Request, user: str | None, told: dict[str, str]) -> None:
        """One more request; `told` gets the headers that say how many may follow."""
        if user is None:
            address = request.client.host if request.client else ""
            standing: Standing = self._limits.count("address", address, STRANGERS, time.time())
        else:
            standing = self._limits.count("user", user, self._requests, time.time())
        told.update(standing.headers)
        if standing.exceeded:
            raise Refused(429, "Too many requests: wait until the time that X-RateLimit-Reset tells.")

    async def _body(self, request: Request) -> bytes:
        """The body of a request, at most LONGEST_BODY bytes of it. Its length counts as held."""
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Refused(415, "The body may not be compressed.")
        declared = request.headers.get("content-length", "0")
        chunks, length = [], 0
        try:
            if declared.isdecimal() and int(declared[:20]) > LONGEST_BODY:
                raise _too_large()
            async for chunk in request.stream():
                length += len(chunk)
                self._held += len(chunk)
                if length > LONGEST_BODY:
                    raise _too_large()
                if self._held > IN_MEMORY:
                    raise Refused(503, "Too much is being submitted at once, please try again later.", RETRY)
                chunks.append(chunk)
        except BaseException:
            self._held -= length
            raise
        return b"".join(chunks)

    def _route(self, path: str, method: str, handle: Callable[..., Awaitable[dict[str, Any]]]) -> Route:
        allowed = {"Allow": f"{method}, OPTIONS", "Access-Control-Allow-Methods": f"{method}, OPTIONS"}

        async def answer(request: Request) -> Response:
            if request.method == "OPTIONS":
                return Response(headers=CROSS_ORIGIN | allowed)
            told: dict[str, str] = {}
            try:
                code, content = 200, await handle(request, told)
            except Refused as refused:
                code, content = refused.code, {"code": refused.code, "error": refused.error}
                told |= refused.headers
            except DiskRefuses:
                code, content = 503, {"code": 503, "error": "Cannot store listens now, please try again later."}
                told |= RETRY
            except ClientDisconnect:
                return Response(status_code=400)  # for nobody
            except Exception:
                traceback.print_exc(file=sys.stderr)
                code, content = 500, {"code": 500, "error": "Something went wrong. Please try again."}
            return JSONResponse(content, code, CROSS_ORIGIN | allowed | told)

        return Route(path, answer, methods=[method, "OPTIONS"])

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        running = asyncio.create_task(self._commit.run())
        yield
        self._commit.end()
        await running


def _too_large() -> Refused:
    return Refused(413, f"Payload too large. Payload cannot exceed {LONGEST_BODY} bytes")


def _token(request: Request) -> bytes:
    """The token in `Authorization: Token …`, as the bytes it came in; none for other schemes."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip().encode("latin-1") if scheme.lower() == "token" else b""


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    content = {"code": error.status_code, "error": error.detail}
    return JSONResponse(content, error.status_code, CROSS_ORIGIN | dict(error.headers or {}))
