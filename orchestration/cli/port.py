"""Ports of this machine that a command listens on."""

import os
import socket

from orchestration.cli.number import Number
from resources.errors import TuttiError

HOST = "127.0.0.1"  # this machine alone


def port(example: str) -> Number:
    """Return the type of an option that names a port."""
    return Number("port", example, 1, 65_535)


def listen(number: int, another: str) -> socket.socket:
    """Open a port. Raises `TuttiError` if it cannot be had, with `another` as the way out."""
    try:
        return socket.create_server((HOST, number))
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise TuttiError(f"port {number} cannot be had ({reason}): name another, {another}") from None
