"""HetRec 2011's Last.fm data: friendships, and the tags that listeners assigned to artists.

Source: https://grouplens.org/datasets/hetrec-2011, `hetrec2011-lastfm-2k.zip` and its readme. Six text tables refer to
one another by number, so the zip or folder is read as one file: the names of artists and tags are read first.
Listeners are numbers; here they are `hetrec:2`, whoever imports the file. Friendships have no time. Tag assignments
have a date (in Madrid, mostly the first of its month), once as day, month and year and once as that midnight in
milliseconds. An impossible date, such as one in 1956, counts as absent. The number of times that a listener played an
artist has no time and is not imported.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from resources.sources.readers.archive import Member
from resources.sources.readers.csv_records import Lines
from resources.sources.readers.json_records import LONGEST, NOT_UTF8, TOO_LONG, Record
from resources.sources.records.listen import DIGITS, EARLIEST, Malformed, PassedOver, instant, needed, text
from resources.sources.records.social import FRIENDSHIP, Relationship, TagAssignment, between

NAME = "hetrec"
EXPORT = "HetRec 2011"

ARTISTS, TAGS = ("id", "name", "url", "pictureURL"), ("tagID", "tagValue")
FRIENDS, COUNTS = ("userID", "friendID"), ("userID", "artistID", "weight")
DATED = ("userID", "artistID", "tagID", "day", "month", "year")
TIMED = ("userID", "artistID", "tagID", "timestamp")
TABLES = (ARTISTS, TAGS, FRIENDS, COUNTS, DATED, TIMED)
MADRID = ZoneInfo("Europe/Madrid")  # whose midnights the times are
HEAD = 100  # bytes that hold the longest headings
MOST_NAMES = 1_000_000  # held in memory; the data have 17,632 artists and 11,946 tags

Names = tuple[dict[str, str], dict[str, str]]  # of artists and of tags, by number


def headings(head: bytes) -> tuple[str, ...] | None:
    """The table that begins so, by its headings; None for anything else."""
    first = head.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].strip(b"\r").split(b"\t")
    return next((t for t in TABLES if first == [h.encode() for h in t]), None)


def names(members: Iterable[Member]) -> Names:
    """What the artists and tags of the data are called."""
    found: Names = ({}, {})
    for member in members:
        table = headings(member.peek(HEAD))
        if table in (ARTISTS, TAGS):
            called = found[table == TAGS]
            for record in records(member, table, found):
                if record.value and len(called) < MOST_NAMES:
                    called[record.value[table[0]]] = record.value[table[1]]
    return found


def records(member: Member, table: tuple[str, ...], names: Names) -> Iterator[Record]:
    """The rows of a table by their lines, with what is called by the numbers in them."""
    lines = Lines(member)
    lines.take()
    artists, tags = names
    while (line := lines.take()) is not None:
        line = line.rstrip("\r\n")
        row = line.split("\t")
        if not line:
            continue
        if len(line) > LONGEST:
            yield Record(lines.number, line[:LONGEST], None, TOO_LONG)
        elif any("\udc80" <= letter <= "\udcff" for letter in line):
            yield Record(lines.number, line, None, NOT_UTF8)
        elif len(row) != len(table):
            reason = f"{len(row)} columns where there are {len(table)} headings"
            yield Record(lines.number, line, None, reason)
        else:
            value: dict[str, Any] = dict(zip(table, row, strict=True))
            if "tagID" in value and "artistID" in value:
                value |= {"artist": artists.get(value["artistID"]), "tag": tags.get(value["tagID"])}
            yield Record(lines.number, line, value)


def recognize(record: dict[str, Any]) -> bool:
    """Whether a record is a row of one of the tables."""
    keys = tuple(key for key in record if key not in ("artist", "tag"))
    return keys in TABLES


def parse(record: dict[str, Any], listener: str | None) -> Relationship | TagAssignment:
    """What a row tells of; they are of many people, so that no listener is meant."""
    if "friendID" in record:
        return between(_person(record["userID"]), _person(record["friendID"]), FRIENDSHIP, False, None, NAME)
    if "weight" in record:
        raise PassedOver("how often an artist was listened to, without any time")
    if "tagID" not in record or "artistID" not in record:
        raise PassedOver("the name of what other records tell of")
    return TagAssignment(
        user_id=_person(record["userID"]),
        artist_name=text(record.get("artist"), "the artist's name"),
        source_ref=f"hetrec:artist:{_number(record['artistID'])}",
        tag=needed(record.get("tag"), "tag of this number: give the data whole"),
        tagged_on=_date(record),
        source=NAME,
    )


def _number(value: str) -> str:
    if not DIGITS.fullmatch(value):
        raise Malformed("a number that is none")
    return value


def _person(number: str) -> str:
    return f"hetrec:{_number(number)}"


def _date(record: dict[str, Any]) -> date | None:
    """When an artist was tagged, if that can be."""
    try:
        if "timestamp" in record:
            found = _in_madrid(int(record["timestamp"]))
        else:
            found = date(*(int(record[part]) for part in ("year", "month", "day")))
    except (ValueError, OverflowError, Malformed):
        return None
    return found if found >= EARLIEST.date() else None


def _in_madrid(milliseconds: int) -> date:
    at: datetime = instant(milliseconds // 1000, "timestamp")
    return at.astimezone(MADRID).date()
