"""The guard in front of Dagster's web server: it refuses requests that pages of other sites make.

Dagster's web server has no login. It also executes mutations that are sent by GET, and does not check where a request
comes from. Without a guard, any page that is open in a browser on this machine could start jobs, such as an erasure.

The guard refuses

- unknown names in the Host header. A site could let its own name point to this machine (DNS rebinding).
- requests and websockets of other sites, by Origin and Sec-Fetch-Site. Browsers do not let pages change these headers.
- mutations by GET, which browsers send for images and links, some of them without those two headers.
- GraphQL in a body that is not JSON, which browsers send to other sites without asking the server first.

A link from another site may open a page of the UI. A login in front of the server needs that.
"""

import os
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qs

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from resources.errors import TuttiError

VARIABLE = "TUTTI_UI_HOSTS"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
AUTHORITY = r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
DEFAULT_PORTS = {"http": "80", "https": "443"}
OWN_SITE = {"same-origin", "none"}  # values of Sec-Fetch-Site; `none` is an address that somebody typed
READING = {"GET", "HEAD"}
GRAPHQL = {"application/json", "application/graphql"}
POLICY_VIOLATION = 1008  # code that closes a websocket
PROTECTION = {
    "X-Frame-Options": "SAMEORIGIN",  # another site could show the UI in a frame and let people click on it
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Authority(NamedTuple):
    """The name and the port of a server, as in an address."""

    name: str
    port: str | None

    @classmethod
    def of(cls, text: str) -> "Authority | None":
        """Parse `name` or `name:port`; return None if it is neither."""
        match = re.fullmatch(AUTHORITY, text.lower(), re.ASCII)
        return cls(match["name"], match["port"]) if match else None

    def matches(self, other: "Authority", scheme: str) -> bool:
        """Return whether both are the same server for the addresses of a scheme."""
        default = DEFAULT_PORTS[scheme]
        return (self.name, self.port or default) == (other.name, other.port or default)


def configured(environ: Mapping[str, str] = os.environ) -> list[Authority]:
    """Return the servers that TUTTI_UI_HOSTS names. Raises `TuttiError` if one is invalid."""
    hosts = []
    for text in environ.get(VARIABLE, "").replace(",", " ").split():
        if not (host := Authority.of(text)):
            raise TuttiError(
                f"invalid {VARIABLE}: {text!r}. Expected names as browsers show them, without https://, separated by "
                "commas, such as music.example.org"
            )
        hosts.append(host)
    return hosts


class Guard:
    """An ASGI application that passes the requests of its own pages and of programs to another application."""

    def __init__(self, app: ASGIApp, hosts: list[Authority]) -> None:
        """`hosts` are the names under which browsers reach the server, beside those of this machine."""
        self._app, self._hosts = app, hosts
        self._names = {*LOOPBACK, *(host.name for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request with 403, or close its websocket; pass on any other."""
        reason = None if scope["type"] == "lifespan" else self._refusal(scope)
        if reason is None:
            await self._app(scope, receive, send if scope["type"] != "http" else _protected(send))
        elif scope["type"] == "websocket":  # before it is accepted, which answers 403
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": reason})
        else:
            await PlainTextResponse(f"refused: {reason}\n", 403, PROTECTION)(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        """Return why a request is refused, or None."""
        headers = Headers(scope=scope)
        hosts = [Authority.of(text) for text in headers.getlist("host")]
        host = hosts[0] if len(hosts) == 1 else None
        if host is None or host.name not in self._names:
            return f"unknown name in the Host header. To serve the UI under this name, set {VARIABLE}."
        if any(not self._is_own(origin, host) for origin in headers.getlist("origin")):
            return (
                f"the request comes from a page of another site. If a proxy serves the UI, set {VARIABLE} to its name."
            )
        if not OWN_SITE.issuperset(headers.getlist("sec-fetch-site")) and not _opens_a_page(scope, headers):
            return "the request comes from a page of another site."
        if scope["type"] == "http" and _is_graphql(scope):
            return _graphql_refusal(scope, headers)
        return None

    def _is_own(self, origin: str, host: Authority) -> bool:
        """Return whether an origin is a page of this server; a proxy may have changed the Host header."""
        scheme, _, rest = origin.partition("://")
        page = Authority.of(rest)
        if page is None or scheme.lower() not in DEFAULT_PORTS:  # also `null`, the origin of sandboxed frames
            return False
        return any(page.matches(own, scheme.lower()) for own in (host, *self._hosts))


def _opens_a_page(scope: Scope, headers: Headers) -> bool:
    """Return whether a request opens a page of the UI in a tab, as a link does."""
    kind = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
    return scope["type"] == "http" and scope["method"] in READING and kind == ("navigate", "document")


def _is_graphql(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.rstrip("/").endswith("/graphql")


def _graphql_refusal(scope: Scope, headers: Headers) -> str | None:
    """Return why a GraphQL request is refused, or None."""
    if scope["method"] not in READING:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        return None if kind in GRAPHQL else "GraphQL needs the header Content-Type: application/json."
    queries = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True).get("query", [])
    return None if all(map(_only_reads, queries)) else "send mutations by POST."


def _only_reads(query: str) -> bool:
    """Return whether every operation of a GraphQL document is a query."""
    try:
        definitions = parse(query, no_location=True).definitions
    except (GraphQLError, RecursionError):
        return False
    return all(d.operation is OperationType.QUERY for d in definitions if isinstance(d, OperationDefinitionNode))


def _protected(send: Send) -> Send:
    """Return `send` with `PROTECTION` added to the headers of the response."""

    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(PROTECTION)
        await send(message)

    return add
