"""Ports that commands listen on, on this machine only."""

import os
import socket

from orchestration.cli.number import Number
from resources.errors import TuttiError

HOST = "127.0.0.1"


def port(example: str) -> Number:
    """Return the option type of a port number, with an example for its error message."""
    return Number("port", example, 1, 65_535)


def listen(number: int, example: str) -> socket.socket:
    """Return a socket that listens on a port. Raises `TuttiError` if the port is unavailable."""
    try:
        return socket.create_server((HOST, number))
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise TuttiError(f"port {number} is unavailable ({reason}). Use another one: `{example}`") from None
