"""Faults: configurable misbehavior of the mock services."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.utils import formatdate
from time import time

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KINDS = (
    "busy",  # 429, with Retry-After in seconds, as a date, or with none
    "unavailable",  # 503
    "cut",  # the connection ends in the middle of a body with Content-Length
    "cut_chunked",  # the connection ends in the middle of a chunked body
    "broken",  # half of the JSON, with a matching Content-Length
    "slow",  # a delayed response
    "empty",  # a page without its records
)
EMPTY = "tutti.empty"  # in the scope of a request: the service must return an empty page


@dataclass
class Faults:
    """Which requests fail, and how: first by `script` (None is no fault), then at random."""

    rate: float = 0.0
    kinds: tuple[str, ...] = KINDS
    seed: int = 0
    script: list[str | None] = field(default_factory=list)
    retry_after: int = 1  # seconds
    delay: float = 2.0  # seconds, of a slow response

    def __post_init__(self) -> None:
        self.configure(self.rate, self.kinds, self.seed)

    def configure(self, rate: float, kinds: Iterable[str], seed: int = 0) -> None:
        """Set the rate and kinds of random faults, and reset the counts. Raise ValueError if one is invalid."""
        kinds = tuple(kinds)
        if not 0 <= rate <= 1 or not set(kinds) <= set(KINDS) or (rate and not kinds):
            raise ValueError(f"invalid faults: expected a rate from 0 to 1 and kinds out of {', '.join(KINDS)}")
        self.rate, self.kinds, self.seed = rate, kinds, seed
        self.random = random.Random(seed)
        self.happened: Counter[str] = Counter()
        self.requests = 0

    def draw(self) -> str | None:
        """Return the fault of the next request, or None."""
        self.requests += 1
        at_random = self.random.choice(self.kinds) if self.random.random() < self.rate else None
        kind = self.script.pop(0) if self.script else at_random
        if kind:
            self.happened[kind] += 1
        return kind


class Faulty:
    """An ASGI application with injected faults."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self.app, self.faults = app, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = self.faults.draw() if scope["type"] == "http" else None
        match kind:
            case "busy":
                await self._busy()(scope, receive, send)
            case "unavailable":
                problem = {"code": 503, "error": "The service is temporarily unavailable"}
                await JSONResponse(problem, 503)(scope, receive, send)
            case "cut" | "cut_chunked" | "broken":
                await self._half(kind, scope, receive, send)
            case "slow":
                await asyncio.sleep(self.faults.delay)
                await self.app(scope, receive, send)
            case _:
                await self.app({**scope, EMPTY: kind == "empty"}, receive, send)

    def _busy(self) -> JSONResponse:
        seconds = self.faults.retry_after
        forms: list[dict[str, str]] = [
            {"Retry-After": str(seconds)},
            {"Retry-After": formatdate(time() + seconds, usegmt=True)},
            {},
        ]
        headers = self.faults.random.choice(forms)
        return JSONResponse({"code": 429, "error": "You have exceeded your rate limit"}, 429, headers)

    async def _half(self, kind: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half the body, with a Content-Length for half, all, or none."""
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, collect)
        start, body = messages[0], b"".join(message.get("body", b"") for message in messages[1:])
        half = body[: max(1, len(body) // 2)]
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        if kind == "cut":
            headers.append((b"content-length", b"%d" % len(body)))
        elif kind == "broken":
            headers.append((b"content-length", b"%d" % len(half)))
        await send({**start, "headers": headers})
        # The server closes the connection if the application ends before the end of the body.
        await send({"type": "http.response.body", "body": half, "more_body": kind != "broken"})
