"""The `Listen` record, the result for each record of a file, and the field parsers that all formats share.

Every export format builds its records with the helpers below. So a name, a time or an MBID is accepted or rejected the
same way in every format. Limits are ListenBrainz's own if it has one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from resources.dates import EPOCH

# ListenBrainz accepts nothing older: Last.fm, the first service to log listens, opened then.
EARLIEST = datetime(2002, 10, 1, tzinfo=UTC)
CLOCK_SKEW = timedelta(hours=1)  # a listener's clock may be this far ahead of ours, as in ListenBrainz
MAX_PLAY_MS = 24 * 86_400_000  # 24 days, ListenBrainz's limit: a longer play has a wrong unit

# Seconds from EPOCH. No datetime reaches it, and every time since 1978 in milliseconds exceeds it.
YEAR_10000 = 253_402_300_800
DIGITS = re.compile(r"[0-9]{1,15}")
MBID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")  # ISO 3901, without hyphens


class Malformed(Exception):
    """Raised with the reason if a record is invalid. The reason never quotes text of the record: it may be personal."""


class MissingListener(Malformed):
    """Raised if neither the record nor the operator names the listener."""


class SkippedRecord(Exception):
    """Raised for a valid record that Tutti does not store, with what it is: "a chapter of an audiobook"."""


@dataclass(frozen=True, slots=True)
class Listen:
    """One listen as its source submitted it."""

    user_id: str
    listened_at: datetime  # start of play, aware, UTC, microseconds
    ms_played: int | None
    source: str  # the service or program that recorded it: "spotify", "listenbrainz"
    time_zone: str | None  # a valid IANA name
    artist_name: str
    recording_name: str
    release_name: str | None
    recording_mbid: str | None
    artist_mbids: tuple[str, ...]
    isrc: str | None
    source_ref: str | None  # the source's own id of the track: spotify:track:…
    client: str | None  # the program that submitted it. With `source` it identifies the feed.


@dataclass(frozen=True, slots=True)
class RecordResult:
    """The result for one record of a file: the parsed record, why it is quarantined, or why it is skipped."""

    file: str  # the file's own name, in a zip "archive.zip/member", and never a path of the listener's machine
    record: int  # line number (from 1) in text files, index (from 0) in JSON arrays, XSPF and Parquet
    parsed: object = None  # a `Listen` or another record type
    reason: str | None = None
    raw: str | None = None  # the record's text without personal fields, at most 10,000 characters
    skipped: str | None = None  # "a podcast episode": counted, not quarantined


def time_error(instant: datetime, now: datetime, verb: str = "listened at") -> str | None:
    """Return why `instant` is impossible as the time of an event, or None. `verb` begins the message."""
    if instant < EARLIEST:
        return f"{verb} {instant.isoformat()}, before {EARLIEST.date()}, when the first listen was logged"
    if instant > now + CLOCK_SKEW:
        return f"{verb} {instant.isoformat()}, which is in the future"
    return None


def instant(seconds: object, field: str) -> datetime:
    """Convert seconds since 1970 (int or Decimal, to the microsecond) to a UTC time. Raises Malformed otherwise."""
    if seconds is None:
        raise Malformed(f"{field} is missing")
    if isinstance(seconds, bool) or not isinstance(seconds, int | Decimal):
        raise Malformed(f"{field} is not a number of seconds")
    if seconds < 0:
        raise Malformed(f"{field} is negative")
    # Round before comparing, but only a plausible size: 1e999999 has a million digits.
    micros = round(seconds * 1_000_000) if seconds < YEAR_10000 else None
    if micros is None or micros >= YEAR_10000 * 1_000_000:
        raise Malformed(f"{field} is after the year 9999, probably in milliseconds or microseconds instead of seconds")
    return EPOCH + timedelta(microseconds=micros)


def find_listener(
    listener: str | None, record: Mapping[str, Any] | None = None, *fields: str, what: str = "listen"
) -> str:
    """Return the given listener, else the first of these fields of a record. Raises MissingListener if all are empty.

    `what` names the kind of record in the message.
    """
    values = record or {}
    name = listener or next(filter(None, (optional_text(values.get(field), field) for field in fields)), None)
    if not name:
        raise MissingListener(f"the {what} does not name its listener")
    return name


def parse_number(value: object) -> object:
    """Convert digits in a text to an integer. Any other value is returned unchanged."""
    return int(value) if isinstance(value, str) and DIGITS.fullmatch(value) else value


def ms_of(seconds: object) -> int | None:
    """Convert the played seconds (int or Decimal) to milliseconds. Return None for an impossible value."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | Decimal):
        return None
    return round(seconds * 1000) if 0 <= seconds <= MAX_PLAY_MS // 1000 else None


def optional_text(value: object, field: str) -> str | None:
    """Strip a text. Return None if it is empty or not text. Raises Malformed if no table can store it."""
    if not isinstance(value, str):
        return None
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Malformed(f"{field} contains half a character (a lone surrogate)") from None
    if "\0" in value:
        raise Malformed(f"{field} contains a NUL character")
    return value.strip() or None


def free_text(value: object) -> str | None:
    """Strip the text of an optional field. Return None if it is empty, not text, or no table can store it."""
    try:
        return optional_text(value, "")
    except Malformed:
        return None


def required_text(value: object, field: str) -> str:
    """Strip a text. Raises Malformed if it is absent, empty or not text, or no table can store it."""
    stripped = optional_text(value, field)
    if stripped is None:
        raise Malformed(f"{field} is missing" if value is None or isinstance(value, str) else f"{field} is not text")
    return stripped


def mbid(value: object) -> str | None:
    """Return a MusicBrainz identifier in lower case, or None if it is not valid."""
    lower = value.strip().lower() if isinstance(value, str) else ""
    return lower if MBID.fullmatch(lower) else None


def mbids(values: object) -> tuple[str, ...]:
    """Return all identifiers of a list, or none if one is invalid: part of an artist credit would look complete."""
    ids = [mbid(value) for value in values] if isinstance(values, list) else []
    return tuple(value for value in ids if value) if all(ids) else ()


def isrc(value: object) -> str | None:
    """Return an ISRC in its compact form, or None if it is not valid."""
    compact = value.replace("-", "").strip().upper() if isinstance(value, str) else ""
    return compact if ISRC.fullmatch(compact) else None


def time_zone(value: object) -> str | None:
    """Return an IANA zone name, or None if it is not valid."""
    return value if isinstance(value, str) and value in _zones() else None


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
