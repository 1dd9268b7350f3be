"""Sound: content determines the format, and undecodable files have a reason."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.audio import ffmpeg
from resources.audio.sound import Sound, Undecodable
from tests.resources.audio.support import tone, written

FORMATS = {
    "wav": ("wav", "pcm_16", {}),
    "aiff": ("aiff", "pcm_16", {}),
    "flac": ("flac", "flac", {}),
    "ogg": ("ogg", "vorbis", {}),
    "opus": ("ogg", "opus", {"format": "OGG", "subtype": "OPUS"}),
    "mp3": ("mp3", "mp3", {}),
}


def read(path: Path, size: int = 1000) -> np.ndarray:
    with Sound(path) as sound:
        return np.concatenate(list(sound.blocks(size)))


def reason(path: Path) -> str:
    with pytest.raises(Undecodable) as caught:
        read(path)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_has_its_format_and_samples(tmp_path: Path, kind: str) -> None:
    rate = 48_000
    samples = np.stack([tone(440, 1.5, rate), tone(660, 1.5, rate)], axis=1)
    container, codec, options = FORMATS[kind]
    path = written(tmp_path / f"a.{kind}", samples, rate, **options)
    with Sound(path) as sound:
        assert (sound.container, sound.codec, sound.sample_rate, sound.channels) == (container, codec, rate, 2)
        assert sound.duration_s == pytest.approx(1.5, abs=0.1)
        blocks = list(sound.blocks(4096))
        assert sound.complaint is None
    assert max(map(len, blocks)) <= 4096 and blocks[0].dtype == np.float32
    decoded = np.concatenate(blocks)
    assert len(decoded) == pytest.approx(len(samples), abs=0.1 * rate)
    assert np.abs(np.fft.rfft(decoded[:rate, 0])).argmax() == 440
    assert np.abs(np.fft.rfft(decoded[:rate, 1])).argmax() == 660


@pytest.mark.parametrize("name", ["a.mp3", "a.m4a", "a.raw", "a.txt", "a", "ä ö.wav"])
def test_a_misleading_name_changes_nothing(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "true.flac", tone(440, 1))
    assert np.array_equal(read(path), read(path.rename(tmp_path / name)))


@pytest.mark.parametrize("junk", [b"\0" * 5000, b"the rest of a tag" * 40], ids=["zeros", "half a tag"])
def test_decodes_an_mp3_that_begins_with_junk(tmp_path: Path, junk: bytes) -> None:
    plain = written(tmp_path / "plain.mp3", tone(440, 2))
    path = tmp_path / "a.mp3"
    path.write_bytes(junk + plain.read_bytes())
    with Sound(path) as sound:
        assert (sound.container, sound.codec) == ("mp3", "mp3")
    assert np.array_equal(read(path), read(plain))


@given(st.integers(1, 50_000))
def test_the_block_size_changes_no_sample(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    samples = tone(440, 1)
    written(path, samples, subtype="FLOAT")
    assert np.array_equal(read(path, size)[:, 0], samples)


def test_a_sound_can_be_read_again(tmp_path: Path) -> None:
    with Sound(written(tmp_path / "a.ogg", tone(440, 1))) as sound:
        assert np.array_equal(*(np.concatenate(list(sound.blocks(999))) for _ in range(2)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes"),
        (b"To whom it may concern\n" * 50, "looks like text"),
        (bytes(5000), "not audio"),
        (np.random.default_rng(5).bytes(5000), "not audio"),
        (b"RIFF", "not audio"),
        (b"fLaC" + bytes(40), "not audio"),
    ],
)
def test_a_file_that_is_not_audio_has_a_one_line_reason(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert message in reason(path)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_without_frames_is_undecodable(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path / f"a.{kind}", np.zeros((0, 2), np.float32), 48_000, **FORMATS[kind][2])
    assert reason(path)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_truncated_file_gives_its_beginning_or_a_reason(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(3).normal(0, 0.2, 6 * 48_000).clip(-1, 1)
    path = written(tmp_path / f"a.{kind}", noise, 48_000, **FORMATS[kind][2])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with Sound(path) as sound:
        seconds = sum(map(len, sound.blocks(1000))) / 48_000
    assert 1.5 < seconds < 4.5
    for length in (1, 3, 11, 30):
        path.write_bytes(content[:length])
        assert reason(path)


@pytest.mark.parametrize("kind", ["wav", "aiff", "au", "flac", "mp3"])  # an Ogg header has no length
def test_a_truncated_file_reports_how_much_is_missing(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path / f"a.{kind}", np.random.default_rng(3).normal(0, 0.2, 6 * 48_000).clip(-1, 1), 48_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with Sound(path) as sound:
        seconds = sum(map(len, sound.blocks(1000))) / 48_000
        assert sound.complaint is not None
        assert f"{seconds:.1f} s of 6.0 s" in sound.complaint


@pytest.mark.parametrize("claimed", [0x7FFFFFFF, 0xFFFFFFFF])
def test_a_file_written_into_a_pipe_is_not_reported_as_truncated(tmp_path: Path, claimed: int) -> None:
    path = written(tmp_path / "a.wav", tone(440, 1))
    content = bytearray(path.read_bytes())
    content[40:44] = claimed.to_bytes(4, "little")
    path.write_bytes(content)
    with Sound(path) as sound:
        assert sum(map(len, sound.blocks(1000))) == sound.sample_rate
        assert sound.complaint is None


@pytest.mark.parametrize("kind", FORMATS)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_corrupt_file_is_read_or_has_a_one_line_reason(
    tmp_path_factory: pytest.TempPathFactory, kind: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("garbage") / f"a.{kind}"
    written(path, tone(440, 0.5, 48_000), 48_000, **FORMATS[kind][2])
    content = bytearray(path.read_bytes())
    at = int(random.integers(len(content)))
    content[at : at + 200] = random.bytes(min(200, len(content) - at))
    path.write_bytes(content)
    lines = ["one line"]
    try:
        read(path)
    except Undecodable as error:
        lines = str(error).splitlines()
    assert len(lines) == 1


def test_pipes_and_folders_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert reason(tmp_path / "pipe.wav") == reason(tmp_path) != reason(tmp_path / "none.wav")
    assert "no such file" in reason(tmp_path / "none.wav")


@pytest.mark.parametrize(
    "head",
    [
        b"\0\0\0 ftypM4A \0\0\0\0",
        bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
        b"\xff\xf1\x50\x80",
        b"wvpk",
        b"OggS" + bytes(24) + b"\x7fFLAC",
    ],
)
def test_without_ffmpeg_the_reason_names_what_to_install(
    tmp_path: Path, head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg, "program", lambda: None)
    path = tmp_path / "a.m4a"
    path.write_bytes(head + bytes(100))
    assert "install" in reason(path)


@pytest.mark.skipif(not shutil.which("ffmpeg") and not ffmpeg.program(), reason="ffmpeg is not installed")
def test_a_file_that_ffmpeg_cannot_read_is_undecodable(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    path.write_bytes(b"\0\0\0 ftypM4A \0\0\0\0" + bytes(100))
    assert "cannot be decoded" in reason(path)
