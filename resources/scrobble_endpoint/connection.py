"""Connections of the scrobble endpoint: no client can keep one for long without sending, or keep others out.

uvicorn waits indefinitely for a request, for the rest of its header, and for a client that does not read. It also
accepts connections until the process has no file descriptors, and then resets everyone. So a connection here ends

- 10 seconds after it began to wait for a header, or after its client stopped reading;
- if there are too many connections and this one has waited for its client longest. Complete requests are answered.

The application has time-outs for bodies, which it answers. If a response ends a connection before the whole body has
arrived, the rest is read and dropped for a while. Otherwise the kernel would reset the connection, and the client would
not see the response.
"""

import resource
import time
from asyncio import Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

WAIT_S = 10  # for a header, for the next part of an unread body, and for a client that does not read
REST_S = 60  # for the rest of an unread body
CHECK_S = 1
MAX_HEADER_BYTES = 65_536
MAX_CONNECTIONS = 1_000
MAX_PIPELINED = 10  # requests that wait for the response to an earlier one; scrobblers send none


def max_connections() -> int:
    """Return how many connections this process may have: half of its file descriptors, at most `MAX_CONNECTIONS`.

    The other half is for files, and for connections between their acceptance and their end.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if limit == resource.RLIM_INFINITY else max(1, min(MAX_CONNECTIONS, limit // 2))


class Connection(HttpToolsProtocol):
    """A connection with time-outs, one of a limited number."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start to wait for a header. If there are too many connections, end the one that has waited longest."""
        super().connection_made(transport)
        self._last_received = time.monotonic()  # begin of a header, part of a body, or end of a response
        self._blocked_since: float | None = None  # the client does not read
        self._rest_since: float | None = None  # the response is complete, but the body of its request is not
        self._in_header, self._header_bytes, self._ends = True, 0, False
        self._timer = self.loop.call_later(CHECK_S, self._check)
        if len(self.connections) > max_connections():
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data, or drop it if the connection ends."""
        if self._ends:
            self._last_received = time.monotonic()
            return
        self._header_bytes += len(data) if self._in_header else 0
        super().data_received(data)
        if self._in_header and self._header_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("The header is too long.")

    def on_message_begin(self) -> None:
        """Start the time-out of a header."""
        super().on_message_begin()
        self._in_header, self._last_received = True, time.monotonic()

    def on_headers_complete(self) -> None:
        """Pass a request to the application. Raises `ValueError`, which is answered with 400, if too many wait."""
        super().on_headers_complete()
        if len(self.pipeline) > MAX_PIPELINED:  # a client could occupy the server with the rest of what it sent
            raise ValueError
        self._in_header, self._header_bytes, self._last_received = False, 0, time.monotonic()
        self.cycle.transport = _Ending(self, self.cycle)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """Pass a part of a body to the application."""
        super().on_body(body)
        self._last_received = time.monotonic()

    def on_message_complete(self) -> None:
        """Start to wait for the next request."""
        super().on_message_complete()
        self._in_header, self._rest_since = True, None

    def on_response_complete(self) -> None:
        """Start to wait for the rest of the request, or for the next one."""
        super().on_response_complete()
        self._last_received = time.monotonic()
        if not self._in_header:
            self._rest_since = self._last_received

    def pause_writing(self) -> None:
        """Start the time-out of a client that does not read."""
        super().pause_writing()
        self._blocked_since = time.monotonic()

    def resume_writing(self) -> None:
        """Stop the time-out of a client that does not read."""
        super().resume_writing()
        self._blocked_since = None

    def end(self, unread: bool) -> None:
        """Close the connection after a response. If a part of the body is unread, drop it first."""
        if unread and not self.transport.is_closing():
            self._ends = True
            self.transport.write_eof()
        else:
            self.transport.close()

    @property
    def waits_since(self) -> float | None:
        """Return since when the server has waited for the client, or None if the client waits for a response."""
        if self._blocked_since is not None:
            return self._blocked_since
        responds = self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
        return None if responds or self.pipeline else self._last_received

    def _make_room(self) -> None:
        """End the connection that has waited for its client longest; this one, if all others wait for a response."""
        kept = [each for each in self.connections if isinstance(each, Connection) and not each.transport.is_closing()]
        if len(kept) > max_connections():
            waits = [(each.waits_since, index) for index, each in enumerate(kept)]
            _, index = min((since, index) for since, index in waits if since is not None)
            kept[index].transport.abort()

    def _check(self) -> None:
        """End the connection if its time is up."""
        now, since = time.monotonic(), self.waits_since
        # Otherwise the application waits for the body.
        waits = self._in_header or self._rest_since is not None or self._blocked_since is not None
        late = waits and since is not None and now - since > WAIT_S
        if late or (self._rest_since is not None and now - self._rest_since > REST_S):
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(CHECK_S, self._check)


class _Ending:
    """The transport of a response. Closing it also reads the rest of the request."""

    def __init__(self, connection: Connection, request: RequestResponseCycle) -> None:
        self._connection, self._request = connection, request

    def close(self) -> None:
        self._connection.end(unread=self._request.more_body)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection.transport, name)
