"""Sound: decode an audio file to a stream of samples. Its content determines the format, never its name.

libsndfile decodes WAV, AIFF, FLAC, Ogg (Vorbis, Opus), MP3, CAF, AU and a dozen older formats. If the program ffmpeg is
installed, it decodes AAC, ALAC, WMA and others.
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

MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 1_000_000  # outside this range the header is broken
MAX_CHANNELS = 64
READ_FRAMES = 8192  # requested from libsndfile at a time: an error loses all frames of the request
WRONG_SIZE = re.compile(r"(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)")
UNKNOWN_SIZE_BYTES = 0x7FFF0000  # a writer into a pipe does not know the size and claims at least this
CODECS = {"mpeg_layer_iii": "mp3", "mpeg_layer_ii": "mp2", "mpeg_layer_i": "mp1"}
CONTAINERS = {"wavex": "wav", "mpeg": "mp3"}


class Sound:
    """An audio file, opened as a stream.

    `frames` and `duration_s` come from the header, None if it does not have them. After reading, `complaint` is the
    problem of a file that could be decoded only in part, else None.
    """

    sample_rate: int  # Hz
    channels: int
    frames: int | None
    duration_s: float | None
    container: str  # "wav", "flac", "ogg", "mp3", "mp4", ...
    codec: str  # "pcm_16", "flac", "vorbis", "opus", "mp3", "aac", ...
    complaint: str | None

    def __init__(self, path: Path) -> None:
        """Open a file. Raise Undecodable if its format is not supported or it cannot be read."""
        self.complaint = None
        self._file: soundfile.SoundFile | None = None
        self._pipe: ffmpeg.Pipe | None = None
        head = _head(path)
        container = ffmpeg.container(head)
        if container:
            self._pipe = pipe = ffmpeg.Pipe(path, container)
            self.sample_rate, self.channels, self.duration_s = pipe.sample_rate, pipe.channels, pipe.duration_s
            self.frames, self.container, self.codec = None, container, pipe.codec
        else:
            self._file = file = _opened(path, head)
            self.sample_rate, self.channels = file.samplerate, file.channels
            self.frames = file.frames if 0 <= file.frames < 2**62 else None  # libsndfile's value for unknown
            self.duration_s = (
                None if self.frames is None else self.frames / self.sample_rate * _claimed_ratio(file.extra_info)
            )
            kind, coding = file.format.lower(), file.subtype.lower()
            self.container = CONTAINERS.get(kind, kind)
            self.codec = "flac" if kind == "flac" else CODECS.get(coding, coding)
        if not MIN_RATE_HZ <= self.sample_rate <= MAX_RATE_HZ or not 1 <= self.channels <= MAX_CHANNELS:
            self.close()
            raise Undecodable(f"broken header: {self.channels} channels at {self.sample_rate} Hz")

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """Yield the samples from the beginning, float32 of shape [frames, channels], `size` frames at a time.

        Full scale is 1. Files of floats may exceed it or contain NaN. A truncated file yields what can be decoded and
        sets `complaint`. Raise Undecodable if nothing can be decoded.
        """
        frames = 0
        for block in self._blocks(size):
            frames += len(block)
            yield block
        if not frames:
            raise Undecodable(self.complaint or "empty: no sound in the file")
        seconds = frames / self.sample_rate
        if self.duration_s and seconds < self.duration_s - max(0.1, self.duration_s / 1000):
            self.complaint = f"truncated: {seconds:.1f} s of {self.duration_s:.1f} s can be decoded"

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
            self.complaint, more = f"corrupt: {_reason(error)}", False
        while more:
            block = np.empty((size, self.channels), np.float32)
            filled = 0
            try:
                while filled < size and more:
                    wanted = block[filled : filled + READ_FRAMES]
                    got = len(file.read(out=wanted))
                    filled, more = filled + got, got == len(wanted)
            except soundfile.LibsndfileError as error:
                self.complaint, more = f"corrupt: {_reason(error)}", False
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
        if not path.is_file():  # reading a pipe or a device could block forever
            raise Undecodable("not a regular file" if path.exists() else "no such file")
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise Undecodable(f"cannot be read: {error.strerror}") from error
    if not head:
        raise Undecodable("empty: the file has 0 bytes")
    return head


def _opened(path: Path, head: bytes) -> soundfile.SoundFile:
    try:
        # A descriptor hides the name from libsndfile, which would otherwise derive the format from it.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        return soundfile.SoundFile(descriptor, closefd=True)
    except soundfile.LibsndfileError as error:
        if mp3 := _opened_late_mp3(path):
            return mp3
        raise Undecodable(f"not audio, or a format that is not supported: {_reason(error)}{_hint(head)}") from error
    except OSError as error:
        raise Undecodable(f"cannot be read: {error.strerror}") from error


def _opened_late_mp3(path: Path) -> soundfile.SoundFile | None:
    """Open an MP3 that has zeros or half a tag before its first frame: libsndfile checks only the first bytes."""
    try:
        stream = path.open("rb")
    except OSError:
        return None
    try:
        info = MPEGInfo(stream)
        if not info.sketchy:
            return soundfile.SoundFile(_FileFromOffset(stream, info.frame_offset))
    except (MutagenError, soundfile.LibsndfileError, OSError):
        pass
    stream.close()
    return None


class _FileFromOffset(io.RawIOBase):
    """A file whose first `offset` bytes are hidden."""

    def __init__(self, stream: BinaryIO, offset: int) -> None:
        self._stream, self._offset = stream, offset
        self.seek(0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._stream.seek(offset + self._offset * (whence == os.SEEK_SET), whence) - self._offset

    def tell(self) -> int:
        return self._stream.tell() - self._offset

    def readinto(self, buffer: Any) -> int:
        return self._stream.readinto(buffer)  # type: ignore[attr-defined]

    def close(self) -> None:
        self._stream.close()
        super().close()


def _claimed_ratio(log: str) -> float:
    """Return the ratio of the size in an uncompressed file's header to the actual size, from libsndfile's log."""
    match = WRONG_SIZE.search(log)
    claimed, actual = map(int, match.groups()) if match else (0, 0)
    return claimed / actual if 0 < actual < claimed < UNKNOWN_SIZE_BYTES else 1.0


def _reason(error: soundfile.LibsndfileError) -> str:
    return " ".join(error.error_string.split()).rstrip(".") or "no reason given"


def _hint(head: bytes) -> str:
    if all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        return " (it looks like text)"
    return ""
