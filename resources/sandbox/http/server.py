"""The sandbox's services over HTTP, on loopback: every face at the paths of the real one, all on one port.

A face is a list of routes in a file of its own, added here. How they misbehave is told at the start, or while they
run: `PUT /sandbox/faults` takes {"rate": 0.2, "kinds": ["cut", "busy"], "seed": 1}, `GET` tells what happened.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from resources.sandbox.entities import Entities
from resources.sandbox.http import lastfm, listenbrainz, lrclib, musicbrainz
from resources.sandbox.http.accounts import Accounts, Record
from resources.sandbox.http.faults import Faults, Faulty
from resources.sandbox.http.limit import Limited

HOST = "127.0.0.1"


def application(
    accounts: Accounts,
    faults: Faults,
    requests: int = 30,
    seconds: int = 10,
    entities: Entities | None = None,
    a_second: int = 1,
    lyrics: Sequence[Record] = (),
) -> Starlette:
    """All faces of what the sandbox knows.

    ListenBrainz's allows so many requests in so many seconds, MusicBrainz's so many `a_second`.
    """
    limited = Starlette(
        routes=listenbrainz.routes(accounts),
        middleware=[Middleware(Limited, requests=requests, seconds=seconds)],
        exception_handlers={HTTPException: listenbrainz.refusal},
    )
    slow = Middleware(Limited, requests=a_second, seconds=1, over=musicbrainz.OVER)
    catalog = Starlette(routes=musicbrainz.routes(entities), middleware=[slow]) if entities else Starlette()
    routes = [*lastfm.routes(accounts), *lrclib.routes(lyrics), Mount("/ws/2", catalog), Mount("/", limited)]
    faces = Starlette(routes=routes)

    async def told(_: Request) -> JSONResponse:
        return JSONResponse(_status(faults))

    async def tell(request: Request) -> JSONResponse:
        try:
            asked = await request.json()
            faults.tell(float(asked["rate"]), asked.get("kinds", faults.kinds), int(asked.get("seed", 0)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return JSONResponse({"error": f"not understood: {error}"}, 400)
        return JSONResponse(_status(faults))

    return Starlette(
        routes=[
            Route("/sandbox/faults", told, methods=["GET"]),
            Route("/sandbox/faults", tell, methods=["PUT"]),
            Mount("/", Faulty(faces, faults)),
        ]
    )


@contextmanager
def served(application: Any) -> Iterator[str]:
    """The address of an application, which is served until the block ends."""
    serving = server(application, 0)
    thread = threading.Thread(target=serving.run, daemon=True)
    thread.start()
    while not serving.started:
        if not thread.is_alive():
            raise RuntimeError("the sandbox's services did not start")
        time.sleep(0.005)
    port = serving.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://{HOST}:{port}"
    finally:
        serving.should_exit = serving.force_exit = True
        thread.join()


def server(application: Any, port: int) -> uvicorn.Server:
    """A server of these faces that has not begun yet; its own log stays silent, for it would tell of every fault."""
    return uvicorn.Server(uvicorn.Config(application, host=HOST, port=port, log_level="critical", lifespan="off"))


def _status(faults: Faults) -> dict[str, object]:
    told = {"rate": faults.rate, "kinds": list(faults.kinds), "seed": faults.seed}
    return {**told, "requests": faults.requests, "happened": dict(faults.happened)}
