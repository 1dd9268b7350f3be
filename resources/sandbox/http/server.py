"""Mock services over HTTP on loopback, on one port and at the paths of the real services.

Each service is a list of routes in its own file, added here. Faults are configured at the start or at runtime:
`PUT /sandbox/faults` takes {"rate": 0.2, "kinds": ["cut", "busy"], "seed": 1}. `GET` returns the fault counts.
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
    musicbrainz_per_second: int = 1,
    lyrics: Sequence[Record] = (),
) -> Starlette:
    """Return an application with all mock services.

    ListenBrainz serves at most `requests` in `seconds` per caller, MusicBrainz `musicbrainz_per_second`.
    """
    limited = Starlette(
        routes=listenbrainz.routes(accounts),
        middleware=[Middleware(Limited, requests=requests, seconds=seconds)],
        exception_handlers={HTTPException: listenbrainz.refusal},
    )
    rate_limit = Middleware(Limited, requests=musicbrainz_per_second, seconds=1, over=musicbrainz.OVER)
    catalog = Starlette(routes=musicbrainz.routes(entities), middleware=[rate_limit]) if entities else Starlette()
    routes = [*lastfm.routes(accounts), *lrclib.routes(lyrics), Mount("/ws/2", catalog), Mount("/", limited)]
    services = Starlette(routes=routes)

    async def get_faults(_: Request) -> JSONResponse:
        return JSONResponse(_status(faults))

    async def put_faults(request: Request) -> JSONResponse:
        try:
            body = await request.json()
            faults.configure(float(body["rate"]), body.get("kinds", faults.kinds), int(body.get("seed", 0)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return JSONResponse({"error": f"invalid request: {error}"}, 400)
        return JSONResponse(_status(faults))

    return Starlette(
        routes=[
            Route("/sandbox/faults", get_faults, methods=["GET"]),
            Route("/sandbox/faults", put_faults, methods=["PUT"]),
            Mount("/", Faulty(services, faults)),
        ]
    )


@contextmanager
def served(application: Any) -> Iterator[str]:
    """Serve an application until the block ends, and yield its URL. Raise RuntimeError if it does not start."""
    serving = server(application, 0)
    thread = threading.Thread(target=serving.run, daemon=True)
    thread.start()
    while not serving.started:
        if not thread.is_alive():
            raise RuntimeError("the mock services did not start")
        time.sleep(0.005)
    port = serving.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://{HOST}:{port}"
    finally:
        serving.should_exit = serving.force_exit = True
        thread.join()


def server(application: Any, port: int) -> uvicorn.Server:
    """Return a server that has not started. Its log is off, because it would report every injected fault."""
    return uvicorn.Server(uvicorn.Config(application, host=HOST, port=port, log_level="critical", lifespan="off"))


def _status(faults: Faults) -> dict[str, object]:
    settings = {"rate": faults.rate, "kinds": list(faults.kinds), "seed": faults.seed}
    return {**settings, "requests": faults.requests, "happened": dict(faults.happened)}
