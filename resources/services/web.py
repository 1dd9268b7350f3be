"""The HTTP client for all APIs that Tutti uses.

- It waits as services ask it to, and retries lost answers.
- It follows no redirect to another host, and limits the size and time of an answer.
- Its errors are one line and never contain a secret: tokens are sent in a header, and keys in addresses are cut from
  messages and logs.

The format of an API's answers belongs in the API's own module.
"""

import email.utils
import json
import logging
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote, quote_plus, urljoin, urlsplit

import requests
import tenacity
import urllib3

from resources.errors import TuttiError
from resources.text.printable import printable

AGENT = f"Tutti/{version('tutti')}"  # services ask programs to identify themselves
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 60.0  # without data; the slowest pages of ListenBrainz took 30 s
ANSWER_TIMEOUT_S = 300.0  # for a whole answer, even if data arrives steadily
MAX_ANSWER_BYTES = 64 << 20  # 1,000 listens of ListenBrainz's maximum size, with its own additions, are 20 MB
ATTEMPTS = 8  # with the waits between them over three minutes, longer than most restarts and overloads
MIN_WAIT_S, MAX_WAIT_S = 2.0, 60.0  # between two attempts, doubled each time, if the service does not name a time
MAX_REQUESTED_WAIT_S = 600.0  # if a service asks for more, the request fails
REDIRECTS = 5
BLOCK_BYTES = 1 << 16
BUSY = (429, 500, 502, 503, 504)  # status codes to retry
LOOPBACK = ("localhost", "127.0.0.1", "::1")
REDACTED = "[secret]"
MAX_SHOWN_CHARS = 200  # of a service's text in our messages

T = TypeVar("T")


class Retry(Exception):
    """An unusable answer that a retry may improve, with the reason; `wait` is the time to wait in seconds, if known."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Unanswered(TuttiError):
    """The service gave no usable answer in all attempts; a later attempt may succeed."""


class Web:
    """A client of one service, for one thread at a time."""

    def __init__(
        self,
        service: str,
        url: str,
        *,
        authorization: str | None = None,
        secrets: Iterable[str] = (),
        agent: str | None = None,
        min_interval_s: float = 0.0,
        log: Callable[[str], object] = len,
        attempts: int = ATTEMPTS,
        timeout: tuple[float, float] = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Make a client for the API at `url`; `min_interval_s` is the minimum time between two requests.

        `secrets` are removed from messages and logs. `timeout` is the connect and read timeout in seconds. Raises
        `TuttiError` if `url` is not a web address.
        """
        self.service, self.url, self.host = service, url.rstrip("/"), _host(service, url)
        self.log = log
        self._attempts, self._timeout, self._min_interval_s = attempts, timeout, min_interval_s
        self._now, self._sleep = now, sleep
        self._free_at = 0.0
        self._was_reachable = False
        self._secrets = _spellings([*secrets, *([authorization, *authorization.split()[1:]] if authorization else [])])
        _LOGGED.hide(self._secrets)
        self._session = _Session(self._in_turn)
        self._session.max_redirects = REDIRECTS
        self._session.headers.update({"User-Agent": agent or AGENT, "Accept": "application/json"})
        self._session.auth = _Authorization(authorization)

    def get(self, path: str, query: Mapping[str, str | int], read: Callable[[int, Any], T]) -> T:
        """Request a path and return `read(status, value)`.

        `value` is the answer's JSON, or None if an error has none. `read` raises `Retry` to repeat the request, and
        `TuttiError` for a permanent error. Raises `Unanswered` after the last attempt.
        """
        asking = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=_wait,
            retry=tenacity.retry_if_exception_type(Retry),
            before_sleep=self._log_wait,
            sleep=self._sleep,
            reraise=True,
        )
        reason = ""
        try:
            return asking(self._ask, path, query, read)
        except Retry as again:
            reason = str(again)
        raise self._unanswered(f"gave no usable answer {self._attempts} times in a row ({reason})")

    def shown(self, text: object) -> str:
        """Return a service's text as one short line without secrets."""
        line = " ".join(str(text).split())
        for secret in self._secrets:
            line = line.replace(secret, REDACTED)
        return printable(line[:MAX_SHOWN_CHARS])

    def _ask(self, path: str, query: Mapping[str, str | int], read: Callable[[int, Any], T]) -> T:
        status, headers, body = self._fetch(f"{self.url}{path}", query)
        self._free_at = self._now() + max(
            self._min_interval_s, _rate_limit(headers, self._now()) if _spent(headers) else 0.0
        )
        if status in BUSY:
            self._turn_away(status, headers)
        return read(status, _value(status, headers, body))

    def _in_turn(self) -> None:
        """Wait until the next request is allowed; a redirect counts as a request."""
        if (wait := self._free_at - self._now()) > 0:
            self._sleep(wait)
        self._free_at = self._now() + self._min_interval_s

    def _fetch(self, url: str, query: Mapping[str, str | int]) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body of an answer.

        Errors of libraries contain the address, which may have a secret, so they are replaced.
        """
        problem, absent = "", False
        try:
            with self._session.get(url, params=query, timeout=self._timeout, stream=True) as response:
                self._was_reachable = True
                return response.status_code, response.headers, self._body(response)
        except (requests.TooManyRedirects, _OtherHost):
            pass  # raised below, without the library's error as its context
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            problem = "no answer in time"
        except (requests.exceptions.SSLError, urllib3.exceptions.SSLError):
            problem = "no connection that can be trusted"
        except (requests.ConnectionError, urllib3.exceptions.ProtocolError) as error:
            problem, absent = "the connection failed or was cut", self._absent(error)
        except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
            problem = f"the answer could not be read ({type(error).__name__})"
        if absent:
            raise Unanswered(
                f"nothing listens at {self.host}, the address of {self.service}. Start it, then try again."
            )
        if problem:
            raise Retry(problem)
        raise TuttiError(f"{self.service} ({self.host}) redirects to another host or in a circle. Check its address.")

    def _absent(self, error: BaseException | None) -> bool:
        """Return whether a retry is useless: a service on this machine was never reachable."""
        while error and not isinstance(error, ConnectionRefusedError):
            error = error.__context__
        return error is not None and not self._was_reachable and is_here(self.url)

    def _body(self, response: requests.Response) -> bytes:
        """Read the body of an answer, with a limit on its size and time."""
        body, end = bytearray(), time.monotonic() + ANSWER_TIMEOUT_S
        while block := response.raw.read1(BLOCK_BYTES, decode_content=True):
            body += block
            if len(body) > MAX_ANSWER_BYTES:
                raise TuttiError(
                    f"the answer of {self.service} ({self.host}) is larger than {MAX_ANSWER_BYTES >> 20} MB. "
                    "Check its address."
                )
            if time.monotonic() > end:
                raise requests.Timeout
        return bytes(body)

    def _turn_away(self, status: int, headers: Mapping[str, str]) -> NoReturn:
        """Raise `Retry` with the time that a busy service asks for, or `Unanswered` if that is too long."""
        wait = _retry_after(headers, self._now())
        if wait is None and _spent(headers):
            wait = _rate_limit(headers, self._now())
        if wait is not None and wait > MAX_REQUESTED_WAIT_S:
            minutes = f"{wait / 60:,.0f} minutes" if wait < 86_400 else "more than a day"
            raise self._unanswered(f"is busy ({status}) and asks to wait {minutes}")
        raise Retry("too many requests (429)" if status == 429 else f"overloaded or down ({status})", wait)

    def _unanswered(self, problem: str) -> Unanswered:
        return Unanswered(f"{self.service} ({self.host}) {problem}. Try again later; earlier answers are kept.")

    def _log_wait(self, state: tenacity.RetryCallState) -> None:
        seconds = state.next_action.sleep if state.next_action else 0
        reason = state.outcome.exception() if state.outcome else ""
        self.log(f"{self.service}: {reason}; retry in {seconds:.0f} s")


class _OtherHost(Exception):
    """A redirect to another host."""


class _Session(requests.Session):
    """Follows redirects only within a host, at the allowed rate, and never from https to http."""

    def __init__(self, in_turn: Callable[[], None]) -> None:
        super().__init__()
        self._in_turn = in_turn

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        self._in_turn()
        return super().send(request, **settings)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target: str | None = super().get_redirect_target(resp)
        if target is not None:
            here, there = urlsplit(resp.url), urlsplit(urljoin(resp.url, target))
            same = (here.scheme, here.netloc) == (there.scheme, there.netloc)
            safer = (here.scheme, here.hostname) == ("http", there.hostname) and there.scheme == "https"
            if not (same or safer):
                raise _OtherHost
        return target


class _Authorization(requests.auth.AuthBase):
    """Sets the Authorization header, or none. Without it, the library would use a password from ~/.netrc."""

    def __init__(self, value: str | None) -> None:
        self.value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.value:
            request.headers["Authorization"] = self.value
        return request


class _Hiding(logging.Filter):
    """Removes secrets from the requests' addresses in the logs of urllib3."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: set[str] = set()

    def hide(self, secrets: Iterable[str]) -> None:
        self._secrets.update(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.getMessage()
        for secret in self._secrets:
            line = line.replace(secret, REDACTED)
        record.msg, record.args = line, ()
        return True


_LOGGED = _Hiding()
for _name in ("urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_LOGGED)


def _wait(state: tenacity.RetryCallState) -> float:
    """Return the seconds until the next attempt, with a random part: as the service asks, or doubled each time."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, Retry) and error.wait is not None:
        return error.wait + random.random()
    return tenacity.wait_exponential_jitter(multiplier=MIN_WAIT_S, max=MAX_WAIT_S, jitter=MIN_WAIT_S)(state)


def _value(status: int, headers: Mapping[str, str], body: bytes) -> Any:
    """Return the JSON of an answer, or None if an error has none. Raises `Retry` if the JSON is broken."""
    try:
        return json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        pass
    if status == 200 or "json" in headers.get("Content-Type", "").lower():
        raise Retry("broken JSON")
    return None


def _refuse(literal: str) -> NoReturn:
    raise ValueError(literal)  # NaN and infinities are not valid JSON


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that `Retry-After` contains, as a number or as a date; None if it is missing or invalid."""
    value = headers.get("Retry-After", "").strip()
    if (seconds := _seconds(value)) is not None:
        return seconds
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _spent(headers: Mapping[str, str]) -> bool:
    """Return whether the rate limit allows no further request."""
    return _seconds(headers.get("X-RateLimit-Remaining", "")) == 0


def _rate_limit(headers: Mapping[str, str], now: float) -> float:
    """Return the seconds until more requests are allowed."""
    if (reset_in := _seconds(headers.get("X-RateLimit-Reset-In", ""))) is not None:
        return min(reset_in, MAX_REQUESTED_WAIT_S)
    reset = _seconds(headers.get("X-RateLimit-Reset", ""))
    return min(max(0.0, reset - now), MAX_REQUESTED_WAIT_S) if reset is not None else 1.0


def _seconds(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,12}(?:\.\d{1,6})?", text.strip()) else None


def _host(service: str, url: str) -> str:
    """Return the host of an address, without user, password and query. Raises `TuttiError` if it is invalid."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise TuttiError(
            f"invalid address of {service}. Write it as https://api.example.org, without user, password or query."
        )
    return f"{parts.hostname}{port}"


def _spellings(secrets: Iterable[str]) -> list[str]:
    """Return each secret in all forms that occur in addresses and texts, longest first."""
    forms = {
        spelled for secret in secrets if secret for spelled in (secret, quote(secret, safe=""), quote_plus(secret))
    }
    return sorted(forms, key=len, reverse=True)


def is_here(url: str) -> bool:
    """Return whether an address is on this machine."""
    return host_of(url) in LOOPBACK


def agent_of(environ: Mapping[str, str]) -> str | None:
    """Return the user agent in TUTTI_USER_AGENT, or None."""
    return environ.get("TUTTI_USER_AGENT", "").strip() or None


def host_of(url: str) -> str:
    """Return the host in an address; an empty text if there is none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""
