"""Read the records of an export file in any supported format.

A format is a module of `resources.sources.formats` with `NAME`, `EXPORT`, `recognize` and `parse` (see `Format`). Its
name is listed in `FORMATS`. The first bytes of a file decide how its records are read: as JSON, CSV, Parquet or XML.
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
from resources.sources.readers.json_records import FILE_CUT, LIST_CUT, Record, records
from resources.sources.records.app_event import AppEvent
from resources.sources.records.listen import Listen, Malformed, MissingListener, RecordResult, SkippedRecord, time_error
from resources.sources.records.social import Deletion, Post, Relationship, Share
from resources.text.printable import printable

__all__ = [
    "FORMATS",
    "SUPPORTED_EXPORTS",
    "Format",
    "UnknownFormat",
    "UnsupportedFile",
    "fingerprint",
    "is_one_export",
    "read",
]

SNIFFED_RECORDS = 100  # valid or broken: one of them must match a format
HEAD_BYTES = 1 << 16  # from which the layout is recognized
TIMES: Mapping[type, Sequence[tuple[str, str]]] = {
    Listen: [("listened_at", "listened at")],
    AppEvent: [("at", "happened at")],
    Relationship: [("happened_at", "happened at")],
    Post: [("posted_at", "posted at"), ("updated_at", "edited at")],
    Share: [("shared_at", "shared at")],
    Deletion: [("deleted_at", "deleted at")],
}
"""By record type, the fields whose times are checked and the words that describe them.

Opinions and playlists are valid whatever their date: services give 1970 for an unknown one.
"""


class Format(Protocol):
    """The interface of a module that reads one export format."""

    NAME: str  # of the source, as in `Listen.source`
    EXPORT: str  # the service or program that exports it, for messages

    def recognize(self, record: dict[str, Any], /) -> bool:
        """Return whether a record has the keys of this format. It may lack required values."""

    def parse(self, record: dict[str, Any], listener: str | None, /) -> object:
        """Return the Listen or other record. Raises Malformed if it is invalid, SkippedRecord if it is not stored."""


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
EXPORTERS = ", ".join(dict.fromkeys(format_.EXPORT for format_ in FORMATS))
SUPPORTED_EXPORTS = f"Import the file as it was downloaded. Supported exports: {EXPORTERS}."


class UnknownFormat(UnsupportedFile):
    """Raised for a file that is not in a supported format. The message lists the supported ones."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}. {SUPPORTED_EXPORTS}")
        self.problem = problem


def read(path: Path, listener: str | None, now: datetime, name: str | None = None) -> Iterator[RecordResult]:
    """Yield the result for every record of an export, in order.

    `listener` is used if the export does not name its listener. A time after `now` is invalid. `name` replaces the name
    of `path`. Raises UnsupportedFile if the file is empty, damaged, in no supported format or names no listener, and
    Unreadable if it cannot be opened.
    """
    listener = listener.strip() if listener else None
    name, exports, empty, damaged, first_error = printable(name or path.name), 0, True, [], ""
    # Reads the archive a second time, and only if one of its files refers to others.
    names = cache(lambda: hetrec.names(archive.members(path, name)))
    for member in archive.members(path, name):
        empty = empty and not (member.peek(1) or member.damage)
        records, format_, error = _sniff(_records(member, names), listener, member.name)
        first_error = first_error or error
        if format_:
            exports += 1
            yield from _results(member, records, format_, listener, now)
        elif member.damage:
            damaged.append(RecordResult(member.name, 0, reason=member.damage, raw=""))
    if not exports and damaged:
        raise UnsupportedFile(f"no record in {name} is readable: {damaged[0].reason}")
    if empty:
        raise UnsupportedFile(f"{name} is empty: download it again")
    if not exports:
        raise UnknownFormat(
            f"{name} is not in a supported format{first_error and f' (its first record is {first_error})'}"
        )
    yield from damaged


def is_one_export(folder: Path) -> bool:
    """Return whether the files of a folder refer to each other and must be imported together."""
    return any(hetrec.headings(_beginning(file)) for file in archive.files_in(folder))


def _beginning(file: Path) -> bytes:
    try:
        with archive.open_file(file) as stream:
            return stream.read(hetrec.HEAD)
    except archive.Unreadable:
        return b""  # reported when the file is read


def _records(member: Member, names: Callable[[], hetrec.Names]) -> Iterator[Record]:
    """Yield the records of a file in any layout. `names` loads the artist and tag names of a HetRec archive."""
    head = member.peek(HEAD_BYTES)
    if headings := hetrec.headings(head):
        return hetrec.records(member, headings, names())
    if head.startswith(parquet_records.MAGIC):
        return parquet_records.records(member, listenbrainz_spark.COLUMNS)
    if xspf.recognize(head):
        return jspf.with_playlist(xspf.records(member))
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")) and (table := csv_records.sniff(head)):
        return csv_records.records(member, table)
    return map(_with_envelope, jspf.with_playlist(records(member, _plausible)))


def _with_envelope(record: Record) -> Record:
    """Copy the fields of the surrounding document that a record needs into the record."""
    if record.value is None or record.envelope is None:
        return record
    if listenbrainz.playing_now(record.envelope.header):
        return record._replace(value={**record.value, "playing_now": True})
    if page := lastfm.PAGES.get(record.envelope.path):
        return record._replace(value=page(record.value, record.envelope.header))
    user = record.envelope.header.get("username")  # beside `scrobbles`
    return record._replace(value={"user_name": user, **record.value}) if isinstance(user, str) else record


def _plausible(value: object) -> bool:
    return isinstance(value, dict) and (jspf.is_track(value) or any(f.recognize(value) for f in FORMATS))


def _format(record: Record, likely: Format | None = None) -> Format | None:
    """Return the format of a record, trying the likely one first, or None."""
    if record.value is None:
        return None
    if likely and likely.recognize(record.value):
        return likely
    return next((format_ for format_ in FORMATS if format_.recognize(record.value)), None)


def _sniff(records: Iterator[Record], listener: str | None, name: str) -> tuple[Iterator[Record], Format | None, str]:
    """Return the same records, the format of the first recognized one, and the error of the first broken one.

    Raises UnsupportedFile if neither the record nor the operator names the listener.
    """
    seen: list[Record] = []
    first_error = ""
    for record in islice(records, SNIFFED_RECORDS):
        seen.append(record)
        if record.value is None and record.text.startswith(("{", "[")):
            first_error = first_error or record.reason or ""
        elif record.value is not None and (format_ := _format(record)):
            try:
                format_.parse(record.value, listener)
            except MissingListener:
                raise UnsupportedFile(
                    f"{name} does not name its listener: run `make import LISTENER=name FILES=<file>`"
                ) from None
            except (Malformed, SkippedRecord):
                pass
            return chain(seen, records), format_, first_error
    return iter(seen), None, first_error


def _results(
    member: Member, records: Iterator[Record], format_: Format, listener: str | None, now: datetime
) -> Iterator[RecordResult]:
    number, damage_reported = -1, False
    for record in records:
        number, reason, parsed, skipped = record.number, record.reason, None, None
        if record.value is not None:
            format_ = _format(record, format_) or format_
            try:
                parsed = format_.parse(record.value, listener)
                reason = _time_error(parsed, now)
            except SkippedRecord as other:
                skipped = str(other)
            except Malformed as malformed:
                reason = str(malformed)
        if reason is None:
            yield RecordResult(member.name, number, parsed, skipped=skipped)
            continue
        if member.damage and reason in (FILE_CUT, LIST_CUT):
            reason, damage_reported = member.damage, True
        yield RecordResult(member.name, number, reason=reason, raw=personal.redact_text(_text(record)))
    if member.damage and not damage_reported:
        yield RecordResult(member.name, number + 1, reason=member.damage, raw="")


def _time_error(parsed: object, now: datetime) -> str | None:
    """Return why a time of a record is impossible, or None."""
    times = ((getattr(parsed, field), verb) for field, verb in TIMES.get(type(parsed), ()))
    return next((error for at, verb in times if at and (error := time_error(at, now, verb))), None)


def _text(record: Record) -> str:
    """Return a record as it was written, or its values as JSON if it was not text."""
    return record.text or (json.dumps(record.value, default=str) if record.value else "")
