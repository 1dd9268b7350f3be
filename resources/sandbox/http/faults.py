"""Faults: how the sandbox's services misbehave when they are told to, as real ones do unasked."""

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
    "cut",  # the connection ends in the middle of the body, whose length was told
    "cut_chunked",  # the same of a body that comes in chunks
    "broken",  # half of the JSON, as if it were all
    "slow",  # nothing comes for a while
    "empty",  # a page without records, where there are some
)
EMPTY = "tutti.empty"  # in the scope of a request: the face is to show an empty page


@dataclass
class Faults:
    """Which requests go wrong, and how: those of `script` first (None: the request goes well), then by chance."""

    rate: float = 0.0
    kinds: tuple[str, ...] = KINDS
    seed: int = 0
    script: list[str | None] = field(default_factory=list)
    retry_after: int = 1  # seconds
    delay: float = 2.0  # seconds that a slow answer takes

    def __post_init__(self) -> None:
        self.tell(self.rate, self.kinds, self.seed)

    def tell(self, rate: float, kinds: Iterable[str], seed: int = 0) -> None:
        """From now on, go wrong at a rate and in these ways. Raises `ValueError` for a way or a rate that is none."""
        kinds = tuple(kinds)
        if not 0 <= rate <= 1 or not set(kinds) <= set(KINDS) or (rate and not kinds):
            raise ValueError(f"faults are a rate from 0 to 1 and some of {', '.join(KINDS)}")
        self.rate, self.kinds, self.seed = rate, kinds, seed
        self.chance = random.Random(seed)
        self.happened: Counter[str] = Counter()
        self.requests = 0

    def draw(self) -> str | None:
        """What goes wrong with the next request, if anything does."""
        self.requests += 1
        by_chance = self.chance.choice(self.kinds) if self.chance.random() < self.rate else None
        kind = self.script.pop(0) if self.script else by_chance
        if kind:
            self.happened[kind] += 1
        return kind


class Faulty:
    """An ASGI application that goes wrong as `faults` say."""

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
        headers = self.faults.chance.choice(forms)
        return JSONResponse({"code": 429, "error": "You have exceeded your rate limit"}, 429, headers)

    async def _half(self, kind: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Half the body: all that comes, or all that is said to come."""
        sent: list[Message] = []

        async def keep(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, keep)
        start, body = sent[0], b"".join(message.get("body", b"") for message in sent[1:])
        half = body[: max(1, len(body) // 2)]
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        if kind == "cut":
            headers.append((b"content-length", b"%d" % len(body)))
        elif kind == "broken":
            headers.append((b"content-length", b"%d" % len(half)))
        await send({**start, "headers": headers})
        # The server closes the connection of whoever leaves before the end of the body.
        await send({"type": "http.response.body", "body": half, "more_body": kind != "broken"})
