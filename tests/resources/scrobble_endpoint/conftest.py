"""A front door that serves from a thread of the test's own process: a test can stand between it and the disk."""

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
from resources.scrobble_endpoint.tokens import Tokens
from tests.resources.scrobble_endpoint.support import TOKEN, authorized, lines


@dataclass
class Door:
    """Where an intake serves, and the folder that it fills."""

    url: str
    journal: Journal

    def post(self, content: Any, token: str = TOKEN, **headers: str) -> requests.Response:
        """Submit a body: bytes (or parts of it) as they are, else as JSON."""
        given = {"json": content} if isinstance(content, dict) else {"data": content}
        return requests.post(f"{self.url}/1/submit-listens", headers=authorized(token) | headers, timeout=60, **given)

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(f"{self.url}{path}", headers=headers, timeout=60)

    def landed(self) -> list[dict[str, Any]]:
        """Every line on disk, also of the file that is still hidden."""
        return lines(self.journal.folder)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    journal = Journal(tmp_path / "landing" / "listens" / "scrobbles")
    app = ScrobbleEndpoint(Tokens(f"ada:{TOKEN}, bob:another:one"), journal, requests=200).app
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield Door(f"http://127.0.0.1:{listening.getsockname()[1]}", journal)
        server.should_exit = True
        thread.join(timeout=60)
        assert not thread.is_alive()
