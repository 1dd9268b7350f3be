"""What an audio file says of itself, as far as lyrics need it: which recording it is, and its words.

Where each kind of file keeps that: https://picard-docs.musicbrainz.org/en/appendices/tag_mapping.html; lyrics in ID3
(USLT and SYLT, https://id3.org/id3v2.4.0-frames), Vorbis comments and MP4. The language that a USLT names is passed
over: most programs write "eng", or nothing, whatever is sung.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from resources.errors import TuttiError
from resources.sources import lrc
from resources.sources.lrc import MOST_BYTES, Line, Lrc

AUDIO = {".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aif", ".aiff", ".wav"}
"""The ends of names of audio files that have tags we read."""
TITLE = ("TIT2", "title", "\xa9nam")
ARTIST = ("TPE1", "artist", "\xa9ART")
RECORDING = ("UFID:http://musicbrainz.org", "musicbrainz_trackid", "----:com.apple.iTunes:MusicBrainz Track Id")
WORDS = ("lyrics", "unsyncedlyrics", "syncedlyrics", "\xa9lyr")  # beside USLT and SYLT, of which there may be many
MILLISECONDS = 2  # how SYLT tells that its times are no numbers of frames


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of an audio file that lyrics need; of several texts the one with times, and then the longest, counts."""

    recording_id: str | None = None
    title: str | None = None
    artist_credit: str | None = None
    lyrics: Lrc | None = None


def tags(path: Path) -> Tags:
    """The tags of an audio file. Raises `TuttiError` with the reason where they cannot be read."""
    import mutagen

    try:
        found = mutagen.File(path)
        told: Any = (found.tags if found is not None else None) or {}
        texts = [*_texts(told)]
        return Tags(
            recording_id=_uuid(_first(told, RECORDING)),
            title=_line(_first(told, TITLE)),
            artist_credit=_line(_first(told, ARTIST)),
            lyrics=max(texts, key=lambda text: (text.synced, len(text.text)), default=None),
        )
    except Exception as error:  # of a damaged file mutagen raises what its parts do, and ours must not end for it
        raise TuttiError(f"tags that cannot be read ({type(error).__name__})") from None


def _texts(told: Any) -> Iterable[Lrc]:
    """The lyrics in the tags, which hold some words each."""
    found = [lrc.parse(_text(value)) for value in _values(told, WORDS)]
    if hasattr(told, "getall"):  # ID3
        found += (lrc.parse(frame.text[:MOST_BYTES]) for frame in told.getall("USLT"))
        found += (_synced(frame.text) for frame in told.getall("SYLT") if frame.format == MILLISECONDS)
    return (text for text in found if text.text)


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


def _values(told: Any, names: Iterable[str]) -> Iterable[Any]:
    """What the tags hold under these names, of which a kind of file has one."""
    for name in names:
        try:
            held = told.get(name)
        except ValueError:  # Vorbis comments take no name beyond ASCII
            continue
        held = getattr(held, "data", None) or getattr(held, "text", held)  # of ID3 a frame
        yield from held if isinstance(held, list) else [held] if held else []


def _first(told: Any, names: Iterable[str]) -> str | None:
    return next((_text(value) for value in _values(told, names)), None)


def _text(value: Any) -> str:
    """A tag as text: MP4 keeps some as bytes."""
    text = bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | bytearray) else str(value)
    return text[:MOST_BYTES]


def _line(text: str | None) -> str | None:
    """A name as a table can hold it."""
    return " ".join((text or "").replace("\0", " ").encode("utf-8", "replace").decode().split()) or None


def _uuid(text: str | None) -> str | None:
    try:
        return str(UUID((text or "").strip()))
    except ValueError:
        return None
