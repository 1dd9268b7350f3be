"""Lyrics inside an audio file, beside what its tags say it is.

In ID3 they are USLT and SYLT (https://id3.org/id3v2.4.0-frames), elsewhere texts like others. The language that a USLT
names is passed over: most programs write "eng", or nothing, whatever is sung.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resources.audio.tags import TAG_NAMES, from_mutagen, read, values
from resources.audio.undecodable import Undecodable
from resources.errors import TuttiError
from resources.sources.formats import lrc
from resources.sources.formats.lrc import MOST_BYTES, Line, Lrc

MILLISECONDS = 2  # how SYLT tells that its times are no numbers of frames
SUNG = (0, 1, 2)  # what SYLT may hold instead: chords, movements, addresses


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of an audio file that lyrics need; of several texts the one with times, and then the longest, counts."""

    recording_id: str | None = None
    title: str | None = None
    artist_credit: str | None = None
    lyrics: Lrc | None = None


def tags(path: Path) -> Tags:
    """The tags of an audio file. Raises `TuttiError` with the reason where they cannot be read."""
    try:
        return read(path, _tags) or Tags()
    except Undecodable as error:
        raise TuttiError(str(error)) from None


def _tags(file: Any) -> Tags:
    said = from_mutagen(file)
    words = max(_texts(file.tags), key=lambda t: (not t.instrumental, t.synced, len(t.text)), default=None)
    return Tags(said.recording_id, said.title, said.artist, words)


def _texts(tags: Any) -> Iterator[Lrc]:
    """The lyrics in the tags, which hold some words each."""
    if hasattr(tags, "getall"):  # ID3
        found = [lrc.parse(frame.text[:MOST_BYTES]) for frame in tags.getall("USLT")]
        found += [_synced(frame.text) for frame in tags.getall("SYLT") if _is_sung(frame)]
    else:
        found = [lrc.parse(text[:MOST_BYTES]) for held in values(tags, TAG_NAMES["lyrics"]) for text in held]
    return (text for text in found if text.text or text.instrumental)


def _is_sung(frame: Any) -> bool:
    return frame.format == MILLISECONDS and frame.type in SUNG


def _synced(parts: Iterable[tuple[str, int]]) -> Lrc:
    """Lines out of what SYLT keeps: lines, or syllables of which the first of a line begins with a newline."""
    parts = [(str(text), at) for text, at in parts]
    syllables = any(text.startswith(("\n", "\r")) for text, _ in parts)
    lines: list[tuple[int, str]] = []
    for text, at in parts:
        if syllables and lines and not text.startswith(("\n", "\r")):
            lines[-1] = lines[-1][0], lines[-1][1] + text
        else:
            lines.append((at, text))
    timed = (Line(min(max(at, 0), lrc.LATEST), " ".join(text.split())) for at, text in lines)
    return lrc.parse(lrc.write(Lrc({}, tuple(timed))))
