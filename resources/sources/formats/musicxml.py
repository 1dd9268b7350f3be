"""MusicXML scores: who wrote what, and the words under the notes. Source: https://www.w3.org/2021/06/musicxml40/.

XML and archives from outside: no entities, nothing fetched, bounded sizes.
"""

import lzma
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from resources.errors import TuttiError
from resources.sources.records.lyrics import SCORE, WORDS, Lyrics

MOST_BYTES = 8 << 20  # four times the largest score of the sandbox
MOST_ELEMENTS = 500_000  # of XML, in memory; a string quartet of forty minutes has 373,296
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, KeyError, ValueError, OSError, EOFError, RuntimeError)
"""What reading a damaged archive ends in."""


def lyrics(path: Path, origin: str) -> Lyrics:
    """The words of a score. Raises `TuttiError` with the reason where it is none, or has no words: the music may."""
    root = score(path)
    words = verses(root)
    if words is None:
        raise TuttiError("a score without words")
    return Lyrics(
        lyrics_id=f"{SCORE}/{origin}",
        source=SCORE,
        origin=origin,
        recording_id=None,  # a score is of a work, whoever plays it
        title=_told(root, "movement-title") or _told(root, "work/work-title"),
        artist_credit=next((_line(c.text) for c in root.iter("creator") if c.get("type") == "composer"), None),
        status=WORDS,
        text=words,
    )


def score(path: Path) -> Element:
    """The root of a score, compressed (.mxl) or not. Raises `TuttiError` with the reason where it is none."""
    with path.open("rb") as file:
        data = _bounded(file)
    if zipfile.is_zipfile(BytesIO(data)):
        data = _unpacked(data)
    root: Element | None = None
    try:
        for number, (_, element) in enumerate(iterparse(BytesIO(data), events=["start"])):
            root = element if root is None else root
            if root.tag not in ("score-partwise", "score-timewise"):
                raise TuttiError("XML, but no score")
            if number == MOST_ELEMENTS:
                raise TuttiError("more notes than any score has")
    except DefusedXmlException:
        raise TuttiError("it declares entities, which no score needs") from None
    except (ParseError, ValueError, LookupError) as error:
        raise TuttiError(f"not XML ({error})") from None
    assert root is not None  # what has no element is not XML
    return root


def verses(root: Element) -> str | None:
    """The words under the notes, one verse a line, each once: voices that sing the same words begin alike."""
    found: dict[str, str] = {}
    for part in root.iter("part"):
        sung: dict[str, str] = {}
        for lyric in part.iter("lyric"):
            number, after = lyric.get("number", "1"), "" if lyric.findtext("syllabic") in ("begin", "middle") else " "
            sung[number] = sung.get(number, "") + (lyric.findtext("text") or "").strip() + after
        for number in sorted(sung):
            verse = " ".join(sung[number].replace("\u035c", " ").split())  # the undertie that joins two vowels
            if verse:
                found.setdefault(verse[:12].casefold(), verse)
    return "\n".join(found.values()) or None


def _unpacked(data: bytes) -> bytes:
    """The score in an archive: its first XML that does not tell of the archive itself."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = (n for n in archive.namelist() if n.endswith("xml") and not n.startswith("META-INF/"))
            with archive.open(next(names, "")) as member:
                return _bounded(member)
    except BROKEN as error:
        raise TuttiError(f"no compressed score ({type(error).__name__})") from None


def _bounded(file: IO[bytes]) -> bytes:
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise TuttiError(f"longer than {MOST_BYTES >> 20} MB: no score is")
    return data


def _told(root: Element, where: str) -> str | None:
    return _line(root.findtext(where))


def _line(text: str | None) -> str | None:
    return " ".join((text or "").split()) or None
