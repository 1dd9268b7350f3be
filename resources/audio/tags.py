"""Tags: header, tags and picture of an audio file, in any common tag format.

Tag names are those that MusicBrainz Picard writes (its documentation, "Tag Mapping"), which other taggers share. Tags
are untrusted input: long texts and lists are cut, and invalid ids are ignored.
"""

import base64
import math
import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from resources.audio.undecodable import Undecodable
from resources.sources.records.listen import ISRC, MBID

MAX_VALUE_CHARS = 1_000
MAX_REASON_CHARS = 200
MAX_VALUES = 50  # per tag
CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
UUID = re.compile(rf"(?<![0-9a-f]){MBID.pattern}(?![0-9a-f])")
OPUS_HZ = 48_000  # Opus always decodes to this rate (RFC 7845)
LINKED_MIME = "-->"  # in ID3 and FLAC: the data is the URL of a picture
FRONT_COVER = 3  # picture type in ID3 and the formats that adopted its numbers

T = TypeVar("T")


class TagNames(NamedTuple):
    """The names of a tag in each format, in order of preference. Vorbis comments and APEv2 share `comment`."""

    comment: tuple[str, ...]
    id3: tuple[str, ...]
    mp4: tuple[str, ...]
    asf: tuple[str, ...]


FREEFORM = "----:com.apple.iTunes:"
TAG_NAMES = {
    "title": TagNames(("title",), ("TIT2",), ("©nam",), ("Title",)),
    "artist": TagNames(("artist",), ("TPE1",), ("©ART",), ("Author",)),
    "album": TagNames(("album",), ("TALB",), ("©alb",), ("WM/AlbumTitle",)),
    "album_artist": TagNames(("albumartist", "album artist"), ("TPE2",), ("aART",), ("WM/AlbumArtist",)),
    "track": TagNames(("tracknumber", "track"), ("TRCK",), ("trkn",), ("WM/TrackNumber",)),
    "date": TagNames(("date", "year"), ("TDRC",), ("©day",), ("WM/Year",)),
    "genres": TagNames(("genre",), ("TCON",), ("©gen",), ("WM/Genre",)),
    "isrc": TagNames(("isrc",), ("TSRC",), (f"{FREEFORM}ISRC",), ("WM/ISRC",)),
    "recording": TagNames(  # Picard calls it a track for historical reasons
        ("musicbrainz_trackid",),
        ("UFID:http://musicbrainz.org",),
        (f"{FREEFORM}MusicBrainz Track Id",),
        ("MusicBrainz/Track Id",),
    ),
    "release": TagNames(
        ("musicbrainz_albumid",),
        ("TXXX:MusicBrainz Album Id",),
        (f"{FREEFORM}MusicBrainz Album Id",),
        ("MusicBrainz/Album Id",),
    ),
    "artists": TagNames(
        ("musicbrainz_artistid",),
        ("TXXX:MusicBrainz Artist Id",),
        (f"{FREEFORM}MusicBrainz Artist Id",),
        ("MusicBrainz/Artist Id",),
    ),
    "lyrics": TagNames(("lyrics", "unsyncedlyrics", "syncedlyrics"), ("USLT", "SYLT"), ("©lyr",), ("WM/Lyrics",)),
}
FORMATS = {
    "AAC": ("aac", "aac"),
    "AIFF": ("aiff", "pcm"),
    "ASF": ("asf", "wma"),
    "DSDIFF": ("dff", "dsd"),
    "DSF": ("dsf", "dsd"),
    "FLAC": ("flac", "flac"),
    "MonkeysAudio": ("ape", "ape"),
    "MP3": ("mp3", "mp3"),
    "MP4": ("mp4", "aac"),
    "Musepack": ("musepack", "musepack"),
    "OggFLAC": ("ogg", "flac"),
    "OggOpus": ("ogg", "opus"),
    "OggSpeex": ("ogg", "speex"),
    "OggVorbis": ("ogg", "vorbis"),
    "TrueAudio": ("tta", "tta"),
    "WAVE": ("wav", "pcm"),
    "WavPack": ("wavpack", "wavpack"),
}
"""Container and codec of each format, by mutagen's name of it."""


@dataclass(frozen=True)
class Picture:
    """A picture in a file: its bytes and the MIME type that the file claims."""

    data: bytes
    mime: str | None


@dataclass(frozen=True)
class Tags:
    """Coding and tags of a file. Missing values are None or empty lists."""

    container: str
    codec: str
    duration_s: float | None  # from the header
    sample_rate: int | None  # Hz
    channels: int | None
    title: str | None = None
    artist: str | None = None
    album: str | None = None
    album_artist: str | None = None
    track_number: int | None = None
    date: str | None = None
    genres: list[str] = field(default_factory=list)
    isrc: str | None = None
    recording_id: str | None = None
    release_id: str | None = None
    artist_ids: list[str] = field(default_factory=list)
    has_lyrics: bool = False
    picture: Picture | None = None


def tags(path: Path) -> Tags | None:
    """Read a file's header and tags. Return None if its format is unknown. Raise Undecodable if they are broken."""
    return read(path, from_mutagen)


def read(path: Path, convert: Callable[[Any], T]) -> T | None:
    """Open a file with mutagen and return `convert(file)`, or None if its format is unknown.

    Raise Undecodable if its header or tags are broken.
    """
    try:
        file = _opened(path)
        return None if file is None else convert(file)
    except Exception as error:  # mutagen's parsers of untrusted bytes raise many kinds beside its own
        if isinstance(error, OSError) and error.strerror:
            raise Undecodable(f"cannot be read: {error.strerror}") from error
        if not path.stat().st_size:
            raise Undecodable("empty: the file has 0 bytes") from error
        reason = " ".join(str(error).split())[:MAX_REASON_CHARS]
        raise Undecodable(f"broken tags: {reason or type(error).__name__}") from error


def _opened(path: Path) -> Any:
    """Open a file with mutagen. If its name misleads mutagen, try again by content alone."""
    import mutagen

    try:
        return mutagen.File(path)
    except mutagen.MutagenError:
        with open(os.open(path, os.O_RDONLY), "rb") as nameless:
            if (file := mutagen.File(nameless)) is not None:
                return file
        raise


def from_mutagen(file: Any) -> Tags:
    """Extract the tags of a file that mutagen has opened."""
    info, name = file.info, type(file).__name__
    container, codec = FORMATS.get(name, (name.lower(), name.lower()))
    if name == "MP3":
        codec = f"mp{_positive(getattr(info, 'layer', None)) or 3}"
    if name == "MP4" and not str(getattr(info, "codec", "")).startswith("mp4a"):
        codec = _text([str(getattr(info, "codec", ""))]) or codec
    seconds = getattr(info, "length", None)
    texts = {tag: next(filter(None, values(file.tags, names)), []) for tag, names in TAG_NAMES.items()}
    return Tags(
        container=container,
        codec=codec,
        duration_s=float(seconds) if isinstance(seconds, int | float) and 0 < seconds < math.inf else None,
        sample_rate=OPUS_HZ if name == "OggOpus" else _positive(getattr(info, "sample_rate", None)),
        channels=_positive(getattr(info, "channels", None)),
        title=_text(texts["title"]),
        artist=_text(texts["artist"]),
        album=_text(texts["album"]),
        album_artist=_text(texts["album_artist"]),
        track_number=_number(texts["track"]),
        date=_text(texts["date"][:1]),
        genres=list(dict.fromkeys(g for g in map(_clean, texts["genres"][:MAX_VALUES]) if g)),
        isrc=next(iter(ISRC.findall("".join(texts["isrc"][:1])[:MAX_VALUE_CHARS].upper().replace("-", ""))), None),
        recording_id=next(iter(_ids(texts["recording"])), None),
        release_id=next(iter(_ids(texts["release"])), None),
        artist_ids=_ids(texts["artists"]),
        has_lyrics=any(text.strip() for text in texts["lyrics"]),
        picture=_front_cover(_pictures(file)),
    )


def values(tags: Any, names: TagNames) -> Iterator[list[str]]:
    """Yield the texts of a tag, one list for each of its names."""
    from mutagen.asf import ASFTags
    from mutagen.id3 import ID3
    from mutagen.mp4 import MP4Tags

    if tags is None:
        return
    if isinstance(tags, ID3):
        yield from ([text for frame in tags.getall(name) for text in _frame_texts(frame)] for name in names.id3)
    elif isinstance(tags, MP4Tags):
        yield from ([_atom_text(v) for v in tags.get(name, [])] for name in names.mp4)
    elif isinstance(tags, ASFTags):
        yield from ([str(v.value) for v in tags.get(name, [])] for name in names.asf)
    else:  # values are lists in Vorbis comments, and iterable objects in APEv2
        yield from ([str(v) for v in tags.get(name, []) if isinstance(v, str)] for name in names.comment)


def _frame_texts(frame: Any) -> list[str]:
    """Return the texts of an ID3 frame."""
    if hasattr(frame, "genres"):  # TCON: numbers are replaced by names
        return [str(g) for g in frame.genres]
    if hasattr(frame, "owner"):  # UFID
        return [frame.data.decode("ascii", "replace")]
    text = frame.text
    if isinstance(text, str):  # USLT
        return [text]
    return [str(t[0] if isinstance(t, tuple) else t) for t in text]  # SYLT has pairs of text and time


def _atom_text(value: Any) -> str:
    """Return the text of an MP4 value. Freeform values are bytes, a track number is a pair of number and total."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value[0] if isinstance(value, tuple) else value)


def _clean(text: str) -> str | None:
    """Return a text as one bounded line of valid Unicode, or None if it is blank."""
    plain = CONTROL.sub(" ", text[:MAX_VALUE_CHARS].encode(errors="replace").decode()).strip()
    return plain or None


def _text(values: Iterable[str]) -> str | None:
    """Join the values of a tag to one text."""
    return _clean("; ".join(v for v in map(_clean, list(values)[:MAX_VALUES]) if v))


def _positive(value: Any) -> int | None:
    """Return a number of the header as an int, or None if it is not positive and below 2**31."""
    return int(value) if isinstance(value, int | float) and 0 < value < 2**31 else None


def _number(values: list[str]) -> int | None:
    """Parse a track number, alone or followed by the total as in 7/12."""
    match = re.match(r"\s*([0-9]{1,6})(?![0-9])", values[0], re.ASCII) if values else None
    return int(match[1]) if match else None


def _ids(values: list[str]) -> list[str]:
    """Return the MusicBrainz ids in a tag. Taggers put several into one value, with various separators."""
    return UUID.findall(" ".join(v[:MAX_VALUE_CHARS] for v in values[:MAX_VALUES]).lower())[:MAX_VALUES]


def _front_cover(pictures: Iterable[tuple[int, Picture]]) -> Picture | None:
    """Return the front cover, else the first picture. Linked pictures are ignored."""
    embedded = [(kind, p) for kind, p in pictures if p.data and p.mime != LINKED_MIME]
    return next((p for kind, p in embedded if kind == FRONT_COVER), embedded[0][1] if embedded else None)


def _pictures(file: Any) -> Iterator[tuple[int, Picture]]:
    """Yield each readable picture in a file with its picture type."""
    from mutagen.asf import ASFTags
    from mutagen.flac import FLAC
    from mutagen.flac import Picture as Block
    from mutagen.id3 import ID3
    from mutagen.mp4 import MP4Tags

    tags = file.tags
    if isinstance(file, FLAC):
        yield from ((p.type, Picture(p.data, p.mime)) for p in file.pictures)
    if tags is None:
        return
    if isinstance(tags, ID3):
        yield from ((int(p.type), Picture(p.data, p.mime)) for p in tags.getall("APIC"))
    elif isinstance(tags, MP4Tags):
        yield from ((FRONT_COVER, Picture(bytes(c), None)) for c in tags.get("covr", []))
    elif isinstance(tags, ASFTags):
        yield from (p for v in tags.get("WM/Picture", []) if (p := _asf_picture(v.value)))
    else:
        for text in tags.get("metadata_block_picture", []):
            try:
                block = Block(base64.b64decode(text))
            except Exception:  # noqa: S112 (broken pictures are ignored)
                continue
            yield block.type, Picture(block.data, block.mime)
        if isinstance(data := getattr(tags.get("Cover Art (Front)"), "value", None), bytes):  # APEv2
            yield FRONT_COVER, Picture(data.partition(b"\0")[2], None)


def _asf_picture(value: Any) -> tuple[int, Picture] | None:
    """Parse an ASF picture: type, size, MIME type and description (UTF-16, each ending in NUL), then the bytes."""
    if not isinstance(value, bytes) or len(value) < 5:
        return None
    kind, size = struct.unpack_from("<BI", value)
    end = 5
    for _ in range(2):
        while value[end : end + 2] not in (b"\0\0", b"", b"\0"):
            end += 2
        end += 2
    return kind, Picture(value[end : end + size], None)
