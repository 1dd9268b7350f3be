"""Tables of listens that exporters make of Last.fm's and Libre.fm's histories, whatever their columns are called.

Seen in the wild: `uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid` (ghan.nl), four columns without
headings and `06 Sep 2026, 14:23` (benjaminbenben.com), `Artist;Album;AlbumId;Track;Date#user` in milliseconds
(lastfmstats.com, also as JSON), and Libre.fm's own `Artist,Track,Album,Time` after comment lines. A time that is no
number is UTC. What is loved, and the MBIDs, are left where they are.

A time without seconds makes another source of a table: what it tells is compared less closely with what others tell.
"""

import re
from datetime import UTC, datetime
from typing import Any

from resources.sources.readers.csv_records import ARTIST, RELEASE, TIME, TITLE
from resources.sources.records.listen import Listen, Malformed, as_number, instant, needed, text, whose

NAME, LIBRE, TO_THE_MINUTE = "lastfm", "librefm", "lastfm_minutes"
EXPORT = "Libre.fm"

WRITTEN = re.compile(r"([0-9]{1,2}) ([A-Z][a-z]{2})[a-z]* ([0-9]{4}),? ([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SECONDS = re.compile(r".*[0-9]{1,2}:[0-9]{2}:[0-9]{2}.*")
ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*")
MILLISECONDS = 100_000_000_000  # from here on: in seconds it is the year 5138


def recognize(record: dict[str, Any]) -> bool:
    """Whether a record has the shape of this format; it may lack what a listen needs.

    In JSON, much that has artist, title and date is no listen: only what lastfmstats.com writes is taken.
    """
    written = all(isinstance(value, str) for value in record.values())  # as in a table of text
    if not written and not ("albumId" in record and "date" in record):
        return False
    return isinstance(_of(record, ARTIST), str) and _of(record, TITLE) is not None and _of(record, TIME) is not None


def parse(record: dict[str, Any], listener: str | None) -> Listen:
    """The listen a record tells of; the listener given goes before the one that the headings name."""
    user_id = whose(listener, record, "user_name")
    name, time = _time(record)
    exact = not isinstance(time, str) or time.isdigit() or SECONDS.fullmatch(time)
    return Listen(
        user_id=user_id,
        listened_at=_instant(name, time),
        ms_played=None,
        source=(LIBRE if "time" in record and "uts" not in record else NAME) if exact else TO_THE_MINUTE,
        time_zone=None,
        artist_name=needed(_of(record, ARTIST), "artist"),
        recording_name=needed(_of(record, TITLE), "title"),
        release_name=text(_of(record, RELEASE), "album"),
        recording_mbid=None,
        artist_mbids=(),
        isrc=None,
        source_ref=None,
        client=None,
    )


def _of(record: dict[str, Any], names: tuple[str, ...]) -> Any:
    """What the first of these columns holds, None where there is none of them."""
    return next((record[name] for name in names if name in record), None)


def _time(record: dict[str, Any]) -> tuple[str, Any]:
    """The surest of the times told, and its column."""
    told = [(name, record[name]) for name in TIME if name in record and record[name] not in (None, "")]
    if not told:
        raise Malformed("no time")
    name, time = told[0]
    return name, time.strip() if isinstance(time, str) else time


def _instant(name: str, value: object) -> datetime:
    value = as_number(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return instant(value // 1000 if value >= MILLISECONDS else value, name)
    try:
        if isinstance(value, str) and (written := WRITTEN.fullmatch(value)) and written[2] in MONTHS:
            day, month, year = int(written[1]), MONTHS.index(written[2]) + 1, int(written[3])
            hour, minute, second = (int(part or 0) for part in written.groups()[3:])
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        if isinstance(value, str) and ISO.fullmatch(value):
            found = datetime.fromisoformat(value.removesuffix(" UTC"))
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Malformed(f"{name} is not a time such as 1695047940 or 18 Sep 2023, 14:39")
