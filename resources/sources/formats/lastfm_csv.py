"""CSV tables of listens that third-party exporters write for Last.fm and Libre.fm, with any column names.

Known layouts:

- ghan.nl: `uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid`.
- benjaminbenben.com: four columns without headings, times as `06 Sep 2026, 14:23`.
- lastfmstats.com: `Artist;Album;AlbumId;Track;Date#user` in milliseconds, also as JSON.
- Libre.fm: `Artist,Track,Album,Time` after comment lines.

A formatted time is UTC. Loved tracks and MBIDs are not read. A table of times without seconds gets a source of its own,
because its listens are compared less exactly when duplicates are sought.
"""

import re
from datetime import UTC, datetime
from typing import Any

from resources.sources.readers.csv_records import ARTIST, RELEASE, TIME, TITLE
from resources.sources.records.listen import (
    Listen,
    Malformed,
    find_listener,
    instant,
    optional_text,
    parse_number,
    required_text,
)

NAME, LIBRE, TO_THE_MINUTE = "lastfm", "librefm", "lastfm_minutes"
EXPORT = "Libre.fm"

WRITTEN_TIME = re.compile(r"([0-9]{1,2}) ([A-Z][a-z]{2})[a-z]* ([0-9]{4}),? ([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SECONDS = re.compile(r".*[0-9]{1,2}:[0-9]{2}:[0-9]{2}.*")
ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*")
FIRST_MS = 100_000_000_000  # numbers from here on are milliseconds: in seconds this is the year 5138


def recognize(record: dict[str, Any]) -> bool:
    """Return whether a record has the keys of this format.

    JSON is only recognized as written by lastfmstats.com: other objects with artist, title and date are not listens.
    """
    from_csv = all(isinstance(value, str) for value in record.values())
    if not from_csv and not ("albumId" in record and "date" in record):
        return False
    return isinstance(_of(record, ARTIST), str) and _of(record, TITLE) is not None and _of(record, TIME) is not None


def parse(record: dict[str, Any], listener: str | None) -> Listen:
    """Parse a listen. `listener` takes precedence over the one named in the headings."""
    user_id = find_listener(listener, record, "user_name")
    name, time = _time(record)
    exact = not isinstance(time, str) or time.isdigit() or SECONDS.fullmatch(time)
    return Listen(
        user_id=user_id,
        listened_at=_instant(name, time),
        ms_played=None,
        source=(LIBRE if "time" in record and "uts" not in record else NAME) if exact else TO_THE_MINUTE,
        time_zone=None,
        artist_name=required_text(_of(record, ARTIST), "artist"),
        recording_name=required_text(_of(record, TITLE), "title"),
        release_name=optional_text(_of(record, RELEASE), "album"),
        recording_mbid=None,
        artist_mbids=(),
        isrc=None,
        source_ref=None,
        client=None,
    )


def _of(record: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Return the value of the first of these columns that exists, or None."""
    return next((record[name] for name in names if name in record), None)


def _time(record: dict[str, Any]) -> tuple[str, Any]:
    """Return the name and value of the most exact time column that is not empty."""
    times = [(name, record[name]) for name in TIME if name in record and record[name] not in (None, "")]
    if not times:
        raise Malformed("time is missing")
    name, time = times[0]
    return name, time.strip() if isinstance(time, str) else time


def _instant(name: str, value: object) -> datetime:
    value = parse_number(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return instant(value // 1000 if value >= FIRST_MS else value, name)
    try:
        if isinstance(value, str) and (written := WRITTEN_TIME.fullmatch(value)) and written[2] in MONTHS:
            day, month, year = int(written[1]), MONTHS.index(written[2]) + 1, int(written[3])
            hour, minute, second = (int(part or 0) for part in written.groups()[3:])
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        if isinstance(value, str) and ISO.fullmatch(value):
            at = datetime.fromisoformat(value.removesuffix(" UTC"))
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Malformed(f"{name} is not in a known format, such as 1695047940 or 18 Sep 2023, 14:39")
