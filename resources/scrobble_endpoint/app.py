"""The scrobble endpoint's HTTP interface: ListenBrainz's paths, answers, error bodies, limits and headers.

The token is checked before the body is read, and the size of a body is checked while it is read. Addresses and user
agents are never stored; addresses of requests without a valid token are counted in memory.
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

from resources.scrobble_endpoint.group_commit import DiskError, GroupCommit
from resources.scrobble_endpoint.journal import Journal
from resources.scrobble_endpoint.limits import Limits, Standing
from resources.scrobble_endpoint.playing import Playing
from resources.scrobble_endpoint.submission import MAX_BODY_BYTES, ListenType, read
from resources.scrobble_endpoint.tokens import Tokens
from resources.sources.records.listen import Malformed

REQUESTS = 100_000  # of a token in ten seconds
ANONYMOUS_REQUESTS = 300  # of an address in ten seconds without a valid token: for mistakes, too few to guess a token
MAX_BYTES_IN_MEMORY = 4 * MAX_BODY_BYTES  # of bodies at once: parsed, they take several times as much
BODY_TIMEOUT_S = 60
IDLE_TIMEOUT_S = 10  # between two parts of a body
RETRY = {"Retry-After": "10"}

# Scrobblers in browsers send requests from other origins; ListenBrainz allows them too.
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
    """The endpoint's state and the handlers of its paths."""

    def __init__(self, tokens: Tokens, journal: Journal, requests: int = REQUESTS) -> None:
        self._tokens, self._requests = tokens, requests
        self._commit = GroupCommit(journal)
        self._limits, self._playing = Limits(), Playing()
        self._held = 0  # bytes of bodies in memory

    @property
    def app(self) -> Starlette:
        """Return the ASGI application; the end of its lifespan closes the journal."""
        return Starlette(
            routes=[
                self._route("/1/submit-listens", "POST", self.submit_listens),
                self._route("/1/validate-token", "GET", self.validate_token),
                self._route("/1/user/{user_name}/playing-now", "GET", self.playing_now),
            ],
            exception_handlers={HTTPException: _refuse},  # unknown paths and methods
            lifespan=self._lifespan,
        )

    async def submit_listens(self, request: Request, headers: dict[str, str]) -> dict[str, Any]:
        """Store submitted listens on disk before answering; remember a track that is playing now."""
        user = self._user(request, headers)
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
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

    async def validate_token(self, request: Request, headers: dict[str, str]) -> dict[str, Any]:
        """Answer whether a token is valid and whose it is; old clients send it in the query."""
        token = _token(request) or request.query_params.get("token", "").encode()
        user = self._tokens.user(token) if token else None
        self._count(request, user, headers)
        if not token:
            raise Refused(400, "You need to provide an Authorization token.")
        if user is None:
            return {"code": 200, "message": "Token invalid.", "valid": False}
        return {"code": 200, "message": "Token valid.", "valid": True, "user_name": user}

    async def playing_now(self, request: Request, headers: dict[str, str]) -> dict[str, Any]:
        """Answer with the track that the token's user plays now. Unlike ListenBrainz, only the user may ask."""
        user, asked = self._user(request, headers), request.path_params["user_name"]
        if user != asked:
            raise Refused(404, f"Cannot find user: {asked}")
        listen = self._playing.get(user, time.monotonic())
        listens = [listen | {"playing_now": True}] if listen else []
        payload = {"count": len(listens), "user_id": user, "playing_now": True, "listens": listens}
        return {"payload": payload}

    def _user(self, request: Request, headers: dict[str, str]) -> str:
        """Return the token's user. Raises `Refused` if the token is invalid or the rate limit is exceeded."""
        token = _token(request)
        user = self._tokens.user(token) if token else None
        self._count(request, user, headers)
        if user is None:
            has_header = "authorization" in request.headers
            wrong = "Invalid authorization token." if has_header else "You need to provide an Authorization header."
            raise Refused(401, wrong, {"WWW-Authenticate": "Token"})
        return user

    def _count(self, request: Request, user: str | None, headers: dict[str, str]) -> None:
        """Count a request and add the rate limit to `headers`. Raises `Refused` if the limit is exceeded."""
        if user is None:
            address = request.client.host if request.client else ""
            standing: Standing = self._limits.count("address", address, ANONYMOUS_REQUESTS, time.time())
        else:
            standing = self._limits.count("user", user, self._requests, time.time())
        headers.update(standing.headers)
        if standing.exceeded:
            raise Refused(429, "Too many requests: wait until the time in X-RateLimit-Reset.")

    async def _body(self, request: Request) -> bytes:
        """Read the body of a request and add its length to the bytes in memory. Raises `Refused` if it is too large."""
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Refused(415, "The body may not be compressed.")
        declared = request.headers.get("content-length", "0")
        chunks, length = [], 0
        try:
            if declared.isdecimal() and int(declared[:20]) > MAX_BODY_BYTES:
                raise _too_large()
            async with asyncio.timeout(IDLE_TIMEOUT_S) as idle:
                async for chunk in request.stream():
                    idle.reschedule(asyncio.get_running_loop().time() + IDLE_TIMEOUT_S)
                    length += len(chunk)
                    self._held += len(chunk)
                    if length > MAX_BODY_BYTES:
                        raise _too_large()
                    if self._held > MAX_BYTES_IN_MEMORY:
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
            headers: dict[str, str] = {}
            try:
                code, content = 200, await handle(request, headers)
            except Refused as refused:
                code, content = refused.code, {"code": refused.code, "error": refused.error}
                headers |= refused.headers
            except DiskError:
                code, content = 503, {"code": 503, "error": "Cannot store listens now, please try again later."}
                headers |= RETRY
            except ClientDisconnect:
                return Response(status_code=400)  # the client does not receive it
            except Exception:
                traceback.print_exc(file=sys.stderr)
                code, content = 500, {"code": 500, "error": "Something went wrong. Please try again."}
            return JSONResponse(content, code, CROSS_ORIGIN | allowed | headers)

        return Route(path, answer, methods=[method, "OPTIONS"])

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        running = asyncio.create_task(self._commit.run())
        yield
        self._commit.end()
        await running


def _too_large() -> Refused:
    return Refused(413, f"Payload too large. Payload cannot exceed {MAX_BODY_BYTES} bytes", {"Connection": "close"})


def _token(request: Request) -> bytes:
    """Return the bytes of the token in `Authorization: Token …`; empty for other schemes."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip().encode("latin-1") if scheme.lower() == "token" else b""


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    content = {"code": error.status_code, "error": error.detail}
    return JSONResponse(content, error.status_code, CROSS_ORIGIN | dict(error.headers or {}))
