"""Application events: JSON lines of what people did in a program, in whichever version of it.

    {"event": "seek", "event_id": "0b7e…", "user_id": "ada", "timestamp": "2025-03-03T08:00:01.250Z",
     "client": "Tutti Player", "client_version": "2.1", "schema_version": 2,
     "properties": {"recording_mbid": "…", "position_ms": 60000, "to_ms": 45000}}

The names follow Segment's spec (https://www.twilio.com/docs/segment/connections/spec/common, …/track, …/page), whose
`track` and `page` calls are read as they are: `userId`, `messageId`, `context.app`. An event is `play`, `pause`,
`seek`, `skip`, `like`, `dislike`, `search`, `add_to_playlist` or `page_view`; another is kept under its own name.
Needed are `event`, `timestamp` (ISO 8601 with its zone, else seconds or milliseconds since 1970) and whose it is.

Programs change and old versions live on, so nothing here depends on a version. Each column has one type and some places
where it may be told. What can be read as that type is read, also a number written as text or text as a number, and
taken out of the record; what is left (a field nobody knew, a value of another type) is `extra`. So nothing is guessed
and nothing is lost but what is personal, and that is dropped wherever it is nested. A unit is part of a name:
`position_ms`, `position_s`.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import Any, TypeAlias

from resources.sources.readers import personal
from resources.sources.records.app_event import AppEvent
from resources.sources.records.listen import (
    LONGEST_PLAY_MS,
    YEAR_10000,
    Malformed,
    free_text,
    instant,
    mbid,
    needed,
    whose,
)

NAME = "app"
EXPORT = "application events"

HALLMARKS = {"event_id", "messageId", "user_id", "userId", "properties", "schema_version"}
VIEWS = ("page", "screen")  # Segment's calls that tell of a view and not of an event
READ, EXTRA, UNREADABLE, PERSONAL = "read", "extra", "unreadable", "personal"
DEEPEST, MOST, LONGEST = 4, 200, 100  # levels, fields and characters of a name that a shape tells of
NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")

Fields: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]
Read: TypeAlias = Callable[[Any], Any]


def recognize(record: Fields) -> bool:
    """Whether a record has the shape of this format."""
    named = "event" in record or record.get("type") in VIEWS
    return named and "timestamp" in record and not HALLMARKS.isdisjoint(record)


def parse(record: Fields, listener: str | None) -> AppEvent:
    """The event a record tells of; the listener given goes before the record's own."""
    try:
        return _event(record, listener)
    except RecursionError:
        raise Malformed("nested deeper than any event") from None


def _event(record: Fields, listener: str | None) -> AppEvent:
    told = _Told(record)
    view = record.get("type") in VIEWS and record.get("event") is None
    event = None if view else told.take(as_text, ("event",))
    user_id = told.take(as_text, ("user_id",), ("userId",))
    at = told.take(as_instant, ("timestamp",))
    event_id = told.take(as_text, ("event_id",), ("messageId",))
    return AppEvent(
        user_id=whose(listener, {"user_id": user_id}, "user_id", what="event"),
        at=at or _timely(record.get("timestamp")),
        event="page_view" if view else needed(event, "event"),
        event_id=event_id or _content(record),
        recording_mbid=told.property(mbid, "recording_mbid"),
        artist_name=told.property(as_text, "artist_name"),
        recording_name=told.property(as_text, "track_name", "recording_name"),
        release_name=told.property(as_text, "release_name"),
        position_ms=told.property(as_ms, "position_ms", "position_s"),
        to_ms=told.property(as_ms, "to_ms", "to_s"),
        query=told.property(as_text, "query"),
        playlist=told.property(as_text, "playlist", "playlist_id"),
        page=told.property(as_text, "page", "path", *(("name",) if view else ())),
        client=told.take(as_text, ("client",), ("context", "app", "name")),
        client_version=told.take(as_text, ("client_version",), ("context", "app", "version")),
        schema_version=told.take(as_text, ("schema_version",)),
        extra=told.extra(),
        shape=told.shape(),
    )


class _Told:
    """What a record tells, from which fields are taken as they are read."""

    def __init__(self, record: Fields) -> None:
        self.record = record
        self.left: Fields = personal.dropped(record) or {}
        self.outcomes: dict[Path, str] = {}

    def property(self, read: Read, *names: str) -> Any:
        """The value of the first of these names that can be read, among the properties or beside them."""
        return self.take(read, *(path for name in names for path in (("properties", name), (name,))))

    def take(self, read: Read, *paths: Path) -> Any:
        """The value at the first of these places that can be read; None where there is none."""
        for path in paths:
            around = self._around(path)
            if around is None:
                continue
            value = around[path[-1]]
            found = read(_thousandfold(value) if path[-1].endswith("_s") else value)
            if found is None and value is not None:
                self.outcomes[path] = UNREADABLE
                continue
            self.outcomes[path] = READ
            self._remove(path)
            if found is not None:
                return found
        return None

    def extra(self) -> str | None:
        """What was not read, as JSON that any table can hold."""
        if not self.left:
            return None
        kept = personal.scrubbed(_plain(self.left))
        told = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
        return told if _is_utf8(told) else json.dumps(kept, separators=(",", ":"))

    def shape(self) -> str:
        """Every field that the record had, with its type and what became of it."""
        lines = []
        for path, value in _leaves(self.record):
            outcome = self.outcomes.get(path, EXTRA)
            outcome = PERSONAL if any(map(personal.is_personal, path)) else outcome
            lines.append(f"{'.'.join(map(_name, path))}\t{_type(value)}\t{outcome}")
        return "\n".join(sorted(set(lines))[:MOST])

    def _around(self, path: Path) -> Fields | None:
        """The object that has a field, if there is one."""
        around: Any = self.left
        for name in path[:-1]:
            around = around.get(name) if isinstance(around, dict) else None
        return around if isinstance(around, dict) and path[-1] in around else None

    def _remove(self, path: Path) -> None:
        """Take a field out of what is left, and the objects that have nothing else."""
        around = self._around(path)
        if around is not None:
            del around[path[-1]]
            if not around and len(path) > 1:
                self._remove(path[:-1])


def as_text(value: object) -> str | None:
    """Text, or a number as its digits."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        value = str(value)
    return free_text(value)


def as_ms(value: object) -> int | None:
    """A whole number of milliseconds, also as text; a fraction is none, since it may be one of seconds."""
    number = as_decimal(value)
    if number is None or not 0 <= number <= LONGEST_PLAY_MS or number != int(number):
        return None
    return int(number)


def as_decimal(value: object) -> Decimal | None:
    """A number, also as text."""
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        value = Decimal(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return Decimal(value)


def as_instant(value: object) -> datetime | None:
    """ISO 8601 with its zone, or seconds or milliseconds since 1970, which differ in length since 1978."""
    number = as_decimal(value)
    try:
        if number is not None:
            return instant(number if number < YEAR_10000 else number / 1000, "timestamp")
        found = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
        return found.astimezone(UTC) if found and found.tzinfo else None
    except (Malformed, ValueError, OverflowError, ArithmeticError):
        return None


def _timely(value: object) -> datetime:
    """Raises Malformed with what is wrong with a time."""
    if value is None:
        raise Malformed("no timestamp")
    raise Malformed("timestamp is no time with its zone, such as 2024-05-06T07:08:09Z, nor a number since 1970")


def _thousandfold(seconds: object) -> Any:
    """Seconds in milliseconds, to the nearest; what is no number as it is."""
    number = as_decimal(seconds)
    return round(number * 1000) if number is not None and 0 <= number <= LONGEST_PLAY_MS else seconds


def _content(record: Fields) -> str:
    """What an event without an id of its own is known by: all that it says."""
    told = json.dumps(personal.dropped(record), sort_keys=True, default=str)
    return sha256(told.encode()).hexdigest()[:32]


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every field that is no object with fields of its own, as deep as shapes go."""
    for name, inner in value.items():
        here = (*path, name)
        if isinstance(inner, dict) and inner and len(here) < DEEPEST and not personal.is_personal(name):
            yield from _leaves(inner, here)
        else:
            yield here, inner


def _type(value: object) -> str:
    """A type as JSON Schema names it."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case Decimal() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


@lru_cache(maxsize=10_000)
def _name(key: str) -> str:
    """A key as a shape tells it, fit for a line of UTF-8."""
    return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "?", key)[:LONGEST]


def _plain(value: Any) -> Any:
    """The same with numbers as JSON writes them; one that a float would change is told as text."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        return float(value) if Decimal(repr(float(value))) == value else str(value)
    return value


def _is_utf8(told: str) -> bool:
    try:
        return told.isascii() or bool(told.encode())
    except UnicodeEncodeError:
        return False
