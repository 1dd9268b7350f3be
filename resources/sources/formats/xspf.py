"""XSPF playlists: each track as JSPF would have it, which is XSPF in JSON. Source: https://www.xspf.org/spec.

XML from outside: no document type, no entities, nothing fetched, and only one track in memory at a time.
"""

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from resources.sources.readers.archive import Member
from resources.sources.readers.json_records import LONGEST, Envelope, Record

NAME = "xspf"
MOST_DEPTH = 50  # elements within elements: a track has five
DAMAGED = "not XML from here on: what follows is lost"
FORBIDDEN = "it declares a document type or entities, which no playlist needs"
TOO_LONG = "longer than 1 MB: no track is"
KEPT = ("title", "creator", "identifier", "location", "date", "annotation", "info", "album", "duration")


class _Stream:
    """Counts what is read between two tracks, so that none fills the memory."""

    def __init__(self, member: Member) -> None:
        self._member, self.since = member, 0

    def read(self, size: int) -> bytes:
        block = self._member.read1(min(size, 1 << 13))
        self.since += len(block)
        if self.since > LONGEST:
            raise ParseError(TOO_LONG)
        return block


def recognize(head: bytes) -> bool:
    """Whether a file that begins so is XML, and names a playlist."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and b"playlist" in head and b"xspf" in head.lower()


def records(member: Member) -> Iterator[Record]:
    """The tracks of a playlist by their index; for one that ends early, the reason as a last record."""
    header: dict[str, Any] = {}
    around = Envelope(("playlist", "track"), {"playlist": header, "source": NAME})
    stream, open_, number = _Stream(member), list[Element](), 0
    try:
        for event, element in iterparse(stream, events=("start", "end"), forbid_dtd=True):
            if event == "start":
                open_.append(element)
                if len(open_) > MOST_DEPTH:
                    raise ParseError("elements within elements without end")
                continue
            open_.pop()
            name = _name(element)
            parents = [_name(parent) for parent in open_]
            if parents == ["playlist", "trackList"]:
                if name == "track":
                    yield Record(number, _text(element), _track(element), around=around)
                    number += 1
                stream.since = 0
                open_[-1].remove(element)
            elif parents == ["playlist"]:
                if name in KEPT and name not in header:
                    header[name] = (element.text or "").strip()
                open_[-1].remove(element)
    except DefusedXmlException:
        yield Record(number, "", None, FORBIDDEN, around)
    except (ParseError, ValueError, LookupError) as error:
        reason = TOO_LONG if TOO_LONG in str(error) else DAMAGED
        yield Record(number, "", None, reason, around)


def _name(element: Element) -> str:
    tag = element.tag if isinstance(element.tag, str) else ""
    return tag.rpartition("}")[2]


def _track(element: Element) -> dict[str, Any]:
    """A track with each of its properties; `identifier`, of which there may be many, as a list."""
    found: dict[str, Any] = {}
    for child in element:
        name, text = _name(child), (child.text or "").strip()
        if name in ("identifier", "location"):
            found.setdefault(name, []).append(text)
        elif name == "duration":
            found.setdefault(name, int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None)
        elif name in KEPT:
            found.setdefault(name, text)
    return found


def _text(element: Element) -> str:
    """A track as text, to look at if it is none."""
    return "; ".join(f"{_name(child)}: {(child.text or '').strip()}" for child in element)
