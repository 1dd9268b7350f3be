"""The web: one polite client for every API that Tutti asks.

It waits when it is told to, asks again what was lost on the way, follows no redirect to another host, reads no more
than an answer can be, and says what is wrong in one line. What it says never holds a secret: a token goes into a
header, and a key that a service wants in the address is cut from all that is told. How an API writes its answers, the
modules that ask it know.
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

AGENT = (
    f"Tutti/{version('tutti')}"  # services ask programs to say who they are, some of them with an address to write to
)
CONNECT, READ = 10.0, 60.0  # seconds of silence: the slowest pages of ListenBrainz took 30
WHOLE = 300.0  # seconds for an answer, however steadily it trickles in
LARGEST = 64 << 20  # bytes: 1,000 listens of the largest size that ListenBrainz takes, with all it adds, are 20 MB
ATTEMPTS = 8  # over three minutes, with the waits between: longer than most restarts and overloads
FIRST, SLOWEST = 2.0, 60.0  # seconds between two attempts, where the service does not say: twice as many each time
LONGEST = 600.0  # seconds that we wait because a service says so: beyond, a person should know
REDIRECTS = 5
BLOCK = 1 << 16
BUSY = (429, 500, 502, 503, 504)  # gone when asked again
LOOPBACK = ("localhost", "127.0.0.1", "::1")
CUT = "[secret]"
SHOWN = 200  # characters of what a service says that a person is shown

T = TypeVar("T")


class Again(Exception):
    """Why an answer is of no use, where asking again may give a better one; `wait` is what the service asks for."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Unanswered(TuttiError):
    """A service that gave no answer, however often it was asked: it may give one later."""


class Web:
    """One service, asked by one program at a time: `read` makes of its answers what the caller wants."""

    def __init__(
        self,
        service: str,
        url: str,
        *,
        authorization: str | None = None,
        secrets: Iterable[str] = (),
        agent: str | None = None,
        pace: float = 0.0,
        log: Callable[[str], object] = len,
        attempts: int = ATTEMPTS,
        timeout: tuple[float, float] = (CONNECT, READ),
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """A client for the API at `url`; `pace` is the least number of seconds between two requests.

        Raises `TuttiError` for what is no web address.
        """
        self.service, self.url, self.host = service, url.rstrip("/"), _host(service, url)
        self.log = log
        self._attempts, self._timeout, self._pace = attempts, timeout, pace
        self._now, self._sleep = now, sleep
        self._free_at = 0.0
        self._met = False
        self._secrets = _spellings([*secrets, *([authorization, *authorization.split()[1:]] if authorization else [])])
        _LOGGED.hide(self._secrets)
        self._session = _Session(self._in_turn)
        self._session.max_redirects = REDIRECTS
        self._session.headers.update({"User-Agent": agent or AGENT, "Accept": "application/json"})
        self._session.auth = _Authorization(authorization)

    def get(self, path: str, query: Mapping[str, str | int], read: Callable[[int, Any], T]) -> T:
        """What `read` makes of the answer: of its status and its JSON, which is None where an error comes without.

        `read` raises `Again` for an answer that is not to be believed, `TuttiError` for one that is final. Raises
        `Unanswered` once the service was asked often enough.
        """
        asking = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=_wait,
            retry=tenacity.retry_if_exception_type(Again),
            before_sleep=self._log_wait,
            sleep=self._sleep,
            reraise=True,
        )
        reason = ""
        try:
            return asking(self._ask, path, query, read)
        except Again as again:
            reason = str(again)
        raise self._unanswered(f"{self._attempts} times in a row ({reason})")

    def shown(self, text: object) -> str:
        """What a service says, without secrets and fit for a line."""
        line = " ".join(str(text).split())
        for secret in self._secrets:
            line = line.replace(secret, CUT)
        line = line[:SHOWN]
        return line if line.isprintable() else ascii(line)[1:-1]

    def _ask(self, path: str, query: Mapping[str, str | int], read: Callable[[int, Any], T]) -> T:
        status, headers, body = self._fetch(f"{self.url}{path}", query)
        self._free_at = self._now() + max(self._pace, _rate_limit(headers, self._now()) if _spent(headers) else 0.0)
        if status in BUSY:
            self._turn_away(status, headers)
        return read(status, _value(status, headers, body))

    def _in_turn(self) -> None:
        """Wait until a request is allowed; a redirect that is followed is one as well."""
        if (wait := self._free_at - self._now()) > 0:
            self._sleep(wait)
        self._free_at = self._now() + self._pace

    def _fetch(self, url: str, query: Mapping[str, str | int]) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of an answer. What libraries raise names the address, and is not passed on."""
        problem, absent = "", False
        try:
            with self._session.get(url, params=query, timeout=self._timeout, stream=True) as response:
                self._met = True
                return response.status_code, response.headers, self._body(response)
        except (requests.TooManyRedirects, _LedAway):
            pass  # told below, where the library's own words are forgotten
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            problem = "no answer in time"
        except (requests.exceptions.SSLError, urllib3.exceptions.SSLError):
            problem = "no connection that can be trusted"
        except (requests.ConnectionError, urllib3.exceptions.ProtocolError) as error:
            problem, absent = "the connection failed or was cut", self._absent(error)
        except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
            problem = f"the answer could not be read ({type(error).__name__})"
        if absent:
            raise Unanswered(f"nothing listens at {self.host}, where {self.service} is to be asked: was it started?")
        if problem:
            raise Again(problem)
        raise TuttiError(f"{self.service} ({self.host}) sends us elsewhere: check the address it is asked at")

    def _absent(self, error: BaseException | None) -> bool:
        """Whether this machine says that no such service runs on it, and none did: a person waits for nothing then."""
        while error and not isinstance(error, ConnectionRefusedError):
            error = error.__context__
        return error is not None and not self._met and is_here(self.url)

    def _body(self, response: requests.Response) -> bytes:
        """The body of an answer, read as it comes, so that neither its size nor its time is without bound."""
        body, end = bytearray(), time.monotonic() + WHOLE
        while block := response.raw.read1(BLOCK, decode_content=True):
            body += block
            if len(body) > LARGEST:
                raise TuttiError(f"{self.service} ({self.host}) answers with more than any page holds: is it the API?")
            if time.monotonic() > end:
                raise requests.Timeout
        return bytes(body)

    def _turn_away(self, status: int, headers: Mapping[str, str]) -> NoReturn:
        """The service is busy: wait as long as it says, unless that is too long."""
        wait = _retry_after(headers, self._now())
        if wait is None and _spent(headers):
            wait = _rate_limit(headers, self._now())
        if wait is not None and wait > LONGEST:
            minutes = f"{wait / 60:,.0f} minutes" if wait < 86_400 else "more than a day"
            raise self._unanswered(f"({status}) and wants to be left alone for {minutes}")
        raise Again("too many requests (429)" if status == 429 else f"overloaded or down ({status})", wait)

    def _unanswered(self, how: str) -> Unanswered:
        return Unanswered(
            f"{self.service} ({self.host}) did not answer as it should, {how}: try again later; what came before stays"
        )

    def _log_wait(self, state: tenacity.RetryCallState) -> None:
        seconds = state.next_action.sleep if state.next_action else 0
        reason = state.outcome.exception() if state.outcome else ""
        self.log(f"{self.service}: {reason}; asked again in {seconds:.0f} s")


class _LedAway(Exception):
    """A redirect to another host."""


class _Session(requests.Session):
    """Follows redirects within a host alone, in turn, and never from a safe connection to an unsafe one."""

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
                raise _LedAway
        return target


class _Authorization(requests.auth.AuthBase):
    """The header, or none: without this, the library would take a password from a file in the home folder."""

    def __init__(self, value: str | None) -> None:
        self.value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.value:
            request.headers["Authorization"] = self.value
        return request


class _Hiding(logging.Filter):
    """Cuts secrets from what the library below logs of each request: its address, query and all."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: set[str] = set()

    def hide(self, secrets: Iterable[str]) -> None:
        self._secrets.update(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.getMessage()
        for secret in self._secrets:
            line = line.replace(secret, CUT)
        record.msg, record.args = line, ()
        return True


_LOGGED = _Hiding()
for _name in ("urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_LOGGED)


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds until the next attempt: what the service asks for, else more each time; never the same for two of us."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, Again) and error.wait is not None:
        return error.wait + random.random()
    return tenacity.wait_exponential_jitter(multiplier=FIRST, max=SLOWEST, jitter=FIRST)(state)


def _value(status: int, headers: Mapping[str, str], body: bytes) -> Any:
    """The JSON of an answer. Raises `Again` where it is broken; an error may come without any."""
    try:
        return json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        pass
    if status == 200 or "json" in headers.get("Content-Type", "").lower():
        raise Again("broken JSON")
    return None


def _refuse(literal: str) -> NoReturn:
    raise ValueError(literal)  # NaN and its like are no JSON


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that `Retry-After` asks for, in either of its forms."""
    told = headers.get("Retry-After", "").strip()
    if (seconds := _seconds(told)) is not None:
        return seconds
    try:
        return max(0.0, email.utils.parsedate_to_datetime(told).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _spent(headers: Mapping[str, str]) -> bool:
    """Whether the next request would be one too many."""
    return _seconds(headers.get("X-RateLimit-Remaining", "")) == 0


def _rate_limit(headers: Mapping[str, str], now: float) -> float:
    """Seconds until more requests are allowed."""
    if (reset_in := _seconds(headers.get("X-RateLimit-Reset-In", ""))) is not None:
        return min(reset_in, LONGEST)
    reset = _seconds(headers.get("X-RateLimit-Reset", ""))
    return min(max(0.0, reset - now), LONGEST) if reset is not None else 1.0


def _seconds(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,12}(?:\.\d{1,6})?", text.strip()) else None


def _host(service: str, url: str) -> str:
    """The host of an address, as it may be shown: without user, password and query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise TuttiError(f"the address of {service} is none: write it as https://api.example.org, with nothing secret")
    return f"{parts.hostname}{port}"


def _spellings(secrets: Iterable[str]) -> list[str]:
    """Each secret as it may occur in an address or a text, longest first."""
    found = {
        spelled for secret in secrets if secret for spelled in (secret, quote(secret, safe=""), quote_plus(secret))
    }
    return sorted(found, key=len, reverse=True)


def is_here(url: str) -> bool:
    """Whether an address is one of this machine."""
    return host_of(url) in LOOPBACK


def agent_of(environ: Mapping[str, str]) -> str | None:
    """Return how this program names itself to services, if TUTTI_USER_AGENT says so."""
    return environ.get("TUTTI_USER_AGENT", "").strip() or None


def host_of(url: str) -> str:
    """The host that an address names; nothing where it names none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""
