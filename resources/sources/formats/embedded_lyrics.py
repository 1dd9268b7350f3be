"""Lyrics inside an audio file, with the tags that identify the recording.

In ID3 they are USLT and SYLT frames (https://id3.org/id3v2.4.0-frames), in other formats text tags. The language of a
USLT frame is ignored: most programs write "eng", or nothing, for every language.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resources.audio.tags import TAG_NAMES, from_mutagen, read, values
from resources.audio.undecodable import Undecodable
from resources.errors import TuttiError
from resources.sources.formats import lrc
from resources.sources.formats.lrc import MAX_BYTES, Line, Lrc

MILLISECONDS = 2  # SYLT's time format. The other one is numbers of MPEG frames.
SUNG = (0, 1, 2)  # SYLT's content types for text. The others are chords, movements and addresses.


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of an audio file that lyrics need. Of several texts one with times wins, then the longest."""

    recording_id: str | None = None
    title: str | None = None
    artist_credit: str | None = None
    lyrics: Lrc | None = None


def tags(path: Path) -> Tags:
    """Read the tags of an audio file. Raises `TuttiError` with the reason if they are unreadable."""
    try:
        return read(path, _tags) or Tags()
    except Undecodable as error:
        raise TuttiError(str(error)) from None


def _tags(file: Any) -> Tags:
    identity = from_mutagen(file)
    words = max(_texts(file.tags), key=lambda t: (not t.instrumental, t.synced, len(t.text)), default=None)
    return Tags(identity.recording_id, identity.title, identity.artist, words)


def _texts(tags: Any) -> Iterator[Lrc]:
    """Yield the lyrics in the tags that are not empty."""
    if hasattr(tags, "getall"):  # ID3
        lyrics = [lrc.parse(frame.text[:MAX_BYTES]) for frame in tags.getall("USLT")]
        lyrics += [_synced(frame.text) for frame in tags.getall("SYLT") if _is_sung(frame)]
    else:
        lyrics = [lrc.parse(text[:MAX_BYTES]) for texts in values(tags, TAG_NAMES["lyrics"]) for text in texts]
    return (text for text in lyrics if text.text or text.instrumental)


def _is_sung(frame: Any) -> bool:
    return frame.format == MILLISECONDS and frame.type in SUNG


def _synced(parts: Iterable[tuple[str, int]]) -> Lrc:
    """Join the parts of a SYLT frame to lines: its parts are lines, or syllables with a newline before each line."""
    parts = [(str(text), at) for text, at in parts]
    syllables = any(text.startswith(("\n", "\r")) for text, _ in parts)
    lines: list[tuple[int, str]] = []
    for text, at in parts:
        if syllables and lines and not text.startswith(("\n", "\r")):
            lines[-1] = lines[-1][0], lines[-1][1] + text
        else:
            lines.append((at, text))
    timed = (Line(min(max(at, 0), lrc.MAX_STAMP_MS), " ".join(text.split())) for at, text in lines)
    return lrc.parse(lrc.write(Lrc({}, tuple(timed))))
