"""Rate limit: a number of requests per caller and time window, reported in the headers of each response."""

import math
from collections.abc import Callable
from time import time

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OVER = JSONResponse({"code": 429, "error": "You have exceeded your rate limit. See the headers."}, 429)


class Limited:
    """An ASGI application that serves at most `requests` per caller and `seconds`, and responds `over` to the rest."""

    def __init__(
        self,
        app: ASGIApp,
        requests: int = 30,
        seconds: int = 10,
        now: Callable[[], float] = time,
        max_callers: int = 10_000,
        over: Response = OVER,
    ) -> None:
        self.app, self.requests, self.seconds, self.now, self.max_callers = app, requests, seconds, now, max_callers
        self.over = over
        self._windows: dict[str, tuple[float, int]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        now, caller = self.now(), (scope.get("client") or ("?", 0))[0]
        end, spent = self._windows.get(caller, (0.0, 0))
        end, spent = (end, spent + 1) if now < end else (now + self.seconds, 1)
        if len(self._windows) >= self.max_callers:
            self._windows.clear()
        self._windows[caller] = end, spent
        headers = {
            "X-RateLimit-Limit": self.requests,
            "X-RateLimit-Remaining": max(0, self.requests - spent),
            "X-RateLimit-Reset-In": math.ceil(end - now),
            "X-RateLimit-Reset": math.ceil(end),
        }

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update({name: str(value) for name, value in headers.items()})
            await send(message)

        await (self.over if spent > self.requests else self.app)(scope, receive, with_headers)
