"""Pull a user's listens and feedback from a service into the landing folder, day by day.

Each page lands as a file. The progress beside the files records where a later pull resumes after a kill. A day is done
once all its pages have landed; today is never done.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from hashlib import sha256
from importlib import import_module
from typing import Any
from urllib.parse import quote

from resources.dates import A_DAY, date_ranges
from resources.pulls.landing_files import (
    Log,
    clear_drafts,
    keep_progress,
    land,
    moment,
    one_pull,
    portions,
    progress,
)
from resources.services.api import Api, Record, checked_user_name
from resources.storage import Storage

FEEDBACK = "feedback"  # folder for feedback, beside the folders of days
MAX_FOLDER_BYTES = 120  # file systems allow 255
FEEDBACK_LINES = 1000  # in a file

SERVICES = ("listenbrainz", "lastfm")
"""The services that store listens: each is a module of `resources.services` with a `NAME` and a `connect`."""


@dataclass
class Progress:
    """How far the pulls of a user have come."""

    done: list[str] = field(default_factory=list)  # "first...last", as few spans as possible
    cursors: dict[str, Any] = field(default_factory=dict)  # where to resume, by span
    feedback: bool = False  # whether all feedback was pulled after the last day

    @classmethod
    def of(cls, folder: Storage) -> "Progress":
        """Read the progress from a user's folder. If it cannot be read, everything is pulled again."""
        stored = progress(folder)
        try:
            parsed = cls(list(stored["done"]), dict(stored["cursors"]), stored.get("feedback") is True)
            parsed.days()
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()
        return parsed

    def days(self) -> set[date]:
        """Return the days that are done."""
        spans = ([date.fromisoformat(day) for day in span.split("...")] for span in self.done)
        return {day for first, last in spans for day in _days(first, last)}

    def add(self, days: Iterable[date]) -> None:
        """Mark more days as done."""
        self.done = [_span(*stretch) for stretch in date_ranges({*self.days(), *days})]

    def keep(self, folder: Storage) -> None:
        """Write the progress to a user's folder."""
        keep_progress(folder, asdict(self))


def pull(
    api: Api,
    user: str,
    first: date,
    last: date,
    landing: Storage,
    now: datetime,
    *,
    refetch: bool = False,
    feedback: bool = True,
    log: Log = len,
) -> Counter[str]:
    """Pull a user's listens from `first` through `last` and all feedback, and count what was new.

    Days that are done are skipped unless `refetch`. Feedback has no days: it is pulled after every pull of a day. The
    counter has the keys days, listens, feedback and files. Raises `TuttiError` if the service fails; files that have
    landed stay.
    """
    user = checked_user_name(user)
    pulled, today = Counter[str](days=0, listens=0, feedback=0, files=0), now.date()
    service = landing / "listens" / api.NAME
    folder = service / folder_name(user)
    with one_pull(service, log):
        state = Progress.of(folder)
        done = set() if refetch else state.days()
        for stretch in date_ranges({*_days(first, min(last, today - A_DAY))} - done):
            _pull_days(api, user, *stretch, _midnight(stretch[1] + A_DAY), folder, state, pulled, log)
        if first <= today <= last:
            state.cursors.pop(_span(today, today), None)  # there are newer listens by now
            _pull_days(api, user, today, today, int(now.timestamp()) + 1, folder, state, pulled, log)
        if feedback and not state.feedback:
            records = api.feedback(user)
            pulled["feedback"] = len(records)
            for n, portion in enumerate(portions(records, FEEDBACK_LINES)):
                pulled["files"] += land(folder / FEEDBACK, f"{n:07d}", _lines(portion))
            state.feedback = True
            state.keep(folder)
    return pulled


def connect(service: str, environ: Mapping[str, str], log: Log) -> Api:
    """Connect to a service with the settings in environment variables.

    Raises `TuttiError` if a required variable is missing.
    """
    api: Api = import_module(f"resources.services.{service}").connect(environ, log)
    return api


def folder_name(user: str) -> str:
    """Return the name of a user's folder: unique, not hidden, and inside its parent for any user name."""
    name = quote(user, safe="").replace(".", "%2E")
    if len(name) <= MAX_FOLDER_BYTES:
        return name
    return f"{name[: MAX_FOLDER_BYTES - 65]}~{sha256(user.encode()).hexdigest()}"


def _pull_days(
    api: Api,
    user: str,
    first: date,
    last: date,
    until: int,
    folder: Storage,
    state: Progress,
    pulled: Counter[str],
    log: Log,
) -> None:
    """Pull the listens of days before `until`, page by page. Resumes where an earlier pull of the same days stopped."""
    span = _span(first, last)
    clear_drafts(folder / span)
    cursor = state.cursors.get(span)
    state.feedback = False
    if cursor is not None:
        log(f"{api.NAME}: {user} from {first} through {last} resumes where it stopped")
    for page in api.listens(user, _midnight(first), until, cursor):
        if page.records:
            oldest = datetime.fromtimestamp(min(map(_started_at, page.records)), UTC)
            pulled["files"] += land(folder / span, moment(oldest), _lines(page.records))
        pulled["listens"] += len(page.records)
        state.cursors[span] = page.cursor
        if page.cursor is None:
            del state.cursors[span]
            pulled["days"] += (last - first).days + 1
            state.add(_days(first, last) if until == _midnight(last + A_DAY) else ())  # today is not over
        state.keep(folder)
        log(f"{api.NAME}: {user} from {first} through {last}: {pulled['listens']:,} listens")


def _lines(records: Iterable[Record]) -> list[str]:
    """Write records as lines, oldest first. The order is total: services return equal times in any order."""
    return [line for _, line in sorted((_started_at(record), json.dumps(record, sort_keys=True)) for record in records)]


def _started_at(record: Record) -> int:
    """Return when a listen began, in seconds since 1970; 0 if the record has no valid time."""
    date = record.get("date")
    value = str(record.get("listened_at", date.get("uts") if isinstance(date, dict) else None))
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 12 else 0


def _span(first: date, last: date) -> str:
    return f"{first}...{last}"


def _days(first: date, last: date) -> Iterator[date]:
    return (first + n * A_DAY for n in range((last - first).days + 1))


def _midnight(day: date) -> int:
    """Return the UTC midnight that begins a day, in seconds since 1970."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
