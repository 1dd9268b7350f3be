"""The door to a person's exports: each record of a file, read in place, whichever format it is in.

To add a format, write a module with `NAME`, `EXPORT`, `recognise` and `parse` (see `Format`) and add it to `FORMATS`.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

from resources.sources import archive, listenbrainz, personal, spotify
from resources.sources.archive import Member, NoExport, fingerprint
from resources.sources.json_records import CUT, UNENDED, Record, records
from resources.sources.listen import Listen, Malformed, Nameless, PassedOver, Read, untimely

__all__ = ["FORMATS", "Format", "NoExport", "fingerprint", "read"]

SNIFFED = 100  # records, good or broken, in which a listen must turn up


class Format(Protocol):
    """What a module offers that reads one export format."""

    NAME: str  # of the source, as in `Listen.source`
    EXPORT: str  # what a person asks the service for

    def recognise(self, record: dict[str, Any], /) -> bool:
        """Whether a record has the shape of this format; it may lack what a listen needs."""

    def parse(self, record: dict[str, Any], listener: str | None, /) -> Listen:
        """The listen a record tells of; Malformed or PassedOver if it tells of none."""


FORMATS: tuple[Format, ...] = (spotify, listenbrainz)
GIVE = f"give {' or '.join(format_.EXPORT for format_ in FORMATS)}, as downloaded"


def read(path: Path, listener: str | None, now: datetime, name: str | None = None) -> Iterator[Read]:
    """Every record of an export, in order; NoExport if it is none or does not say whose it is.

    `listener` names the person, where the export does not; `now` bounds the time of a listen; `name` is what the file
    is called, if not by its own name.
    """
    listener = listener.strip() if listener else None
    name, exports, damaged = archive.shown(name or path.name), 0, []
    for member in archive.members(path, name):
        found, format_ = _sniff(records(member, _plausible), listener, member.name)
        if format_:
            exports += 1
            yield from _reads(member, found, format_, listener, now)
        elif member.damage:
            damaged.append(Read(member.name, 0, reason=member.damage, raw=""))
    if not exports and damaged:
        raise NoExport(f"{name} is damaged and no listen in it can be read: download it again")
    if not exports:
        raise NoExport(f"{name} holds no listens: {GIVE}")
    yield from damaged


def _plausible(value: object) -> bool:
    return isinstance(value, dict) and any(format_.recognise(value) for format_ in FORMATS)


def _sniff(found: Iterator[Record], listener: str | None, name: str) -> tuple[Iterator[Record], Format | None]:
    """The same records, and the format of the first that has one; NoExport if nobody says whose they are."""
    seen = []
    for record in islice(found, SNIFFED):
        seen.append(record)
        format_ = next((each for each in FORMATS if record.value and each.recognise(record.value)), None)
        if record.value and format_:
            try:
                format_.parse(record.value, listener)
            except Nameless:
                raise NoExport(f"{name} does not say whose listens it holds: name the person, LISTENER=…") from None
            except (Malformed, PassedOver):
                pass
            return chain(seen, found), format_
    return iter(seen), None


def _reads(
    member: Member, found: Iterator[Record], format_: Format, listener: str | None, now: datetime
) -> Iterator[Read]:
    number, told = -1, False
    for number, text, value, reason in found:
        listen = passed_over = None
        if value is not None:
            try:
                listen = format_.parse(value, listener)
                reason = untimely(listen.listened_at, now)
            except PassedOver as other:
                passed_over = str(other)
            except Malformed as malformed:
                reason = str(malformed)
        if reason is None:
            yield Read(member.name, number, listen, passed_over=passed_over)
            continue
        if member.damage and reason in (CUT, UNENDED):
            reason, told = member.damage, True
        yield Read(member.name, number, reason=reason, raw=personal.cut(text))
    if member.damage and not told:
        yield Read(member.name, number + 1, reason=member.damage, raw="")
