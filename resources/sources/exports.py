"""The door to exports: each record of a file, read in place, whichever format it is in.

A format is a module of `resources.sources.formats` with `NAME`, `EXPORT`, `recognize` and `parse` (see `Format`), and
its name in `FORMATS`. The first bytes of a file decide how its records are read: as JSON, a table of text, Parquet or
XML.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol, cast

from resources.sources.formats import hetrec, jspf, lastfm, listenbrainz, listenbrainz_spark, xspf
from resources.sources.readers import archive, csv_records, parquet_records, personal
from resources.sources.readers.archive import Member, UnsupportedFile, fingerprint
from resources.sources.readers.json_records import CUT, UNENDED, Record, records
from resources.sources.records.app_event import AppEvent
from resources.sources.records.listen import Listen, Malformed, Nameless, PassedOver, Read, untimely
from resources.sources.records.social import Deletion, Post, Relationship, Share

__all__ = ["FORMATS", "GIVE", "Format", "Unknown", "UnsupportedFile", "fingerprint", "read", "whole"]

SNIFFED = 100  # records, good or broken, in which one of a format must turn up
HEAD = 1 << 16  # bytes by which layouts are told apart
TIMES: Mapping[type, Sequence[tuple[str, str]]] = {
    Listen: [("listened_at", "listened at")],
    AppEvent: [("at", "happened at")],
    Relationship: [("happened_at", "happened at")],
    Post: [("posted_at", "posted at"), ("told_at", "edited at")],
    Share: [("shared_at", "shared at")],
    Deletion: [("deleted_at", "taken back at")],
}
"""The times of a record that must be possible, and how a reason calls them.

Opinions and playlists are true whatever their date: services give 1970 for one that they do not know.
"""


class Format(Protocol):
    """What a module offers that reads one export format."""

    NAME: str  # of the source, as in `Listen.source`
    EXPORT: str  # whose export it is, or which

    def recognize(self, record: dict[str, Any], /) -> bool:
        """Whether a record has the shape of this format; it may lack what a listen needs."""

    def parse(self, record: dict[str, Any], listener: str | None, /) -> object:
        """The listen, or what else a record tells of; Malformed or PassedOver if it tells of nothing."""


FORMATS: tuple[Format, ...] = tuple(
    cast(Format, import_module(f"resources.sources.formats.{name}"))
    for name in (
        "spotify",
        "spotify_account",
        "listenbrainz",
        "listenbrainz_feedback",
        "listenbrainz_spark",
        "lastfm",
        "panoscrobbler",
        "lastfm_csv",
        "maloja",
        "jspf",
        "app_events",
        "activitystreams",
        "hetrec",
    )
)
"""The formats. If two recognize a record, the first reads it."""
GIVE = f"give an export as it was downloaded ({', '.join(dict.fromkeys(format_.EXPORT for format_ in FORMATS))})"


class Unknown(UnsupportedFile):
    """What a file is that is in no format known here; says also what to give instead."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: {GIVE}")
        self.what = what


def read(path: Path, listener: str | None, now: datetime, name: str | None = None) -> Iterator[Read]:
    """Every record of an export, in order; UnsupportedFile if it is none or does not say whose it is.

    `listener` names the person, where the export does not; `now` bounds the time of a listen; `name` is what the file
    is called, if not by its own name.
    """
    listener = listener.strip() if listener else None
    name, exports, damaged, broken = archive.shown(name or path.name), 0, [], ""
    # Looked up in the archive once more, and only where something in it refers to what else it holds.
    names = cache(lambda: hetrec.names(archive.members(path, name)))
    for member in archive.members(path, name):
        found, format_, reason = _sniff(_records(member, names), listener, member.name)
        broken = broken or reason
        if format_:
            exports += 1
            yield from _reads(member, found, format_, listener, now)
        elif member.damage:
            damaged.append(Read(member.name, 0, reason=member.damage, raw=""))
    if not exports and damaged:
        raise UnsupportedFile(f"{name} is damaged and nothing in it can be read: download it again")
    if not exports:
        raise Unknown(f"{name} is in no format that is known here{broken and f', its first record is {broken}'}")
    yield from damaged


def whole(folder: Path) -> bool:
    """Whether the files of a folder refer to one another, so that they are one export."""
    return any(hetrec.headings(_beginning(file)) for file in archive.within(folder))


def _beginning(file: Path) -> bytes:
    try:
        with archive.opened(file) as stream:
            return stream.read(hetrec.HEAD)
    except archive.Unreadable:
        return b""  # told when it is read


def _records(member: Member, names: Callable[[], hetrec.Names]) -> Iterator[Record]:
    """The records of a file, however they lie in it; `names` looks up what those are called that others refer to."""
    head = member.peek(HEAD)
    if headings := hetrec.headings(head):
        return hetrec.records(member, headings, names())
    if head.startswith(parquet_records.MAGIC):
        return parquet_records.records(member, listenbrainz_spark.COLUMNS)
    if xspf.recognize(head):
        return jspf.held(xspf.records(member))
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")) and (table := csv_records.sniff(head)):
        return csv_records.records(member, table)
    return map(_alone, jspf.held(records(member, _plausible)))


def _alone(record: Record) -> Record:
    """A record of a document with what the document says of it, as if it stood alone."""
    if record.value is None or record.around is None:
        return record
    if listenbrainz.playing_now(record.around.header):
        return record._replace(value={**record.value, "playing_now": True})
    if page := lastfm.PAGES.get(record.around.path):
        return record._replace(value=page(record.value, record.around.header))
    user = record.around.header.get("username")  # beside `scrobbles`
    return record._replace(value={"user_name": user, **record.value}) if isinstance(user, str) else record


def _plausible(value: object) -> bool:
    return isinstance(value, dict) and (jspf.is_track(value) or any(f.recognize(value) for f in FORMATS))


def _format(record: Record, likely: Format | None = None) -> Format | None:
    """The format of a record, if it has one."""
    if record.value is None:
        return None
    if likely and likely.recognize(record.value):
        return likely
    return next((each for each in FORMATS if each.recognize(record.value)), None)


def _sniff(found: Iterator[Record], listener: str | None, name: str) -> tuple[Iterator[Record], Format | None, str]:
    """The same records, the format of the first that has one, and what is wrong with the first that is not sound.

    UnsupportedFile if nobody says whose they are.
    """
    seen: list[Record] = []
    broken = ""
    for record in islice(found, SNIFFED):
        seen.append(record)
        if record.value is None and record.text.startswith(("{", "[")):
            broken = broken or record.reason or ""
        elif record.value is not None and (format_ := _format(record)):
            try:
                format_.parse(record.value, listener)
            except Nameless:
                raise UnsupportedFile(
                    f"{name} does not say whose listens it holds: name the person, LISTENER=…"
                ) from None
            except (Malformed, PassedOver):
                pass
            return chain(seen, found), format_, broken
    return iter(seen), None, broken


def _reads(
    member: Member, found: Iterator[Record], format_: Format, listener: str | None, now: datetime
) -> Iterator[Read]:
    number, told = -1, False
    for record in found:
        number, reason, told_of, skipped = record.number, record.reason, None, None
        if record.value is not None:
            format_ = _format(record, format_) or format_
            try:
                told_of = format_.parse(record.value, listener)
                reason = _untimely(told_of, now)
            except PassedOver as other:
                skipped = str(other)
            except Malformed as malformed:
                reason = str(malformed)
        if reason is None:
            yield Read(member.name, number, told_of, skipped=skipped)
            continue
        if member.damage and reason in (CUT, UNENDED):
            reason, told = member.damage, True
        yield Read(member.name, number, reason=reason, raw=personal.cut(_text(record)))
    if member.damage and not told:
        yield Read(member.name, number + 1, reason=member.damage, raw="")


def _untimely(told_of: object, now: datetime) -> str | None:
    """Return why a record cannot be of its time, or None if it can."""
    times = ((getattr(told_of, field), did) for field, did in TIMES.get(type(told_of), ()))
    return next((wrong for at, did in times if at and (wrong := untimely(at, now, did))), None)


def _text(record: Record) -> str:
    """A record as it was written, or what was read of it where that is no text."""
    return record.text or (json.dumps(record.value, default=str) if record.value else "")
