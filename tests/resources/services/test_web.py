"""The HTTP client waits as services ask, retries lost answers, and fails with one line."""

import asyncio
import json
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import pytest

from resources.errors import TuttiError
from resources.sandbox.http.server import served
from resources.services import web
from resources.services.web import Retry, Unanswered, Web
from tests.serving import Clock

KEY, TOKEN = "k3y/with+signs", "t0ken-of-ann"
FINE: tuple[int, dict[str, str], bytes] = (200, {}, b'{"fine": true}')


@dataclass
class Service:
    """A service with scripted answers, of which the last one repeats: status, headers and body, or a function."""

    answers: list[Any]
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append({"path": scope["path"], "query": scope["query_string"].decode(), **headers})
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            await answer(send)
            return
        status, extra, body = answer
        length = {"content-length": str(len(body)), "content-type": "application/json"}
        await send(start(status, length | extra))
        await send({"type": "http.response.body", "body": body})


def start(status: int, headers: dict[str, str]) -> dict[str, Any]:
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


async def cut(send: Any) -> None:
    await send(start(200, {"content-length": "14"}))
    await send({"type": "http.response.body", "body": b'{"fine"', "more_body": True})


async def cut_between_chunks(send: Any) -> None:
    await send(start(200, {}))
    await send({"type": "http.response.body", "body": b'{"fine": true}', "more_body": True})


async def dead(send: Any) -> None:
    """Close the connection without an answer."""


async def silent(send: Any) -> None:
    await asyncio.sleep(1)
    await send(start(200, {"content-length": "2"}))
    await send({"type": "http.response.body", "body": b"{}"})


async def endless(send: Any) -> None:
    await send(start(200, {}))
    for _ in range(4_000):
        await send({"type": "http.response.body", "body": b" " * (1 << 16), "more_body": True})


@contextmanager
def asking(*answers: Any, **settings: Any) -> Iterator[tuple[Web, Service, Clock]]:
    service, clock = Service(list(answers)), Clock()
    with served(service) as url:
        settings = {"timeout": (2, 0.2), "now": clock.now, "sleep": clock.sleep} | settings
        yield Web("Example", url, **settings), service, clock


def fine(status: int, value: Any) -> Any:
    return status, value


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_busy_service_is_retried_until_it_answers(status: int) -> None:
    with asking((status, {}, b"oops"), (status, {}, b"oops"), FINE) as (client, service, clock):
        assert client.get("/x", {"a": 1}, fine) == (200, {"fine": True})
        assert [asked["query"] for asked in service.asked] == ["a=1"] * 3
        assert len(clock.slept) == 2
        assert 2 <= clock.slept[0] <= 4 <= clock.slept[1] <= 6  # longer each time, with a random part


@pytest.mark.parametrize("lost", [cut, cut_between_chunks, dead, silent, (200, {}, b'{"fine": tr'), (200, {}, b"")])
def test_lost_answer_is_requested_again(lost: Any) -> None:
    with asking(lost, FINE) as (client, service, clock):
        assert client.get("/x", {}, fine) == (200, {"fine": True})
        assert (len(service.asked), len(clock.slept)) == (2, 1)


def test_local_service_that_was_not_started_is_an_error_at_once() -> None:
    with asking(FINE) as (client, _, clock):
        assert client.get("/x", {}, fine) == (200, {"fine": True})
        never = Web("Example", client.url, sleep=clock.sleep)
    with pytest.raises(Unanswered, match=rf"^nothing listens at {client.host}, .*Example"):
        never.get("/x", {}, fine)
    assert clock.slept == []
    with pytest.raises(
        Unanswered, match="connection failed or was cut"
    ):  # it was reachable before, so it may be back soon
        client.get("/x", {}, fine)
    assert len(clock.slept) == 7


@pytest.mark.parametrize("body", [b"[NaN]", b"\xff\xfe", b"[" * 100_000, b"1" * 10_000, b"<html>"])
def test_invalid_json_is_requested_again(body: bytes) -> None:
    with asking((200, {}, body), FINE) as (client, service, _):
        assert client.get("/x", {}, fine) == (200, {"fine": True})
        assert len(service.asked) == 2


def test_honors_retry_after_in_seconds_and_as_a_date() -> None:
    date = formatdate(1_700_000_000 + 17 + 90, usegmt=True)
    answers = (429, {"Retry-After": "17"}, b""), (503, {"Retry-After": date}, b""), FINE
    with asking(*answers) as (client, _, clock):
        client.get("/x", {}, fine)
        assert 17 <= clock.slept[0] < 18
        assert 1_700_000_000 + 107 <= clock.time < 1_700_000_000 + 109


@pytest.mark.parametrize("value", ["soon", "-5", "", "1e9", "Mon, 99 Foo 2024"])
def test_invalid_retry_after_is_ignored(value: str) -> None:
    with asking((429, {"Retry-After": value}, b""), FINE) as (client, _, clock):
        client.get("/x", {}, fine)
        assert 2 <= clock.slept[0] <= 4


def test_service_that_asks_to_wait_for_hours_is_not_retried() -> None:
    with asking((429, {"Retry-After": "7200"}, b""), FINE) as (client, service, clock):
        with pytest.raises(Unanswered, match="120 minutes"):
            client.get("/x", {}, fine)
        assert (len(service.asked), clock.slept) == (1, [])


def test_waits_for_an_exhausted_rate_limit_before_the_next_request() -> None:
    spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-In": "7"}
    with asking((200, spent, b"{}"), (200, {"X-RateLimit-Remaining": "3"}, b"{}"), FINE) as (client, _, clock):
        client.get("/1", {}, fine)
        assert clock.slept == []
        client.get("/2", {}, fine)
        client.get("/3", {}, fine)
        assert clock.slept == [7]


def test_refusal_without_retry_after_waits_for_the_rate_limit() -> None:
    spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-In": "9"}
    with asking((429, spent, b""), FINE) as (client, _, clock):
        client.get("/x", {}, fine)
        assert 9 <= sum(clock.slept) < 10


def test_requests_keep_the_minimum_interval() -> None:
    with asking(FINE, min_interval_s=0.5) as (client, _, clock):
        for _ in range(3):
            client.get("/x", {}, fine)
        assert clock.slept == [0.5, 0.5]


@pytest.mark.parametrize(
    ("answer", "reason"), [((503, {}, b""), "503"), (cut, "cut"), ((200, {}, b"{"), "broken JSON")]
)
def test_last_attempt_ends_with_one_line_and_the_reason(answer: Any, reason: str) -> None:
    with asking(answer, attempts=3) as (client, service, clock):
        with pytest.raises(TuttiError) as raised:
            client.get("/x", {}, fine)
        assert (len(service.asked), len(clock.slept)) == (3, 2)
    line = str(raised.value)
    assert "\n" not in line
    assert "3 times" in line and reason in line


def test_reader_may_retry_or_fail() -> None:
    def read(status: int, value: Any) -> Any:
        if "fine" not in value:
            raise Retry("not fine")
        raise TuttiError("never fine")

    with asking((200, {}, b"{}"), FINE) as (client, service, _):
        with pytest.raises(TuttiError, match="never fine"):
            client.get("/x", {}, read)
        assert len(service.asked) == 2


def test_error_may_have_json_or_not() -> None:
    with asking((404, {}, b'{"error": "who?"}'), (404, {"content-type": "text/html"}, b"<html>")) as (client, _, _):
        assert client.get("/x", {}, fine) == (404, {"error": "who?"})
        assert client.get("/x", {}, fine) == (404, None)


def test_too_large_answer_is_not_read_to_its_end() -> None:
    with asking(endless, timeout=(2, 5)) as (client, service, _):
        with pytest.raises(TuttiError, match="64 MB"):
            client.get("/x", {}, fine)
        assert len(service.asked) == 1


def test_answer_that_arrives_too_slowly_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "ANSWER_TIMEOUT_S", 0.3)

    async def trickle(send: Any) -> None:
        await send(start(200, {}))
        for _ in range(20):
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(0.1)

    with asking(trickle, FINE) as (client, service, _):
        assert client.get("/x", {}, fine) == (200, {"fine": True})
        assert len(service.asked) == 2


def test_redirect_within_the_host_is_followed_with_the_token() -> None:
    moved = (301, {"Location": "/there?b=2"}, b"")
    with asking(moved, FINE, authorization=f"Token {TOKEN}") as (client, service, _):
        assert client.get("/here", {}, fine) == (200, {"fine": True})
        assert [asked["path"] for asked in service.asked] == ["/here", "/there"]
        assert service.asked[1]["authorization"] == f"Token {TOKEN}"


@pytest.mark.parametrize("where", ["http://localhost:{port}/x", "http://127.0.0.1:1/x", "//example.org/x", "file:///x"])
def test_redirect_to_another_host_is_not_followed(where: str) -> None:
    with asking(FINE) as (client, service, _):
        port = client.host.split(":")[1]
        service.answers = [(302, {"Location": where.format(port=port)}, b""), FINE]
        with pytest.raises(TuttiError, match="redirects"):
            client.get("/x", {}, fine)
        assert len(service.asked) == 1


def test_circle_of_redirects_ends() -> None:
    with asking((302, {"Location": "/x"}, b"")) as (client, service, _):
        with pytest.raises(TuttiError, match="redirects"):
            client.get("/x", {}, fine)
        assert len(service.asked) <= web.REDIRECTS + 1


def test_token_is_only_in_the_header_beside_a_user_agent() -> None:
    with asking(FINE, authorization=f"Token {TOKEN}", agent="Tutti/9 (ann@example.org)") as (client, service, _):
        client.get("/x", {}, fine)
        (asked,) = service.asked
        assert asked["authorization"] == f"Token {TOKEN}"
        assert asked["user-agent"] == "Tutti/9 (ann@example.org)"
        assert TOKEN not in asked["path"] + asked["query"]
    with asking(FINE) as (client, service, _):
        client.get("/x", {}, fine)
        assert service.asked[0]["user-agent"].startswith("Tutti/")
        assert "authorization" not in service.asked[0]


def test_passwords_of_netrc_are_not_sent(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password opensesame\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with asking(FINE) as (client, service, _):
        client.get("/x", {}, fine)
        assert "authorization" not in service.asked[0]


@pytest.mark.parametrize("answer", [(503, {}, b""), cut, dead, silent, (302, {"Location": "http://127.0.0.1:1/"}, b"")])
def test_no_error_traceback_or_log_contains_a_secret(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    lines: list[str] = []
    settings = {"secrets": [KEY], "authorization": f"Token {TOKEN}", "attempts": 2, "log": lines.append}
    with asking(answer, **settings) as (client, service, _):
        with pytest.raises(TuttiError) as error:
            client.get("/x", {"api_key": KEY}, fine)
        assert "api_key=k3y" in service.asked[0]["query"]  # the secret was sent
    trace = "".join(traceback.format_exception(error.value))
    assert answer is silent or "GET" in caplog.text  # the library did log the request
    for text in (str(error.value), trace, caplog.text, *lines):
        assert not [secret for secret in (KEY, "k3y%2Fwith%2Bsigns", TOKEN) if secret in text]
    seen: BaseException | None = error.value
    while seen:
        assert KEY not in repr(seen) and "k3y" not in repr(seen)
        seen = seen.__cause__ or seen.__context__


def test_text_of_a_service_is_shown_on_one_line_without_secrets() -> None:
    client = Web("Example", "https://example.org", secrets=[KEY])
    shown = client.shown(f"bad\nkey {KEY} \x1b[31m" + "x" * 1_000)
    assert "\n" not in shown and KEY not in shown and "\x1b" not in shown
    assert len(shown) < 300


@pytest.mark.parametrize("url", ["", "example.org", "ftp://example.org", "https://ann:secret@example.org", "http://[x"])
def test_invalid_web_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(TuttiError, match="invalid address of Example") as raised:
        Web("Example", url)
    assert "secret@" not in str(raised.value)


def test_compressed_answer_is_read() -> None:
    import gzip

    packed = gzip.compress(json.dumps({"fine": True, "more": "x" * 100_000}).encode())
    with asking((200, {"Content-Encoding": "gzip"}, packed)) as (client, _, _):
        assert client.get("/x", {}, fine)[1]["fine"] is True
