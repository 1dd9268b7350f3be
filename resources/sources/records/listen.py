"""A listen as its source tells it, and what became of each record of a file, listen or not.

Every export format turns its records into `Listen`s with the helpers below, so that the same name, time or MBID is
accepted or refused whatever file it came in. Limits are ListenBrainz's own where it has one.
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

EARLIEST = datetime(
    2002, 10, 1, tzinfo=UTC
)  # ListenBrainz accepts nothing older: Last.fm, the first to log listens, opened then
CLOCK_SKEW = timedelta(hours=1)  # how far a listener's clock may run ahead of ours, as in ListenBrainz
LONGEST_PLAY_MS = 24 * 86_400_000  # 24 days, ListenBrainz's limit: a longer play is a wrong unit

YEAR_10000 = 253_402_300_800  # seconds from EPOCH: no datetime reaches it, every time in milliseconds since 1978 does
DIGITS = re.compile(r"[0-9]{1,15}")
MBID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")  # ISO 3901, without the hyphens it is shown with


class Malformed(Exception):
    """Why a record cannot become a listen. Never quotes the record's own text, which may be personal."""


class Nameless(Malformed):
    """Neither the record nor the operator says whose listen it is."""


class PassedOver(Exception):
    """What a well-formed record is, if not music."""


@dataclass(frozen=True, slots=True)
class Listen:
    """One listen as its source tells it."""

    user_id: str
    listened_at: datetime  # start of play, aware, UTC, microseconds
    ms_played: int | None
    source: str  # the service or program that kept it: "spotify", "listenbrainz"
    time_zone: str | None  # a valid IANA name
    artist_name: str
    recording_name: str
    release_name: str | None
    recording_mbid: str | None
    artist_mbids: tuple[str, ...]
    isrc: str | None
    source_ref: str | None  # the source's own id of the track: spotify:track:…
    client: str | None  # the program that submitted it: with `source`, the feed it came by


@dataclass(frozen=True, slots=True)
class Read:
    """One record of a file and what became of it: what it tells, a reason to quarantine it, or passed over."""

    file: str  # the file's own name, in a zip "archive.zip/member"; never a path of the person's machine
    record: int  # line number (from 1) in JSON lines, index (from 0) in a list
    found: object = None  # a `Listen`, or what other kinds of records tell
    reason: str | None = None
    raw: str | None = None  # the record's text, personal fields cut, at most 10,000 characters
    skipped: str | None = None  # "a podcast episode": counted, not quarantined


def untimely(instant: datetime, now: datetime, did: str = "listened at") -> str | None:
    """Why nobody can have `did` something at `instant`, if so."""
    if instant < EARLIEST:
        return f"{did} {instant.isoformat()}, before {EARLIEST.date()}, when the first listen was logged"
    if instant > now + CLOCK_SKEW:
        return f"{did} {instant.isoformat()}, which has not come yet"
    return None


def instant(seconds: object, field: str) -> datetime:
    """Seconds since 1970 (int or Decimal, to the microsecond) as a UTC time; Malformed for anything else."""
    if seconds is None:
        raise Malformed(f"no {field}")
    if isinstance(seconds, bool) or not isinstance(seconds, int | Decimal):
        raise Malformed(f"{field} is not a number of seconds")
    if seconds < 0:
        raise Malformed(f"{field} is negative")
    # A time is rounded before it is compared, but only one of a sane size: 1e999999 has a million digits.
    micros = round(seconds * 1_000_000) if seconds < YEAR_10000 else None
    if micros is None or micros >= YEAR_10000 * 1_000_000:
        raise Malformed(f"{field} is beyond the year 9999: in milliseconds or finer instead of seconds?")
    return EPOCH + timedelta(microseconds=micros)


def whose(listener: str | None, record: Mapping[str, Any] | None = None, *fields: str, what: str = "listen") -> str:
    """Who is meant: the listener given, else whom the first of a record's fields names; Nameless if there is nobody."""
    told = record or {}
    found = listener or next(filter(None, (text(told.get(field), field) for field in fields)), None)
    if not found:
        raise Nameless(f"it does not say whose {what} it is")
    return found


def as_number(value: object) -> object:
    """A whole number that is written as text, as that number; anything else as it is."""
    return int(value) if isinstance(value, str) and DIGITS.fullmatch(value) else value


def ms_of(seconds: object) -> int | None:
    """Seconds that a play lasted in milliseconds; anything that cannot be that counts as absent."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | Decimal):
        return None
    return round(seconds * 1000) if 0 <= seconds <= LONGEST_PLAY_MS // 1000 else None


def text(value: object, field: str) -> str | None:
    """Text without the space around it, None where there is none; Malformed if no table can hold it."""
    if not isinstance(value, str):
        return None
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Malformed(f"{field} holds half a character (a lone surrogate)") from None
    if "\0" in value:
        raise Malformed(f"{field} holds a NUL character")
    return value.strip() or None


def free_text(value: object) -> str | None:
    """Text of a field that may hold anything: absent where no table can hold it."""
    try:
        return text(value, "")
    except Malformed:
        return None


def needed(value: object, field: str) -> str:
    """Text that must be there."""
    found = text(value, field)
    if found is None:
        raise Malformed(f"no {field}" if value is None or isinstance(value, str) else f"{field} is not text")
    return found


def mbid(value: object) -> str | None:
    """A MusicBrainz identifier in lower case; anything else counts as absent."""
    lower = value.strip().lower() if isinstance(value, str) else ""
    return lower if MBID.fullmatch(lower) else None


def mbids(values: object) -> tuple[str, ...]:
    """All identifiers of a list, or none: part of an artist credit would pass for the whole of it."""
    found = [mbid(value) for value in values] if isinstance(values, list) else []
    return tuple(value for value in found if value) if all(found) else ()


def isrc(value: object) -> str | None:
    """An ISRC in its compact form; anything else counts as absent."""
    compact = value.replace("-", "").strip().upper() if isinstance(value, str) else ""
    return compact if ISRC.fullmatch(compact) else None


def time_zone(value: object) -> str | None:
    """An IANA zone name; anything else counts as absent."""
    return value if isinstance(value, str) and value in _zones() else None


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
