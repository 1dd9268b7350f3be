"""The server that keeps the front door open: settings, the port, and an end in good order."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from signal import SIGINT, SIGTERM, signal

import uvicorn

from resources.errors import TuttiError
from resources.scrobble_endpoint.app import REQUESTS, ScrobbleEndpoint
from resources.scrobble_endpoint.journal import SCROBBLES, Journal
from resources.scrobble_endpoint.outbox import Outbox
from resources.scrobble_endpoint.tokens import configured
from resources.storage import Storage

PORT = 8765
FOLDER = Path("landing", SCROBBLES)  # in the data folder
DRAIN = 10  # seconds that requests under way may take once the server is told to end


class _Server(uvicorn.Server):
    """Says when it is ready, and ends with 0 when told to: uvicorn would raise the signal again once it is done."""

    def __init__(self, config: uvicorn.Config, ready: str) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start; ready is only who also ends in good order, and uvicorn does that in its main loop, which is next."""
        await super().startup(sockets)
        asyncio.get_running_loop().call_soon(partial(print, self._ready, flush=True))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal(number, self.handle_exit) for number in (SIGINT, SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal(number, handler)


def serve(data: Path, landing: Storage) -> None:
    """Accept listens until stopped; they land from the data folder."""
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
            dropped = f", and {journal.torn} cut short are dropped: nobody was told that they are stored"
            told = f"what a killed intake left is in the landing folder: {journal.recovered} files of whole lines"
            print(told + dropped * bool(journal.torn), flush=True)
        config = uvicorn.Config(
            ScrobbleEndpoint(tokens, journal, requests).app,
            log_level="warning",
            access_log=False,  # addresses, and tokens of clients that put them in the query
            server_header=False,
            lifespan="on",
            ws="none",
            timeout_graceful_shutdown=DRAIN,
        )
        port = listening.getsockname()[1]
        into = landing if landing.remote else data
        ready = f"http://127.0.0.1:{port} takes listens as ListenBrainz does, into {into}; Ctrl-C ends it"
        server = _Server(config, ready)
        server.run(sockets=[listening])
        if outbox:
            outbox.end()
        if not server.started:
            raise TuttiError("the intake could not start: what is above tells why")


def _number(variable: str, default: int, least: int, most: int) -> int:
    """A setting from the environment."""
    given = os.environ.get(variable) or str(default)
    if not (given.isascii() and given.isdecimal() and len(given) < 11 and least <= int(given) <= most):
        raise TuttiError(f"{variable}={given} is not a number from {least} to {most}")
    return int(given)


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    """A socket that clients can connect to at once, on this machine alone."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
            listening.listen(1024)
        except OSError as error:
            raise TuttiError(
                f"port {port} is not to be had ({error.strerror}): end what serves there, or set TUTTI_SCROBBLE_PORT"
            ) from None
        yield listening
