"""The guard of the web server, with each shape of request that a page of another site can make."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest
from starlette.types import Message, Receive, Scope, Send

from orchestration.web_server.guard import Guard, configured
from resources.errors import TuttiError

HOME, EVIL = "http://127.0.0.1:3000", "http://evil.example"
JSON = {"content-type": "application/json"}
MUTATION = "mutation Launch { launchRun { __typename } }"
GET = f"/graphql?query={quote(MUTATION)}"


def answer(
    method: str, target: str = "/", hosts: str = "", host: str | None = "127.0.0.1:3000", **headers: str
) -> tuple[int, dict[str, str]]:
    """Return the status and the headers of the answer to a request, or to a websocket handshake."""
    path, _, query = target.partition("?")
    pairs = [(b"host", each.encode()) for each in ([] if host is None else host.split("|"))]
    pairs += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    socket = method == "WEBSOCKET"
    scope = {"type": "websocket" if socket else "http", "path": path, "query_string": query.encode(), "headers": pairs}
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {"type": "websocket.accept"} if socket else {"type": "http.response.start", "status": 200, "headers": []}
        )

    async def send(message: Message) -> None:
        sent.append(message)

    guard = Guard(app, configured({"TUTTI_UI_HOSTS": hosts}))
    asyncio.run(guard(scope if socket else {**scope, "method": method}, receive=None, send=send))  # type: ignore[arg-type]
    if socket:
        return (200 if sent[0]["type"] == "websocket.accept" else 403), {}
    return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0].get("headers", ())}


def status(*args: Any, **kwargs: Any) -> int:
    return answer(*args, **kwargs)[0]


@pytest.mark.parametrize("method", ["GET", "POST", "WEBSOCKET"])
def test_pages_and_programs_of_this_machine_get_answers(method: str) -> None:
    target, kind = "/graphql", {"content_type": "application/json"}
    assert status(method, target, **kind) == 200  # a program sends neither Origin nor Sec-Fetch-Site
    for host in ("127.0.0.1:3000", "localhost:3000", "LocalHost", "[::1]:3000"):
        page = {"origin": f"http://{host}", "sec_fetch_site": "same-origin"}
        assert status(method, target, host=host, **page, **kind) == 200
    assert status(method, target, sec_fetch_site="none", **kind) == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PUT", "WEBSOCKET"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": EVIL},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://127.0.0.1:8080"},
        {"origin": "https://127.0.0.1:3000.evil.example"},
        {"origin": "http://127.0.0.1:3000@evil.example"},
        {"origin": f"{HOME}/"},
        {"origin": "file://"},
        {"origin": "chrome-extension://127.0.0.1:3000"},
        {"origin": HOME, "sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"},
    ],
)
def test_requests_of_other_sites_are_refused(method: str, headers: dict[str, str]) -> None:
    for path in ("/graphql", "/", "/logs/x/out", "/report_asset_materialization/x"):
        assert status(method, path, content_type="application/json", **headers) == 403


@pytest.mark.parametrize("method", ["GET", "POST", "WEBSOCKET"])
@pytest.mark.parametrize(
    "host",
    [
        *("evil.example:3000", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.1:3000|evil.example"),
        *("evil@127.0.0.1", "127.0.0.1:3000@evil.example", "0.0.0.0:3000", "127.1", "", None, "localhost:", "a b"),
    ],
)
def test_unknown_host_names_are_refused(method: str, host: str | None) -> None:
    assert status(method, "/", host=host) == 403
    assert status(method, "/", host=host, origin="http://evil.example:3000", sec_fetch_site="same-origin") == 403


@pytest.mark.parametrize(
    "query",
    [
        MUTATION,
        "{ version } mutation Launch { launchRun { __typename } }",
        f"# a comment\n\ufeff,,{MUTATION}",
        "subscription S { x }",
        "{ " * 5_000,
        "not GraphQL",
    ],
)
@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/prefix/graphql"])
def test_mutations_by_get_are_refused(query: str, path: str) -> None:
    for method in ("GET", "HEAD"):
        assert status(method, f"{path}?query={quote(query)}") == 403
        assert status(method, f"{path}?query={quote('{version}')}&query={quote(query)}") == 403
        assert status(method, f"{path}?query={quote(query)}", accept="text/html", sec_fetch_site="none") == 403


def test_queries_by_get_are_answered() -> None:
    assert status("GET", f"/graphql?query={quote('query Q { version } fragment F on Query { version }')}") == 200
    assert status("GET", "/graphql", accept="text/html") == 200


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "text/plain; application/json", "application/x-www-form-urlencoded", "multipart/form-data"],
)
def test_graphql_in_a_form_is_refused(kind: str) -> None:
    assert status("POST", GET, content_type=kind) == 403


def test_a_link_from_another_site_opens_a_page_but_runs_nothing() -> None:
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert status("GET", "/runs", **link) == 200
    assert status("GET", GET, **link) == 403
    assert status("POST", "/graphql", **link, content_type="application/json") == 403
    assert status("WEBSOCKET", "/graphql", **link) == 403


def test_no_other_site_can_show_or_embed_what_the_server_sends() -> None:
    for _, headers in (answer("GET"), answer("GET", origin=EVIL)):
        assert headers["x-frame-options"] == "SAMEORIGIN"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_setting_allows_the_name_of_a_proxy() -> None:
    page = {"origin": "https://music.example.org", "sec_fetch_site": "same-origin"}
    for method in ("GET", "POST", "WEBSOCKET"):
        for host in ("music.example.org", "127.0.0.1:3000"):  # a proxy keeps the Host header, or replaces it
            asked = {"host": host, "content_type": "application/json", **page}
            assert status(method, "/graphql", hosts="other.example, music.example.org", **asked) == 200
            assert status(method, "/graphql", hosts="other.example", **asked) == 403
        other_port = {"host": "127.0.0.1:3000", "origin": "https://music.example.org:8443"}
        assert status(method, "/", hosts="music.example.org", **other_port) == 403
        assert status(method, "/", hosts="music.example.org:8443", **other_port) == 200


@pytest.mark.parametrize("hosts", ["https://music.example.org", "*", "music.example.org/path", "a b@c"])
def test_an_invalid_setting_is_an_error(hosts: str) -> None:
    with pytest.raises(TuttiError, match="TUTTI_UI_HOSTS"):
        configured({"TUTTI_UI_HOSTS": hosts})
