"""HetRec 2011's Last.fm data: friendships, and the tags that listeners assigned to artists.

Source: https://grouplens.org/datasets/hetrec-2011, `hetrec2011-lastfm-2k.zip` and its readme. Six text tables refer to
each other by number, so the zip or folder is read as one file: the names of artists and tags are read first. Listeners
are numbers and become `hetrec:2`, regardless of `LISTENER`. Friendships have no time. Tag assignments have a date in
Madrid, mostly the first of a month. One table has it as day, month and year, another as that midnight in milliseconds.
An impossible date, such as one in 1956, counts as absent. Play counts of artists have no time and are skipped.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from resources.sources.readers.archive import Member
from resources.sources.readers.csv_records import Lines
from resources.sources.readers.json_records import MAX_RECORD_CHARS, NOT_UTF8, TOO_LONG, Record
from resources.sources.records.listen import (
    DIGITS,
    EARLIEST,
    Malformed,
    SkippedRecord,
    instant,
    optional_text,
    required_text,
)
from resources.sources.records.social import FRIENDSHIP, Relationship, TagAssignment, between

NAME = "hetrec"
EXPORT = "HetRec 2011"

ARTISTS, TAGS = ("id", "name", "url", "pictureURL"), ("tagID", "tagValue")
FRIENDS, COUNTS = ("userID", "friendID"), ("userID", "artistID", "weight")
DATED = ("userID", "artistID", "tagID", "day", "month", "year")
TIMED = ("userID", "artistID", "tagID", "timestamp")
TABLES = (ARTISTS, TAGS, FRIENDS, COUNTS, DATED, TIMED)
MADRID = ZoneInfo("Europe/Madrid")  # the timestamps are midnights there
HEAD = 100  # bytes, enough for the longest headings
MAX_NAMES = 1_000_000  # kept in memory: the dataset has 17,632 artists and 11,946 tags

Names = tuple[dict[str, str], dict[str, str]]  # of artists and of tags, by number


def headings(head: bytes) -> tuple[str, ...] | None:
    """Return the headings of the table that begins with these bytes, or None if it is another file."""
    first = head.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].strip(b"\r").split(b"\t")
    return next((t for t in TABLES if first == [h.encode() for h in t]), None)


def names(members: Iterable[Member]) -> Names:
    """Return the names of the artists and of the tags, by number."""
    result: Names = ({}, {})
    for member in members:
        table = headings(member.peek(HEAD))
        if table in (ARTISTS, TAGS):
            names_by_number = result[table == TAGS]
            for record in records(member, table, result):
                if record.value and len(names_by_number) < MAX_NAMES:
                    names_by_number[record.value[table[0]]] = record.value[table[1]]
    return result


def records(member: Member, table: tuple[str, ...], names: Names) -> Iterator[Record]:
    """Yield the rows of a table, with the names of their artists and tags."""
    lines = Lines(member)
    lines.take()
    artists, tags = names
    while (line := lines.take()) is not None:
        line = line.rstrip("\r\n")
        row = line.split("\t")
        if not line:
            continue
        if len(line) > MAX_RECORD_CHARS:
            yield Record(lines.number, line[:MAX_RECORD_CHARS], None, TOO_LONG, is_line=True)
        elif any("\udc80" <= letter <= "\udcff" for letter in line):
            yield Record(lines.number, line, None, NOT_UTF8, is_line=True)
        elif len(row) != len(table):
            reason = f"{len(row)} columns instead of the table's {len(table)}"
            yield Record(lines.number, line, None, reason, is_line=True)
        else:
            value: dict[str, Any] = dict(zip(table, row, strict=True))
            if "tagID" in value and "artistID" in value:
                value |= {"artist": artists.get(value["artistID"]), "tag": tags.get(value["tagID"])}
            yield Record(lines.number, line, value, is_line=True)


def recognize(record: dict[str, Any]) -> bool:
    """Return whether a record is a row of one of the tables."""
    keys = tuple(key for key in record if key not in ("artist", "tag"))
    return keys in TABLES


def parse(record: dict[str, Any], listener: str | None) -> Relationship | TagAssignment:
    """Parse a row. `listener` is ignored, because the dataset is about many listeners."""
    if "friendID" in record:
        return between(_user_id(record["userID"]), _user_id(record["friendID"]), FRIENDSHIP, False, None, NAME)
    if "weight" in record:
        raise SkippedRecord("a play count of an artist, which has no time")
    if "tagID" not in record or "artistID" not in record:
        raise SkippedRecord("the name of an artist or a tag")
    return TagAssignment(
        user_id=_user_id(record["userID"]),
        artist_name=optional_text(record.get("artist"), "the artist's name"),
        source_ref=f"hetrec:artist:{_number(record['artistID'])}",
        tag=required_text(record.get("tag"), "the name of the tag (import the whole zip or folder)"),
        tagged_on=_date(record),
        source=NAME,
    )


def _number(value: str) -> str:
    if not DIGITS.fullmatch(value):
        raise Malformed("an id is not a number")
    return value


def _user_id(number: str) -> str:
    return f"hetrec:{_number(number)}"


def _date(record: dict[str, Any]) -> date | None:
    """Return when an artist was tagged, or None if the date is impossible."""
    try:
        if "timestamp" in record:
            day = _in_madrid(int(record["timestamp"]))
        else:
            day = date(*(int(record[part]) for part in ("year", "month", "day")))
    except (ValueError, OverflowError, Malformed):
        return None
    return day if day >= EARLIEST.date() else None


def _in_madrid(milliseconds: int) -> date:
    at: datetime = instant(milliseconds // 1000, "timestamp")
    return at.astimezone(MADRID).date()
