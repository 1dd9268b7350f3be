"""Audio files to damage: a second in each format, with tags, lyrics and a cover."""

import io
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import mutagen
import numpy as np
import soundfile
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3, SYLT, TIT2, TPE1, TRCK, UFID, USLT
from mutagen.mp4 import MP4
from PIL import Image

from tests.fuzz.samples import MBID
from tests.resources.sources import audio

RATE = 8_000
WORDS = "[00:00.10]Sing, river\n[00:00.50]Sing, sea"
COMMENTS = {"title": "Song", "artist": ["A", "B"], "musicbrainz_trackid": MBID, "lyrics": WORDS, "tracknumber": "3/9"}


@cache
def tagged() -> Mapping[str, bytes]:
    """Return the files by format."""
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("wav", "flac", "ogg", "mp3", "m4a"):
            path = Path(folder, f"a.{suffix}")
            if suffix == "m4a":
                audio.m4a(path)
            else:
                soundfile.write(path, 0.5 * np.sin(np.arange(RATE) / 5), RATE)
            _tag(path)
            files[suffix] = path.read_bytes()
    return files


def _tag(path: Path) -> None:
    file = mutagen.File(path)
    cover = io.BytesIO()
    Image.new("RGB", (20, 20), (200, 30, 30)).save(cover, "PNG")
    if isinstance(file, MP4):
        file.add_tags()
        file.tags.update({"\xa9nam": "Song", "\xa9lyr": WORDS, "covr": [cover.getvalue()], "trkn": [(3, 9)]})
        file.tags["----:com.apple.iTunes:MusicBrainz Track Id"] = MBID.encode()
    elif path.suffix in (".mp3", ".wav"):
        if file.tags is None:
            file.add_tags()
        assert isinstance(file.tags, ID3)
        for frame in (
            TIT2(text="Song"),
            TPE1(text=["A", "B"]),
            TRCK(text="3/9"),
            UFID("http://musicbrainz.org", MBID.encode()),
        ):
            file.tags.add(frame)
        file.tags.add(USLT(lang="eng", text=WORDS))
        file.tags.add(SYLT(encoding=3, lang="eng", format=2, type=1, desc="", text=[("Sing", 100), ("\nsea", 500)]))
        file.tags.add(APIC(mime="image/png", type=3, data=cover.getvalue()))
    else:
        file.update(COMMENTS)
        if isinstance(file, FLAC):
            picture = Picture()
            picture.type, picture.mime, picture.data = 3, "image/png", cover.getvalue()
            file.add_picture(picture)
    file.save()
