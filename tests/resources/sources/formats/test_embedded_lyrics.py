"""Lyrics inside audio files in every tag format, and files that are damaged or not audio."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutagen.flac import FLAC
from mutagen.id3 import ID3, SYLT, TIT2, TPE1, UFID, USLT
from mutagen.mp4 import MP4
from mutagen.wave import WAVE

from resources.errors import TuttiError
from resources.sources.formats.embedded_lyrics import Tags, tags
from tests.resources.sources import audio

RECORDING = "c7d0bf6e-b2aa-4ffa-bded-2448415b39b0"
PLAIN = "Sing, river\nSing, sea"
TIMED = "[00:10.50]Sing, sea\n[00:01.00]Sing, river\n"


def mp3(folder: Path, *words: Any) -> Path:
    path = audio.mp3(folder / "a.mp3")
    frames = [TIT2(text="A Song"), TPE1(text=["Ann Lee"]), UFID("http://musicbrainz.org", RECORDING.encode())]
    id3 = ID3()
    for frame in [*frames, *words]:
        id3.add(frame)
    id3.save(path)
    return path


def wav(folder: Path, words: str) -> Path:
    file = WAVE(audio.wav(folder / "a.wav"))
    file.add_tags()
    for frame in ID3(mp3(folder)).values():
        file.tags.add(frame)
    file.tags.add(USLT(text=words, lang="XXX"))
    file.save()
    return folder / "a.wav"


def flac(folder: Path, words: str, name: str = "LYRICS") -> Path:
    file = FLAC(audio.flac(folder / "a.flac"))
    file.update({"TITLE": "A Song", "ARTIST": "Ann Lee", "MUSICBRAINZ_TRACKID": RECORDING, name: words})
    file.save()
    return folder / "a.flac"


def m4a(folder: Path, words: str) -> Path:
    file = MP4(audio.m4a(folder / "a.m4a"))
    file.add_tags()
    file.tags.update({"\xa9nam": "A Song", "\xa9ART": "Ann Lee", "\xa9lyr": words})
    file.tags["----:com.apple.iTunes:MusicBrainz Track Id"] = RECORDING.encode()
    file.save()
    return folder / "a.m4a"


KINDS: dict[str, Callable[[Path, str], Path]] = {
    "USLT in ID3": lambda folder, words: mp3(folder, USLT(text=words, lang="eng")),
    "USLT in WAV": wav,
    "Vorbis LYRICS": flac,
    "Vorbis UNSYNCEDLYRICS": lambda folder, words: flac(folder, words, "UNSYNCEDLYRICS"),
    "MP4": m4a,
}


@pytest.mark.parametrize("kind", KINDS)
def test_plain_lyrics_are_read_with_their_recording(tmp_path: Path, kind: str) -> None:
    result = tags(KINDS[kind](tmp_path, PLAIN))
    assert (result.recording_id, result.title, result.artist_credit) == (RECORDING, "A Song", "Ann Lee")
    assert result.lyrics and (result.lyrics.text, result.lyrics.synced) == (PLAIN, False)


@pytest.mark.parametrize("kind", KINDS)
def test_lyrics_with_times_are_read_as_from_an_lrc_file(tmp_path: Path, kind: str) -> None:
    result = tags(KINDS[kind](tmp_path, TIMED)).lyrics
    assert result and [(line.at_ms, line.text) for line in result.lines] == [
        (1000, "Sing, river"),
        (10_500, "Sing, sea"),
    ]


@pytest.mark.parametrize(
    "parts",
    [
        [("Sing, river", 1000), ("Sing, sea", 10_500)],
        [("Sing, ", 1000), ("ri", 1500), ("ver", 2000), ("\nSing, ", 10_500), ("sea", 11_000)],
    ],
)
def test_lines_and_syllables_of_sylt_become_lines(tmp_path: Path, parts: list[tuple[str, int]]) -> None:
    frame = SYLT(encoding=3, lang="eng", format=2, type=1, desc="", text=parts)
    result = tags(mp3(tmp_path, frame, USLT(text=PLAIN + "\nand more of it", lang="eng"))).lyrics
    assert result and [(line.at_ms, line.text) for line in result.lines] == [
        (1000, "Sing, river"),
        (10_500, "Sing, sea"),
    ]


def test_times_as_numbers_of_frames_are_ignored(tmp_path: Path) -> None:
    frame = SYLT(encoding=3, lang="eng", format=1, type=1, desc="", text=[("Sing", 1)])
    assert tags(mp3(tmp_path, frame)).lyrics is None


def test_chords_with_times_are_not_words(tmp_path: Path) -> None:
    frame = SYLT(encoding=3, lang="eng", format=2, type=5, desc="", text=[("Am", 1000)])
    assert tags(mp3(tmp_path, frame)).lyrics is None


def test_an_instrumental_mark_counts_only_without_words(tmp_path: Path) -> None:
    mark, words = USLT(text="[au: instrumental]", lang="eng"), USLT(text=PLAIN, lang="eng", desc="words")
    result = tags(mp3(tmp_path, mark)).lyrics
    assert result and result.instrumental
    result = tags(mp3(tmp_path, mark, words)).lyrics
    assert result and result.text == PLAIN


def test_the_longest_of_several_texts_wins(tmp_path: Path) -> None:
    words = [USLT(text=text, lang="eng", desc=text) for text in ("la", PLAIN, "")]
    result = tags(mp3(tmp_path, *words)).lyrics
    assert result and result.text == PLAIN


def test_a_file_without_tags_has_no_lyrics(tmp_path: Path) -> None:
    for make in (audio.mp3, audio.flac, audio.wav, audio.m4a):
        assert tags(make(tmp_path / f"a.{make.__name__}")) == Tags()


def test_an_invalid_id_is_dropped(tmp_path: Path) -> None:
    path = flac(tmp_path, PLAIN)
    file = FLAC(path)
    file["MUSICBRAINZ_TRACKID"] = "unknown"
    file.save()
    assert tags(path).recording_id is None


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.m4a", "a.ogg", "a.wav"])
@pytest.mark.parametrize("content", [b"", b"la la la", b"fLaC", b"OggS" + bytes(40), b"\xff\xfb", b"RIFF\0\0\0\0WAVE"])
def test_a_file_without_audio_raises_or_has_no_lyrics(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    try:
        assert tags(tmp_path / name).lyrics is None
    except TuttiError as error:
        assert "\n" not in str(error)  # noqa: PT017


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("audio")
    return {(path := make(folder, TIMED)).suffix: path.read_bytes() for make in KINDS.values()}


@given(data=st.data(), suffix=st.sampled_from([".mp3", ".flac", ".m4a", ".wav"]))
def test_any_damage_raises_only_tutti_error(
    intact: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    body = intact[suffix]
    for _ in range(3):
        at = data.draw(st.integers(0, len(body)))
        body = body[:at] + data.draw(st.binary(max_size=4)) + body[at + data.draw(st.integers(0, 8)) :]
    path.write_bytes(body)
    try:
        result = tags(path)
    except TuttiError:
        return
    for text in (result.title, result.artist_credit, result.lyrics and result.lyrics.text):
        assert not text or text.encode()


def test_a_file_that_cannot_be_opened_raises(tmp_path: Path) -> None:
    with pytest.raises(TuttiError):
        tags(tmp_path / "a.mp3")
