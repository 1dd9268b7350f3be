"""MusicXML scores: title, composer and the words under the notes. Source: https://www.w3.org/2021/06/musicxml40/.

The files come from outside: XML entities are refused, nothing is fetched, and sizes are limited.
"""

from io import BytesIO
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from resources import archives
from resources.archives import Allowance, Damaged, Refused
from resources.errors import TuttiError
from resources.sources.records.lyrics import SCORE, WORDS, Lyrics

MAX_BYTES = 8 << 20  # four times the largest score of the sandbox
MAX_ELEMENTS = 500_000  # kept in memory: a string quartet of forty minutes has 373,296


def lyrics(path: Path, origin: str) -> Lyrics:
    """Read the words of a score. Raises `TuttiError` with the reason if it is not a score or has no words."""
    root = score(path)
    words = verses(root)
    if words is None:
        raise TuttiError("the score has no words")
    return Lyrics(
        lyrics_id=f"{SCORE}/{origin}",
        source=SCORE,
        origin=origin,
        recording_id=None,  # a score is of a work, not of a recording
        title=_line(root.findtext("movement-title")) or _line(root.findtext("work/work-title")),
        artist_credit=next((_line(c.text) for c in root.iter("creator") if c.get("type") == "composer"), None),
        status=WORDS,
        text=words,
    )


def score(path: Path) -> Element:
    """Return the root of a score, compressed (.mxl) or not. Raises `TuttiError` if it is not a score."""
    with path.open("rb") as file:
        data = _bounded(file)
    if archives.is_zip(BytesIO(data), data[: archives.HEAD_BYTES]):
        data = _unpacked(data)
    root: Element | None = None
    try:
        for number, (_, element) in enumerate(iterparse(BytesIO(data), events=["start"])):
            root = element if root is None else root
            if root.tag not in ("score-partwise", "score-timewise"):
                raise TuttiError("XML, but not a score")
            if number == MAX_ELEMENTS:
                raise TuttiError(f"more than {MAX_ELEMENTS:,} XML elements")
    except DefusedXmlException:
        raise TuttiError("it declares XML entities, which are refused") from None
    except (ParseError, ValueError, LookupError) as error:
        raise TuttiError(f"not XML ({error})") from None
    assert root is not None  # XML has at least one element
    return root


def verses(root: Element) -> str | None:
    """Return the words under the notes, one verse a line, or None if there are none.

    Verses that begin alike are returned once, because several voices sing the same words.
    """
    verse_by_start: dict[str, str] = {}
    for part in root.iter("part"):
        sung: dict[str, str] = {}
        for lyric in part.iter("lyric"):
            number, after = lyric.get("number", "1"), "" if lyric.findtext("syllabic") in ("begin", "middle") else " "
            sung[number] = sung.get(number, "") + (lyric.findtext("text") or "").strip() + after
        for number in sorted(sung):
            verse = " ".join(sung[number].replace("\u035c", " ").split())  # the undertie that joins two vowels
            if verse:
                verse_by_start.setdefault(verse[:12].casefold(), verse)
    return "\n".join(verse_by_start.values()) or None


def _unpacked(data: bytes) -> bytes:
    """Return the score in an archive: its first XML file outside of META-INF."""
    try:
        with archives.open_zip(BytesIO(data)) as archive:
            scores = (
                entry
                for entry in archive.infolist()
                if entry.filename.endswith("xml") and not entry.filename.startswith("META-INF/")
            )
            if not (entry := next(scores, None)):
                raise TuttiError("not a compressed score (it has no XML file)")
            return _bounded(archives.open_entry(archive, entry, Allowance(len(data))))
    except (Refused, Damaged) as error:
        raise TuttiError(f"not a compressed score (it {error})") from None


def _bounded(file: IO[bytes] | archives.Unpacked) -> bytes:
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise TuttiError(f"longer than {MAX_BYTES >> 20} MB, the limit for a score")
    return data


def _line(text: str | None) -> str | None:
    return " ".join((text or "").split()) or None
