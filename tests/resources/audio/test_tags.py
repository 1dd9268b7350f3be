"""Tags: every format is read, and broken tags give a one-line reason."""

import base64
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from mutagen import apev2, flac, id3
from mutagen.mp4 import MP4Cover, MP4FreeForm

from resources.audio.tags import MAX_VALUE_CHARS, MAX_VALUES, Tags, tags
from resources.audio.undecodable import Undecodable

RECORDING, RELEASE = "b1a9c0e9-d987-4042-ae91-78d6a3267d69", "4f7d3c09-6d0a-4d0a-9bd0-1c3f2ab8e011"
ARTISTS = ["65f4f0c5-ef9e-490c-aee3-909e7ae6b2ab", "cc197bad-dc9c-440d-a5b5-d52ba2e14234"]
PICTURE = b"\x89PNG\r\n\x1a\n not really"
FORMATS = {"flac": "FLAC", "ogg": "OGG", "opus": "OGG", "mp3": "MP3", "wav": "WAV", "aiff": "AIFF"}
WRITTEN = {
    "title": "Straße – नमस्ते",
    "artist": "Ann; Bob",
    "album": "Songs",
    "album_artist": "Various",
    "track_number": 7,
    "date": "1883-05",
    "genres": ["jig", "reel"],
    "isrc": "GBAAA0000001",
    "recording_id": RECORDING,
    "release_id": RELEASE,
    "artist_ids": ARTISTS,
    "has_lyrics": True,
}


def sound(folder: Path, kind: str = "flac") -> Path:
    """Write a tenth of a second of a tone."""
    path = folder / f"tone.{kind}"
    tone = np.sin(np.arange(4_800) / 10).astype("float32")
    soundfile.write(path, tone, 48_000, format=FORMATS[kind], subtype="OPUS" if kind == "opus" else None)
    return path


def as_comments(file: Any) -> None:
    file["title"], file["artist"], file["album"] = WRITTEN["title"], ["Ann", "Bob"], "Songs"
    file["ALBUMARTIST"], file["tracknumber"], file["date"] = "Various", "7/12", "1883-05"
    file["genre"], file["isrc"] = ["jig", "reel", "jig"], "gb-aaa-00-00001"
    file["musicbrainz_trackid"], file["musicbrainz_albumid"] = RECORDING.upper(), RELEASE
    file["musicbrainz_artistid"], file["lyrics"] = ARTISTS, "la la"
    picture = flac.Picture()
    picture.type, picture.mime, picture.data = 3, "image/png", PICTURE
    back = flac.Picture()
    back.type, back.data = 4, b"back"
    if isinstance(file, flac.FLAC):
        file.add_picture(back)
        file.add_picture(picture)
    else:
        file["metadata_block_picture"] = ["%%%", *(base64.b64encode(p.write()).decode() for p in (back, picture))]


def as_id3(file: Any) -> None:
    if file.tags is None:
        file.add_tags()
    for frame in (
        id3.TIT2(encoding=3, text=[WRITTEN["title"]]),
        id3.TPE1(encoding=3, text=["Ann", "Bob"]),
        id3.TALB(encoding=1, text=["Songs"]),
        id3.TPE2(encoding=3, text=["Various"]),
        id3.TRCK(encoding=0, text=["07/12"]),
        id3.TDRC(encoding=0, text=["1883-05"]),
        id3.TCON(encoding=3, text=["jig", "reel"]),
        id3.TSRC(encoding=0, text=["GBAAA0000001"]),
        id3.UFID(owner="http://elsewhere.example", data=b"17"),
        id3.UFID(owner="http://musicbrainz.org", data=RECORDING.encode()),
        id3.TXXX(encoding=0, desc="MusicBrainz Album Id", text=[RELEASE]),
        id3.TXXX(encoding=0, desc="MusicBrainz Artist Id", text=["/".join(ARTISTS)]),
        id3.USLT(encoding=3, lang="eng", desc="", text="la la"),
        id3.APIC(encoding=3, mime="image/png", type=4, desc="back", data=b"back"),
        id3.APIC(encoding=3, mime="image/png", type=3, desc="front", data=PICTURE),
    ):
        file.tags.add(frame)


def as_atoms(file: Any) -> None:
    if file.tags is None:
        file.add_tags()
    freeform = "----:com.apple.iTunes:"
    file["©nam"], file["©ART"], file["©alb"], file["aART"] = WRITTEN["title"], ["Ann", "Bob"], "Songs", "Various"
    file["trkn"], file["©day"], file["©gen"], file["©lyr"] = [(7, 12)], "1883-05", ["jig", "reel"], "la la"
    file[f"{freeform}ISRC"] = MP4FreeForm(b"GBAAA0000001")
    file[f"{freeform}MusicBrainz Track Id"] = MP4FreeForm(RECORDING.encode())
    file[f"{freeform}MusicBrainz Album Id"] = MP4FreeForm(RELEASE.encode())
    file[f"{freeform}MusicBrainz Artist Id"] = [MP4FreeForm(a.encode()) for a in ARTISTS]
    file["covr"] = [MP4Cover(PICTURE, MP4Cover.FORMAT_PNG)]


def tagged(path: Path, write: Callable[[Any], None]) -> Tags:
    file = mutagen.File(path)
    write(file)
    file.save()
    result = tags(path)
    assert result
    return result


def assert_as_written(result: Tags) -> None:
    assert {name: getattr(result, name) for name in WRITTEN} == WRITTEN
    assert result.picture
    assert result.picture.data == PICTURE


@pytest.mark.parametrize(
    ("kind", "write", "coded"),
    [
        ("flac", as_comments, ("flac", "flac")),
        ("ogg", as_comments, ("ogg", "vorbis")),
        ("opus", as_comments, ("ogg", "opus")),
        ("mp3", as_id3, ("mp3", "mp3")),
        ("wav", as_id3, ("wav", "pcm")),
        ("aiff", as_id3, ("aiff", "pcm")),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_reads_the_tags_of_each_format(tmp_path: Path, kind: str, write: Callable[[Any], None], coded: Any) -> None:
    result = tagged(sound(tmp_path, kind), write)
    assert_as_written(result)
    assert (result.container, result.codec, result.channels, result.sample_rate) == (*coded, 1, 48_000)
    assert result.duration_s == pytest.approx(0.1, abs=0.1)


def test_ignores_linked_and_empty_pictures(tmp_path: Path) -> None:
    def write(file: Any) -> None:
        file.add_tags()
        file.tags.add(id3.APIC(encoding=3, mime="-->", type=3, desc="a", data=b"https://example.org/a.jpg"))
        file.tags.add(id3.APIC(encoding=3, mime="image/png", type=3, desc="b", data=b""))

    assert tagged(sound(tmp_path, "mp3"), write).picture is None


def test_reads_ape_tags(tmp_path: Path) -> None:
    ape = apev2.APEv2()
    ape["Title"], ape["Artist"], ape["Album"] = "Song", ["Ann", "Bob"], "Songs"
    ape["Track"], ape["Year"], ape["MUSICBRAINZ_TRACKID"] = "7", "1883", RECORDING
    ape["Cover Art (Front)"] = apev2.APEValue(b"cover.png\0" + PICTURE, apev2.BINARY)
    path = tmp_path / "song.wv"
    path.write_bytes(wavpack())
    ape.save(path)
    read = tags(path)
    assert read
    assert (read.container, read.title, read.artist, read.track_number) == ("wavpack", "Song", "Ann; Bob", 7)
    assert (read.date, read.recording_id) == ("1883", RECORDING)
    assert read.picture
    assert read.picture.data == PICTURE


def wavpack() -> bytes:
    """Return the header of a WavPack block, the only part that is read."""
    return struct.pack("<4sIHBBIIIII", b"wvpk", 24, 0x410, 0, 0, 4_800, 0, 4_800, 9 << 23, 0)


def test_reads_mp4_atoms(tmp_path: Path) -> None:
    folder = os.environ.get("TUTTI_SAMPLES")
    if not folder:
        pytest.skip("set TUTTI_SAMPLES to a folder of samples: no library here writes MP4")
    path = Path(shutil.copy(Path(folder) / "tagged_audio" / "test.m4a", tmp_path / "a.m4a"))
    path.chmod(0o600)
    result = tagged(path, as_atoms)
    assert_as_written(result)
    assert (result.container, result.codec) == ("mp4", "aac")


@pytest.mark.parametrize("kind", ["flac", "m4a", "mp3", "ogg", "opus", "wav"])
def test_reads_the_tags_of_samples(kind: str) -> None:
    folder = os.environ.get("TUTTI_SAMPLES")
    if not folder:
        pytest.skip("set TUTTI_SAMPLES to a folder of samples")
    result = tags(Path(folder) / "tagged_audio" / f"test.{kind}")
    assert result
    assert result.duration_s
    assert result.channels == 2


def test_content_determines_the_format_not_the_name(tmp_path: Path) -> None:
    result = tags(sound(tmp_path).rename(tmp_path / "song.mp3"))
    assert result
    assert result.container == "flac"


def test_an_empty_file_is_reported_as_such(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").touch()
    with pytest.raises(Undecodable, match="0 bytes"):
        tags(tmp_path / "a.mp3")


def test_a_file_that_is_not_audio_has_a_one_line_reason(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    path.write_text("hello\n" * 100)
    with pytest.raises(Undecodable, match="MPEG"):
        tags(path)
    path.rename(tmp_path / "song.au")
    assert tags(tmp_path / "song.au") is None
    with pytest.raises(Undecodable, match="No such file"):
        tags(path)


def test_ignores_invalid_ids(tmp_path: Path) -> None:
    def write(file: Any) -> None:
        file["musicbrainz_trackid"] = ["", "nothing", RECORDING[:-1], f"{RECORDING}0", f"x{RECORDING}x"]
        file["isrc"], file["tracknumber"] = "no code", "A1"

    result = tagged(sound(tmp_path), write)
    assert (result.recording_id, result.isrc, result.track_number) == (RECORDING, None, None)


texts = st.text(max_size=30)


@given(values=st.lists(texts, max_size=5), long=st.text(min_size=1, max_size=3))
def test_any_text_becomes_one_line_of_bounded_length(
    tmp_path_factory: pytest.TempPathFactory, values: list[str], long: str
) -> None:
    def write(file: Any) -> None:
        written = [v.encode(errors="replace").decode() for v in values]
        file["title"], file["genre"], file["date"] = written, written * 30, written
        file["album"] = long.encode(errors="replace").decode() * MAX_VALUE_CHARS
        file["musicbrainz_trackid"], file["tracknumber"], file["isrc"] = written, written, written

    result = tagged(sound(tmp_path_factory.mktemp("tags")), write)
    for text in (result.title, result.album, result.date, *result.genres):
        if text is not None:
            assert text == text.strip()
            assert 0 < len(text) <= MAX_VALUE_CHARS
            assert not set(text) & set(map(chr, range(32)))
            text.encode()
    assert len(result.genres) <= MAX_VALUES
    not_blank = [v for v in values if v.strip("".join(map(chr, range(33))) + "\x7f")]
    assert (result.title is None) <= (not [v for v in not_blank if v.isprintable() and v.strip()])


@given(data=st.data(), kind=st.sampled_from(("flac", "ogg", "mp3", "wav")))
def test_damaged_files_are_read_or_have_a_one_line_reason(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str
) -> None:
    path = sound(tmp_path_factory.mktemp("tags"), kind)
    tagged(path, as_comments if kind in ("flac", "ogg") else as_id3)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 8))):
        place = data.draw(st.integers(0, min(len(content), 3_000) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.sampled_from((len(content), len(content) // 2, 100, 10, 0)))])
    assert is_read_or_has_reason(path)


@given(
    st.binary(max_size=400), st.sampled_from((b"", b"fLaC", b"OggS", b"ID3\x04\0\0", b"RIFF", b"\0\0\0\x18ftypM4A "))
)
def test_any_bytes_are_read_or_have_a_one_line_reason(
    tmp_path_factory: pytest.TempPathFactory, rest: bytes, head: bytes
) -> None:
    path = tmp_path_factory.mktemp("tags") / "song.mp3"
    path.write_bytes(head + rest)
    assert is_read_or_has_reason(path)


def is_read_or_has_reason(path: Path) -> bool:
    """Return whether a file's tags can be read or the reason is one line."""
    try:
        result = tags(path)
    except Undecodable as error:
        return "\n" not in str(error)
    return result is None or isinstance(result, Tags)
