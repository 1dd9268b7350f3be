"""A scrobble endpoint in a thread of the test's own process, so that tests can patch its disk access."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from resources.scrobble_endpoint.app import ScrobbleEndpoint
from resources.scrobble_endpoint.journal import Journal
from resources.scrobble_endpoint.server import configuration
from resources.scrobble_endpoint.tokens import Tokens
from tests.resources.scrobble_endpoint.support import TOKEN, authorized, lines


@dataclass
class Endpoint:
    """A running scrobble endpoint: its address and its journal."""

    url: str
    journal: Journal

    def post(self, content: Any, token: str = TOKEN, **headers: str) -> requests.Response:
        """Submit a body: bytes or chunks unchanged, a dict as JSON."""
        body = {"json": content} if isinstance(content, dict) else {"data": content}
        return requests.post(f"{self.url}/1/submit-listens", headers=authorized(token) | headers, timeout=60, **body)

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(f"{self.url}{path}", headers=headers, timeout=60)

    def landed(self) -> list[dict[str, Any]]:
        """Return every line on disk, including those of the hidden file."""
        return lines(self.journal.folder)


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    journal = Journal(tmp_path / "landing" / "listens" / "scrobbles")
    app = ScrobbleEndpoint(Tokens(f"ada:{TOKEN}, bob:another:one"), journal, requests=200).app
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(configuration(app))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield Endpoint(f"http://127.0.0.1:{listening.getsockname()[1]}", journal)
        server.should_exit = True
        thread.join(timeout=60)
        assert not thread.is_alive()
