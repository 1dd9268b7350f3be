"""Sound: what an audio file holds, as a stream of samples. The content tells what it is, never the name.

libsndfile decodes WAV, AIFF, FLAC, Ogg (Vorbis, Opus), MP3, CAF, AU and a dozen older ones. What it does not
know, AAC, ALAC, WMA and such, goes through the program ffmpeg where that is installed.
"""

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import soundfile
from mutagen import MutagenError
from mutagen.mp3 import MPEGInfo

from resources.audio import ffmpeg
from resources.audio.undecodable import Undecodable

__all__ = ["Sound", "Undecodable"]

FEWEST_HZ, MOST_HZ = 1_000, 1_000_000  # beyond these a header is broken, not a recording unusual
MOST_CHANNELS = 64
AT_ONCE = 8192  # frames that libsndfile is asked for: what it decoded before an error is lost with them
SIZES = re.compile(r"(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)")
UNKNOWN = 0x7FFF0000  # bytes: who writes into a pipe claims about as much as can be, not knowing what will follow
CODECS = {"mpeg_layer_iii": "mp3", "mpeg_layer_ii": "mp2", "mpeg_layer_i": "mp1"}
CONTAINERS = {"wavex": "wav", "mpeg": "mp3"}


class Sound:
    """An audio file, open to be read as a stream.

    `frames` and `duration_s` are what the file says about itself, None where it does not; `complaint` tells, once it
    was read, what was wrong with a file that could be read all the same.
    """

    sample_rate: int  # Hz
    channels: int
    frames: int | None
    duration_s: float | None
    container: str  # "wav", "flac", "ogg", "mp3", "mp4", ...
    codec: str  # "pcm_16", "flac", "vorbis", "opus", "mp3", "aac", ...
    complaint: str | None

    def __init__(self, path: Path) -> None:
        """Open a file, or raise Undecodable."""
        self.complaint = None
        self._file: soundfile.SoundFile | None = None
        self._pipe: ffmpeg.Pipe | None = None
        head = _head(path)
        foreign = ffmpeg.container(head)
        if foreign:
            self._pipe = pipe = ffmpeg.Pipe(path, foreign)
            self.sample_rate, self.channels, self.duration_s = pipe.sample_rate, pipe.channels, pipe.duration_s
            self.frames, self.container, self.codec = None, foreign, pipe.codec
        else:
            self._file = file = _opened(path, head)
            self.sample_rate, self.channels = file.samplerate, file.channels
            self.frames = file.frames if 0 <= file.frames < 2**62 else None  # libsndfile's "as many as there are"
            self.duration_s = None if self.frames is None else self.frames / self.sample_rate * _more(file.extra_info)
            kind, coding = file.format.lower(), file.subtype.lower()
            self.container = CONTAINERS.get(kind, kind)
            self.codec = "flac" if kind == "flac" else CODECS.get(coding, coding)
        if not FEWEST_HZ <= self.sample_rate <= MOST_HZ or not 1 <= self.channels <= MOST_CHANNELS:
            self.close()
            raise Undecodable(f"broken: it claims {self.channels} channels at {self.sample_rate} Hz")

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """The samples from the beginning, float32 of shape [frames, channels], `size` frames at a time.

        A file that breaks off gives what comes before, and `complaint` says so; one that gives nothing at all is
        Undecodable. Full scale is 1; files of floats may exceed it, and hold what is not a number.
        """
        heard = 0
        for block in self._blocks(size):
            heard += len(block)
            yield block
        if not heard:
            raise Undecodable(self.complaint or "empty: it holds no sound")
        seconds = heard / self.sample_rate
        if self.duration_s and seconds < self.duration_s - max(0.1, self.duration_s / 1000):
            self.complaint = f"cut off: {seconds:.1f} s of {self.duration_s:.1f} s can be decoded"

    def _blocks(self, size: int) -> Iterator[np.ndarray]:
        if self._pipe:
            yield from self._pipe.blocks(size)
            self.complaint = self._pipe.complaint
        if self._file:
            yield from self._decoded(self._file, size)

    def _decoded(self, file: soundfile.SoundFile, size: int) -> Iterator[np.ndarray]:
        more = True
        try:
            file.seek(0)
        except soundfile.LibsndfileError as error:
            self.complaint, more = f"corrupt: {_said(error)}", False
        while more:
            block = np.empty((size, self.channels), np.float32)
            filled = 0
            try:
                while filled < size and more:
                    wanted = block[filled : filled + AT_ONCE]
                    got = len(file.read(out=wanted))
                    filled, more = filled + got, got == len(wanted)
            except soundfile.LibsndfileError as error:
                self.complaint, more = f"corrupt: {_said(error)}", False
            if filled:
                yield block[:filled]

    def close(self) -> None:
        if self._file:
            self._file.close()
        if self._pipe:
            self._pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _head(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe or a device could be waited for without end
            raise Undecodable("not a file" if path.exists() else "no such file")
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise Undecodable(f"cannot be read: {error.strerror}") from error
    if not head:
        raise Undecodable("empty: it has no bytes")
    return head


def _opened(path: Path, head: bytes) -> soundfile.SoundFile:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))  # so that no name can mislead
        return soundfile.SoundFile(descriptor, closefd=True)
    except soundfile.LibsndfileError as error:
        if late := _late(path):
            return late
        raise Undecodable(f"not audio that can be decoded: {_said(error)}{_looks(head)}") from error
    except OSError as error:
        raise Undecodable(f"cannot be read: {error.strerror}") from error


def _late(path: Path) -> soundfile.SoundFile | None:
    """An MP3 that begins after something else, zeros or half a tag: libsndfile looks at the first bytes alone."""
    try:
        stream = path.open("rb")
    except OSError:
        return None
    try:
        found = MPEGInfo(stream)
        if not found.sketchy:
            return soundfile.SoundFile(_Rest(stream, found.frame_offset))
    except (MutagenError, soundfile.LibsndfileError, OSError):
        pass
    stream.close()
    return None


class _Rest(io.RawIOBase):
    """A file from some byte on."""

    def __init__(self, stream: BinaryIO, begins: int) -> None:
        self._stream, self._begins = stream, begins
        self.seek(0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._stream.seek(offset + self._begins * (whence == os.SEEK_SET), whence) - self._begins

    def tell(self) -> int:
        return self._stream.tell() - self._begins

    def readinto(self, buffer: Any) -> int:
        return self._stream.readinto(buffer)  # type: ignore[attr-defined]

    def close(self) -> None:
        self._stream.close()
        super().close()


def _more(log: str) -> float:
    """How many times as long a file without compression claims to be as libsndfile finds it to be."""
    found = SIZES.search(log)
    claimed, there = map(int, found.groups()) if found else (0, 0)
    return claimed / there if 0 < there < claimed < UNKNOWN else 1.0


def _said(error: soundfile.LibsndfileError) -> str:
    return " ".join(error.error_string.split()).rstrip(".") or "no reason given"


def _looks(head: bytes) -> str:
    if all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        return " (it looks like text)"
    return ""
