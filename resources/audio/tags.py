"""Tags: what an audio file says about itself, and the picture in it, in whichever of the tag formats.

Names of tags are those that MusicBrainz Picard writes (its documentation, "Tag Mapping"), which other taggers share.
Whatever a tag holds is somebody's input: texts and lists are cut, ids are taken only where they are ids.
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

MOST_TEXT = 1_000  # characters of a value
MOST_SAID = 200  # of what is wrong with one
MOST_VALUES = 50  # of one tag
CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
UUID = re.compile(rf"(?<![0-9a-f]){MBID.pattern}(?![0-9a-f])")
OPUS_HZ = 48_000  # whatever it was made from (RFC 7845)
LINKED = "-->"  # the MIME type of a picture that is elsewhere, in ID3 and FLAC
FRONT = 3  # the kind of a picture that is the front cover, in ID3 and all that follow it

T = TypeVar("T")


class Names(NamedTuple):
    """What a tag is called in Vorbis comments and APEv2, ID3, MP4 and ASF; the first that is there counts."""

    comment: tuple[str, ...]
    id3: tuple[str, ...]
    mp4: tuple[str, ...]
    asf: tuple[str, ...]


FREEFORM = "----:com.apple.iTunes:"
NAMES = {
    "title": Names(("title",), ("TIT2",), ("©nam",), ("Title",)),
    "artist": Names(("artist",), ("TPE1",), ("©ART",), ("Author",)),
    "album": Names(("album",), ("TALB",), ("©alb",), ("WM/AlbumTitle",)),
    "album_artist": Names(("albumartist", "album artist"), ("TPE2",), ("aART",), ("WM/AlbumArtist",)),
    "track": Names(("tracknumber", "track"), ("TRCK",), ("trkn",), ("WM/TrackNumber",)),
    "date": Names(("date", "year"), ("TDRC",), ("©day",), ("WM/Year",)),
    "genres": Names(("genre",), ("TCON",), ("©gen",), ("WM/Genre",)),
    "isrc": Names(("isrc",), ("TSRC",), (f"{FREEFORM}ISRC",), ("WM/ISRC",)),
    "recording": Names(  # which Picard calls a track for reasons of history
        ("musicbrainz_trackid",),
        ("UFID:http://musicbrainz.org",),
        (f"{FREEFORM}MusicBrainz Track Id",),
        ("MusicBrainz/Track Id",),
    ),
    "release": Names(
        ("musicbrainz_albumid",),
        ("TXXX:MusicBrainz Album Id",),
        (f"{FREEFORM}MusicBrainz Album Id",),
        ("MusicBrainz/Album Id",),
    ),
    "artists": Names(
        ("musicbrainz_artistid",),
        ("TXXX:MusicBrainz Artist Id",),
        (f"{FREEFORM}MusicBrainz Artist Id",),
        ("MusicBrainz/Artist Id",),
    ),
    "lyrics": Names(("lyrics", "unsyncedlyrics", "syncedlyrics"), ("USLT", "SYLT"), ("©lyr",), ("WM/Lyrics",)),
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
"""Container and codec by mutagen's name of a format."""


@dataclass(frozen=True)
class Picture:
    """A picture in a file: its bytes, and what the file takes it for."""

    data: bytes
    mime: str | None


@dataclass(frozen=True)
class Tags:
    """What a file says: how it is coded, and what of; None and empty lists where it does not."""

    container: str
    codec: str
    duration_s: float | None  # as the header has it
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
    """Read a file's header and tags; None where its format is not known. Undecodable if they are broken."""
    return read(path, told)


def read(path: Path, what: Callable[[Any], T]) -> T | None:
    """Make something of a file as mutagen has it; None where its format is not known. Undecodable if it is broken."""
    try:
        file = _opened(path)
        return None if file is None else what(file)
    except Exception as error:  # of untrusted bytes: mutagen's own errors, and whatever its parsers stumble over
        if isinstance(error, OSError) and error.strerror:
            raise Undecodable(f"cannot be read: {error.strerror}") from error
        if not path.stat().st_size:
            raise Undecodable("empty: it has no bytes") from error
        said = " ".join(str(error).split())[:MOST_SAID]
        raise Undecodable(f"its tags are broken: {said or type(error).__name__}") from error


def _opened(path: Path) -> Any:
    """The file as mutagen has it; where its name misleads, by its content alone."""
    import mutagen

    try:
        return mutagen.File(path)
    except mutagen.MutagenError:
        with open(os.open(path, os.O_RDONLY), "rb") as nameless:
            if (file := mutagen.File(nameless)) is not None:
                return file
        raise


def told(file: Any) -> Tags:
    """What a file says that mutagen has opened."""
    info, name = file.info, type(file).__name__
    container, codec = FORMATS.get(name, (name.lower(), name.lower()))
    if name == "MP3":
        codec = f"mp{_whole(getattr(info, 'layer', None)) or 3}"
    if name == "MP4" and not str(getattr(info, "codec", "")).startswith("mp4a"):
        codec = _text([str(getattr(info, "codec", ""))]) or codec
    seconds = getattr(info, "length", None)
    found = {tag: next(filter(None, values(file.tags, names)), []) for tag, names in NAMES.items()}
    return Tags(
        container=container,
        codec=codec,
        duration_s=float(seconds) if isinstance(seconds, int | float) and 0 < seconds < math.inf else None,
        sample_rate=OPUS_HZ if name == "OggOpus" else _whole(getattr(info, "sample_rate", None)),
        channels=_whole(getattr(info, "channels", None)),
        title=_text(found["title"]),
        artist=_text(found["artist"]),
        album=_text(found["album"]),
        album_artist=_text(found["album_artist"]),
        track_number=_number(found["track"]),
        date=_text(found["date"][:1]),
        genres=list(dict.fromkeys(g for g in map(_clean, found["genres"][:MOST_VALUES]) if g)),
        isrc=next(iter(ISRC.findall("".join(found["isrc"][:1])[:MOST_TEXT].upper().replace("-", ""))), None),
        recording_id=next(iter(_ids(found["recording"])), None),
        release_id=next(iter(_ids(found["release"])), None),
        artist_ids=_ids(found["artists"]),
        has_lyrics=any(text.strip() for text in found["lyrics"]),
        picture=_front(_pictures(file)),
    )


def values(tags: Any, names: Names) -> Iterator[list[str]]:
    """What a tag holds, as texts, under each of its names."""
    from mutagen.asf import ASFTags
    from mutagen.id3 import ID3
    from mutagen.mp4 import MP4Tags

    if tags is None:
        return
    if isinstance(tags, ID3):
        yield from ([text for frame in tags.getall(name) for text in _of_frame(frame)] for name in names.id3)
    elif isinstance(tags, MP4Tags):
        yield from ([_of_atom(v) for v in tags.get(name, [])] for name in names.mp4)
    elif isinstance(tags, ASFTags):
        yield from ([str(v.value) for v in tags.get(name, [])] for name in names.asf)
    else:  # Vorbis comments are lists, APEv2's are objects that give their texts one by one
        yield from ([str(v) for v in tags.get(name, []) if isinstance(v, str)] for name in names.comment)


def _of_frame(frame: Any) -> list[str]:
    """The texts of an ID3 frame."""
    if hasattr(frame, "genres"):  # spelled out, where they are numbers
        return [str(g) for g in frame.genres]
    if hasattr(frame, "owner"):  # UFID
        return [frame.data.decode("ascii", "replace")]
    text = frame.text
    if isinstance(text, str):  # USLT
        return [text]
    return [str(t[0] if isinstance(t, tuple) else t) for t in text]  # SYLT has instants beside its texts


def _of_atom(value: Any) -> str:
    """A value of MP4: free forms are bytes, a track number comes with how many there are."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value[0] if isinstance(value, tuple) else value)


def _clean(text: str) -> str | None:
    """A text on one line, as any table can hold it."""
    plain = CONTROL.sub(" ", text[:MOST_TEXT].encode(errors="replace").decode()).strip()
    return plain or None


def _text(values: Iterable[str]) -> str | None:
    """The values of a tag as one text."""
    return _clean("; ".join(v for v in map(_clean, list(values)[:MOST_VALUES]) if v))


def _whole(value: Any) -> int | None:
    """A number of the header, where it is one that can be."""
    return int(value) if isinstance(value, int | float) and 0 < value < 2**31 else None


def _number(values: list[str]) -> int | None:
    """A track's number, alone or before how many there are."""
    found = re.match(r"\s*([0-9]{1,6})(?![0-9])", values[0], re.ASCII) if values else None
    return int(found[1]) if found else None


def _ids(values: list[str]) -> list[str]:
    """The MusicBrainz ids in a tag; taggers put several into one value with whatever between them."""
    return UUID.findall(" ".join(v[:MOST_TEXT] for v in values[:MOST_VALUES]).lower())[:MOST_VALUES]


def _front(pictures: Iterable[tuple[int, Picture]]) -> Picture | None:
    """The front cover, else the first picture there is; an address of one is none."""
    found = [(kind, p) for kind, p in pictures if p.data and p.mime != LINKED]
    return next((p for kind, p in found if kind == FRONT), found[0][1] if found else None)


def _pictures(file: Any) -> Iterator[tuple[int, Picture]]:
    """The pictures in a file that can be made out, and of which kind each is."""
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
        yield from ((FRONT, Picture(bytes(c), None)) for c in tags.get("covr", []))
    elif isinstance(tags, ASFTags):
        yield from (p for v in tags.get("WM/Picture", []) if (p := _of_asf(v.value)))
    else:
        for text in tags.get("metadata_block_picture", []):
            try:
                block = Block(base64.b64decode(text))
            except Exception:  # noqa: S112 (a picture that is broken is none)
                continue
            yield block.type, Picture(block.data, block.mime)
        if isinstance(data := getattr(tags.get("Cover Art (Front)"), "value", None), bytes):  # APEv2
            yield FRONT, Picture(data.partition(b"\0")[2], None)


def _of_asf(value: Any) -> tuple[int, Picture] | None:
    """A picture of ASF: kind, size, then MIME type and description in UTF-16, each up to a NUL, then the bytes."""
    if not isinstance(value, bytes) or len(value) < 5:
        return None
    kind, size = struct.unpack_from("<BI", value)
    end = 5
    for _ in range(2):
        while value[end : end + 2] not in (b"\0\0", b"", b"\0"):
            end += 2
        end += 2
    return kind, Picture(value[end : end + size], None)
