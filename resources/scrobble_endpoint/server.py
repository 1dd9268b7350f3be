"""The scrobble endpoint's server: settings, the port, and an orderly end."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from resources.errors import TuttiError
from resources.scrobble_endpoint.app import REQUESTS, ScrobbleEndpoint
from resources.scrobble_endpoint.connection import WAIT_S, Connection
from resources.scrobble_endpoint.journal import SCROBBLES, Journal
from resources.scrobble_endpoint.outbox import Outbox
from resources.scrobble_endpoint.tokens import configured
from resources.storage import Storage
from resources.terminal import say

PORT = 8765
FOLDER = Path("landing", SCROBBLES)  # in the data folder
SHUTDOWN_S = 3  # for running requests once the server ends
QUEUED = 1024  # connections that the kernel queues until the server accepts them
# Without uvloop, asyncio accepts that many connections before any of them is counted.
ACCEPTED_AT_ONCE = 64


class _Server(uvicorn.Server):
    """Prints a line when it is ready. After a signal it ends in order, and then raises the signal again."""

    def __init__(self, config: uvicorn.Config, ready: str) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and print `ready` once the main loop runs, which is when a signal ends the server in order."""
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(QUEUED)
        asyncio.get_running_loop().call_soon(partial(say, self._ready))


def configuration(app: Starlette) -> uvicorn.Config:
    """Return uvicorn's settings for the scrobble endpoint's application."""
    return uvicorn.Config(
        app,
        http=Connection,
        backlog=ACCEPTED_AT_ONCE,
        timeout_keep_alive=WAIT_S,
        log_level="error",  # a warning about each malformed request would let strangers fill the log
        access_log=False,  # it would contain addresses, and tokens that clients send in the query
        server_header=False,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=SHUTDOWN_S,
    )


def serve(data: Path, landing: Storage) -> None:
    """Accept listens until a signal ends the server, and store them in the data folder or the bucket.

    Raises `TuttiError` if a setting is invalid, the port or the folder is in use, or the bucket refuses.
    """
    tokens = configured()
    requests = _number("TUTTI_SCROBBLE_RATE_LIMIT", REQUESTS, 1, 1_000_000_000)
    with _listening(_number("TUTTI_SCROBBLE_PORT", PORT, 0, 65535)) as listening:
        journal = Journal(data / FOLDER, shared=data)
        outbox = Outbox(data / FOLDER, landing / SCROBBLES) if landing.remote else None
        if outbox:
            try:
                outbox.start()
            except TuttiError:
                journal.close()
                raise
        if journal.recovered or journal.torn:
            dropped = f"; dropped {journal.torn} incomplete lines, which were never acknowledged"
            recovered = f"recovered {journal.recovered} files of a killed scrobble endpoint"
            say(recovered + dropped * bool(journal.torn))
        config = configuration(ScrobbleEndpoint(tokens, journal, requests).app)
        port = listening.getsockname()[1]
        into = landing if landing.remote else data
        ready = f"http://127.0.0.1:{port} accepts listens as ListenBrainz does, into {into}. Press Ctrl-C to stop."
        server = _Server(config, ready)
        try:
            server.run(sockets=[listening])
        finally:
            if outbox:
                outbox.end()
        if not server.started:
            raise TuttiError("the scrobble endpoint could not start. The lines above have the reason.")


def _number(variable: str, default: int, lowest: int, highest: int) -> int:
    """Read a whole number from an environment variable. Raises `TuttiError` if it is out of range."""
    text = os.environ.get(variable) or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) < 11 and lowest <= int(text) <= highest):
        raise TuttiError(f"invalid {variable}: {text!r}. Expected a number from {lowest} to {highest}.")
    return int(text)


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    """Open a socket for clients on this machine. Raises `TuttiError` if the port cannot be used."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
            listening.listen(QUEUED)
        except OSError as error:
            raise TuttiError(
                f"cannot use port {port}: {error.strerror}. Stop the program that uses it, or set TUTTI_SCROBBLE_PORT."
            ) from None
        yield listening
