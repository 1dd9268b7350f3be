"""XSPF playlists, converted to JSPF, which is XSPF in JSON. Source: https://www.xspf.org/spec.

The XML comes from outside: document types and entities are refused, nothing is fetched, and one track at a time is in
memory.
"""

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from resources.sources.readers.archive import Member
from resources.sources.readers.json_records import MAX_RECORD_CHARS, Envelope, Record

NAME = "xspf"
MAX_DEPTH = 50  # nested elements: a track has five
DAMAGED = "invalid XML from here on, so later tracks were not imported"
FORBIDDEN = "it declares a document type or entities, which are refused"
TOO_LONG = "a track longer than 1 MB"
PROPERTIES = ("title", "creator", "identifier", "location", "date", "annotation", "info", "album", "duration")


class _Stream:
    """A stream that limits the bytes between two tracks, so that no track fills the memory."""

    def __init__(self, member: Member) -> None:
        self._member, self.since = member, 0

    def read(self, size: int) -> bytes:
        block = self._member.read1(min(size, 1 << 13))
        self.since += len(block)
        if self.since > MAX_RECORD_CHARS:
            raise ParseError(TOO_LONG)
        return block


def recognize(head: bytes) -> bool:
    """Return whether the first bytes of a file are an XSPF playlist."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and b"playlist" in head and b"xspf" in head.lower()


def records(member: Member) -> Iterator[Record]:
    """Yield the tracks of a playlist, numbered from 0. The last record of a damaged one has the reason."""
    header: dict[str, Any] = {}
    envelope = Envelope(("playlist", "track"), {"playlist": header, "source": NAME})
    stream, open_, number = _Stream(member), list[Element](), 0
    try:
        for event, element in iterparse(stream, events=("start", "end"), forbid_dtd=True):
            if event == "start":
                open_.append(element)
                if len(open_) > MAX_DEPTH:
                    raise ParseError("nested too deeply")
                continue
            open_.pop()
            name = _name(element)
            parents = [_name(parent) for parent in open_]
            if parents == ["playlist", "trackList"]:
                if name == "track":
                    yield Record(number, _text(element), _track(element), envelope=envelope)
                    number += 1
                stream.since = 0
                open_[-1].remove(element)
            elif parents == ["playlist"]:
                if name in PROPERTIES and name not in header:
                    header[name] = (element.text or "").strip()
                open_[-1].remove(element)
    except DefusedXmlException:
        yield Record(number, "", None, FORBIDDEN, envelope)
    except (ParseError, ValueError, LookupError) as error:
        reason = TOO_LONG if TOO_LONG in str(error) else DAMAGED
        yield Record(number, "", None, reason, envelope)


def _name(element: Element) -> str:
    tag = element.tag if isinstance(element.tag, str) else ""
    return tag.rpartition("}")[2]


def _track(element: Element) -> dict[str, Any]:
    """Return the properties of a track. Identifiers and locations are lists, because a track may have several."""
    track: dict[str, Any] = {}
    for child in element:
        name, text = _name(child), (child.text or "").strip()
        if name in ("identifier", "location"):
            track.setdefault(name, []).append(text)
        elif name == "duration":
            track.setdefault(name, int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None)
        elif name in PROPERTIES:
            track.setdefault(name, text)
    return track


def _text(element: Element) -> str:
    """Return a track as text, for quarantine."""
    return "; ".join(f"{_name(child)}: {(child.text or '').strip()}" for child in element)
