"""Application events: JSON lines of what listeners did in a program, in any version of it.

    {"event": "seek", "event_id": "0b7e…", "user_id": "ada", "timestamp": "2025-03-03T08:00:01.250Z",
     "client": "Tutti Player", "client_version": "2.1", "schema_version": 2,
     "properties": {"recording_mbid": "…", "position_ms": 60000, "to_ms": 45000}}

The names follow Segment's spec (https://www.twilio.com/docs/segment/connections/spec/common, …/track, …/page), whose
`track` and `page` calls are accepted unchanged: `userId`, `messageId`, `context.app`. An event is `play`, `pause`,
`seek`, `skip`, `like`, `dislike`, `search`, `add_to_playlist` or `page_view`. Others are stored under their own name.
Required are `event`, `timestamp` (ISO 8601 with its zone, else seconds or milliseconds since 1970) and the listener.

Programs change and old versions stay in use, so nothing here depends on a version. Each column has one type and a list
of fields that may contain it. A value that can be read as that type is moved to the column, including a number written
as text and text written as a number. Unknown fields and values of another type stay in `extra`. Only personal fields
are dropped, at any depth. A unit is part of a name: `position_ms`, `position_s`.
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
    MAX_PLAY_MS,
    YEAR_10000,
    Malformed,
    find_listener,
    free_text,
    instant,
    mbid,
    required_text,
)

NAME = "app"
EXPORT = "application events"

HALLMARKS = {"event_id", "messageId", "user_id", "userId", "properties", "schema_version"}
VIEWS = ("page", "screen")  # Segment's calls that report a view instead of an event
READ, EXTRA, UNREADABLE, PERSONAL = "read", "extra", "unreadable", "personal"
# Limits of a shape.
MAX_DEPTH = 4
MAX_FIELDS = 200
MAX_NAME_CHARS = 100
NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")

Fields: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]
Reader: TypeAlias = Callable[[Any], Any]


def recognize(record: Fields) -> bool:
    """Return whether a record has the keys of this format."""
    is_event = "event" in record or record.get("type") in VIEWS
    return is_event and "timestamp" in record and not HALLMARKS.isdisjoint(record)


def parse(record: Fields, listener: str | None) -> AppEvent:
    """Parse an event. `listener` takes precedence over the record's own."""
    try:
        return _event(record, listener)
    except RecursionError:
        raise Malformed("nested too deeply") from None


def _event(record: Fields, listener: str | None) -> AppEvent:
    fields = _FieldReader(record)
    view = record.get("type") in VIEWS and record.get("event") is None
    event = None if view else fields.take(as_text, ("event",))
    user_id = fields.take(as_text, ("user_id",), ("userId",))
    at = fields.take(as_instant, ("timestamp",))
    event_id = fields.take(as_text, ("event_id",), ("messageId",))
    return AppEvent(
        user_id=find_listener(listener, {"user_id": user_id}, "user_id", what="event"),
        at=at or _raise_invalid_time(record.get("timestamp")),
        event="page_view" if view else required_text(event, "event"),
        event_id=event_id or _content_id(record),
        recording_mbid=fields.property(mbid, "recording_mbid"),
        artist_name=fields.property(as_text, "artist_name"),
        recording_name=fields.property(as_text, "track_name", "recording_name"),
        release_name=fields.property(as_text, "release_name"),
        position_ms=fields.property(as_ms, "position_ms", "position_s"),
        to_ms=fields.property(as_ms, "to_ms", "to_s"),
        query=fields.property(as_text, "query"),
        playlist=fields.property(as_text, "playlist", "playlist_id"),
        page=fields.property(as_text, "page", "path", *(("name",) if view else ())),
        client=fields.take(as_text, ("client",), ("context", "app", "name")),
        client_version=fields.take(as_text, ("client_version",), ("context", "app", "version")),
        schema_version=fields.take(as_text, ("schema_version",)),
        extra=fields.extra(),
        shape=fields.shape(),
    )


class _FieldReader:
    """A record whose fields are removed as they are read, so that the rest becomes `extra`."""

    def __init__(self, record: Fields) -> None:
        self.record = record
        self.rest: Fields = personal.drop_personal_fields(record) or {}
        self.outcomes: dict[Path, str] = {}

    def property(self, read: Reader, *names: str) -> Any:
        """Read the first valid field of these names, in `properties` or at the top level."""
        return self.take(read, *(path for name in names for path in (("properties", name), (name,))))

    def take(self, read: Reader, *paths: Path) -> Any:
        """Read and remove the first valid field of these paths. Return None if there is none."""
        for path in paths:
            parent = self._parent(path)
            if parent is None:
                continue
            value = parent[path[-1]]
            parsed = read(_to_ms(value) if path[-1].endswith("_s") else value)
            if parsed is None and value is not None:
                self.outcomes[path] = UNREADABLE
                continue
            self.outcomes[path] = READ
            self._remove(path)
            if parsed is not None:
                return parsed
        return None

    def extra(self) -> str | None:
        """Return the fields that were not read, as JSON that any table can store."""
        if not self.rest:
            return None
        rest = personal.redact_addresses(_plain(self.rest))
        text = json.dumps(rest, ensure_ascii=False, separators=(",", ":"))
        return text if _is_utf8(text) else json.dumps(rest, separators=(",", ":"))

    def shape(self) -> str:
        """Return a line for every field of the record: path, type and outcome, separated by tabs."""
        lines = []
        for path, value in _leaves(self.record):
            outcome = self.outcomes.get(path, EXTRA)
            outcome = PERSONAL if any(map(personal.is_personal, path)) else outcome
            lines.append(f"{'.'.join(map(_name, path))}\t{_type(value)}\t{outcome}")
        return "\n".join(sorted(set(lines))[:MAX_FIELDS])

    def _parent(self, path: Path) -> Fields | None:
        """Return the object that has the field at a path, or None."""
        parent: Any = self.rest
        for name in path[:-1]:
            parent = parent.get(name) if isinstance(parent, dict) else None
        return parent if isinstance(parent, dict) and path[-1] in parent else None

    def _remove(self, path: Path) -> None:
        """Remove a field from the rest, and objects that become empty."""
        parent = self._parent(path)
        if parent is not None:
            del parent[path[-1]]
            if not parent and len(path) > 1:
                self._remove(path[:-1])


def as_text(value: object) -> str | None:
    """Return a text, or the digits of a number."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        value = str(value)
    return free_text(value)


def as_ms(value: object) -> int | None:
    """Return a whole number of milliseconds, also from text. A fraction is invalid, because it may be seconds."""
    number = as_decimal(value)
    if number is None or not 0 <= number <= MAX_PLAY_MS or number != int(number):
        return None
    return int(number)


def as_decimal(value: object) -> Decimal | None:
    """Return a number, also from text."""
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        value = Decimal(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return Decimal(value)


def as_instant(value: object) -> datetime | None:
    """Parse ISO 8601 with its zone, or seconds or milliseconds since 1970, which differ in size since 1978."""
    number = as_decimal(value)
    try:
        if number is not None:
            return instant(number if number < YEAR_10000 else number / 1000, "timestamp")
        at = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
        return at.astimezone(UTC) if at and at.tzinfo else None
    except (Malformed, ValueError, OverflowError, ArithmeticError):
        return None


def _raise_invalid_time(value: object) -> datetime:
    """Raise Malformed with the problem of a timestamp."""
    if value is None:
        raise Malformed("timestamp is missing")
    raise Malformed("timestamp is not a time with zone, such as 2024-05-06T07:08:09Z, nor a number since 1970")


def _to_ms(seconds: object) -> Any:
    """Convert seconds to milliseconds, rounded. A value that is not a number is returned unchanged."""
    number = as_decimal(seconds)
    return round(number * 1000) if number is not None and 0 <= number <= MAX_PLAY_MS else seconds


def _content_id(record: Fields) -> str:
    """Return the id of an event without one of its own: a hash of its content."""
    content = json.dumps(personal.drop_personal_fields(record), sort_keys=True, default=str)
    return sha256(content.encode()).hexdigest()[:32]


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every field that has no fields of its own, up to MAX_DEPTH."""
    for name, inner in value.items():
        here = (*path, name)
        if isinstance(inner, dict) and inner and len(here) < MAX_DEPTH and not personal.is_personal(name):
            yield from _leaves(inner, here)
        else:
            yield here, inner


def _type(value: object) -> str:
    """Return the JSON Schema name of a value's type."""
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
    """Return a key without characters that a line of UTF-8 cannot contain, cut to MAX_NAME_CHARS."""
    return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "?", key)[:MAX_NAME_CHARS]


def _plain(value: Any) -> Any:
    """Return a copy with Decimals as floats, or as text if a float would change them."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        return float(value) if Decimal(repr(float(value))) == value else str(value)
    return value


def _is_utf8(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False
