"""Pulls: what services keep of a user, day by day, into the landing folder.

A page is a file of JSON lines that appears whole and is never changed; its name tells its content, so that the same
page pulled twice is one file. Beside the files, hidden, stands how far the pull has come: after a kill it goes on with
the first page that is missing. A day is done once all its pages have landed; today never is.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from resources.dates import A_DAY, stretches
from resources.errors import TuttiError
from resources.files import clear_drafts, whole
from resources.services import lastfm as lastfm_api
from resources.services import listenbrainz as listenbrainz_api
from resources.services.api import Api, Record, named
from resources.services.lastfm import LastFm
from resources.services.listenbrainz import ListenBrainz
from resources.services.web import Web

PROGRESS = ".pull.json"  # hidden from whoever reads the landing folder
LOCK = ".pull.lock"
FEEDBACK = "feedback"  # the folder beside those of days
LONGEST_FOLDER = 120  # bytes: file systems allow 255
LINES = 1000  # of feedback in a file

Tell = Callable[[str], object]


def listenbrainz(environ: Mapping[str, str], tell: Tell) -> Api:
    """ListenBrainz, as the environment says; listens are public, a token raises the rate limit."""
    token = environ.get("TUTTI_LISTENBRAINZ_TOKEN", "").strip()
    url = environ.get("TUTTI_LISTENBRAINZ_URL") or listenbrainz_api.URL
    authorization = f"Token {token}" if token else None
    return ListenBrainz(Web("ListenBrainz", url, authorization=authorization, agent=agent_of(environ), tell=tell))


def lastfm(environ: Mapping[str, str], tell: Tell) -> Api:
    """Last.fm, as the environment says. Raises `TuttiError` where no key is given."""
    key = environ.get("TUTTI_LASTFM_API_KEY", "").strip()
    if not key:
        raise TuttiError(f"Last.fm wants a key: {lastfm_api.KEY}")
    url = environ.get("TUTTI_LASTFM_URL") or lastfm_api.URL
    web = Web("Last.fm", url, secrets=[key], agent=agent_of(environ), pace=lastfm_api.PACE, tell=tell)
    return LastFm(web, key)


SERVICES: Mapping[str, Callable[[Mapping[str, str], Tell], Api]] = {
    listenbrainz_api.NAME: listenbrainz,
    lastfm_api.NAME: lastfm,
}


@dataclass
class Pulled:
    """What a pull brought: requests that were no use are not counted, nor are days that were done before."""

    days: int = 0
    listens: int = 0
    feedback: int = 0
    files: int = 0


@dataclass
class Progress:
    """How far the pulls of a user have come: the days that are done, where in others to go on, and feedback."""

    done: list[str] = field(default_factory=list)  # "first...last", each as long as can be
    cursors: dict[str, Any] = field(default_factory=dict)  # by days, written in the same way
    feedback: bool = False  # whether all of it was pulled since the last day was

    @classmethod
    def of(cls, folder: Path) -> "Progress":
        """As kept in a user's folder; of one that cannot be read, nothing: all is asked for again."""
        try:
            told = json.loads((folder / PROGRESS).read_bytes())
            found = cls(list(told["done"]), dict(told["cursors"]), told.get("feedback") is True)
            found.days()
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()
        return found

    def days(self) -> set[date]:
        """The days that are done."""
        spans = ([date.fromisoformat(day) for day in span.split("...")] for span in self.done)
        return {day for first, last in spans for day in _days(first, last)}

    def add(self, days: Iterable[date]) -> None:
        """More days are done."""
        self.done = [_span(*stretch) for stretch in stretches({*self.days(), *days})]

    def keep(self, folder: Path) -> None:
        """Keep it in a user's folder, whole or not at all."""
        write(folder / PROGRESS, json.dumps(asdict(self)).encode())


def pull(
    api: Api,
    user: str,
    first: date,
    last: date,
    landing: Path,
    now: datetime,
    *,
    again: bool = False,
    feedback: bool = True,
    tell: Tell = len,
) -> Pulled:
    """Pull a user's days from `first` to `last`, both included, and all feedback; `again` also days that are done.

    Feedback has no days: it is asked for whenever a day was.
    Waits while another pull asks the same service. Raises `TuttiError` with what to do; what has landed stays.
    """
    user = named(user)
    pulled, today = Pulled(), now.date()
    service = landing / "listens" / api.NAME
    folder = service / folder_name(user)
    folder.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(service, tell):
        progress = Progress.of(folder)
        done = set() if again else progress.days()
        for stretch in stretches({*_days(first, min(last, today - A_DAY))} - done):
            _pull_days(api, user, *stretch, _midnight(stretch[1] + A_DAY), folder, progress, pulled, tell)
        if first <= today <= last:
            progress.cursors.pop(_span(today, today), None)  # more was heard since
            _pull_days(api, user, today, today, int(now.timestamp()) + 1, folder, progress, pulled, tell)
        if feedback and not progress.feedback:
            records = api.feedback(user)
            pulled.feedback = len(records)
            for n in range(0, len(records), LINES):
                pulled.files += _land(folder / FEEDBACK, records[n : n + LINES], f"{n:07d}")
            progress.feedback = True
            progress.keep(folder)
    return pulled


def folder_name(user: str) -> str:
    """A user's name as that of a folder: no two users share one, and none leads elsewhere or is hidden."""
    name = quote(user, safe="").replace(".", "%2E")
    if len(name) <= LONGEST_FOLDER:
        return name
    return f"{name[: LONGEST_FOLDER - 65]}~{hashlib.sha256(user.encode()).hexdigest()}"


def _pull_days(
    api: Api,
    user: str,
    first: date,
    last: date,
    until: int,
    folder: Path,
    progress: Progress,
    pulled: Pulled,
    tell: Tell,
) -> None:
    """The listens of days before `until`, page by page, from where an earlier pull of the same days stopped."""
    span = _span(first, last)
    clear_drafts(folder / span)
    cursor = progress.cursors.get(span)
    progress.feedback = False
    if cursor is not None:
        tell(f"{api.NAME}: {user} from {first} through {last} goes on where it stopped")
    for page in api.listens(user, _midnight(first), until, cursor):
        if page.records:
            pulled.files += _land(folder / span, page.records, _since(page.records))
        pulled.listens += len(page.records)
        progress.cursors[span] = page.cursor
        if page.cursor is None:
            del progress.cursors[span]
            pulled.days += (last - first).days + 1
            progress.add(_days(first, last) if until == _midnight(last + A_DAY) else ())  # today is not over
        progress.keep(folder)
        tell(f"{api.NAME}: {user} from {first} through {last}: {pulled.listens:,} listens")


def _land(folder: Path, records: Sequence[Record], sorts: str) -> bool:
    """Write records as a file, unless the same are there; whether it is new."""
    lines = sorted(
        (_began(record), json.dumps(record, sort_keys=True)) for record in records
    )  # total: equal times vary
    content = "".join(f"{line}\n" for _, line in lines).encode()
    path = folder / f"{sorts}-{hashlib.sha256(content).hexdigest()[:32]}.jsonl"
    if path.exists():
        return False
    write(path, content)
    return True


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, in a folder that is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as file:
        file.write(content)


@contextmanager
def one_at_a_time(folder: Path, tell: Tell) -> Iterator[None]:
    """One pull of a service at a time on this machine, however it was started; the kernel frees a killed one's."""
    lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"{folder.name}: another pull is at work; this one waits until it has ended")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _since(records: Sequence[Record]) -> str:
    """When the oldest of some records was heard, as part of a file's name: names sort as times do."""
    return f"{datetime.fromtimestamp(min(map(_began, records)), UTC):%Y%m%dT%H%M%SZ}"


def _began(record: Record) -> int:
    """When a listen began, in seconds since 1970; 0 where it does not tell."""
    date = record.get("date")
    told = str(record.get("listened_at", date.get("uts") if isinstance(date, dict) else None))
    return int(told) if told.isascii() and told.isdecimal() and len(told) < 12 else 0


def _span(first: date, last: date) -> str:
    return f"{first}...{last}"


def _days(first: date, last: date) -> Iterator[date]:
    return (first + n * A_DAY for n in range((last - first).days + 1))


def _midnight(day: date) -> int:
    """Seconds from 1970 to the UTC midnight that begins the day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def agent_of(environ: Mapping[str, str]) -> str | None:
    """Who asks, as the environment says."""
    return environ.get("TUTTI_USER_AGENT", "").strip() or None
