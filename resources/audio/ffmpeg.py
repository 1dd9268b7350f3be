"""Decode formats that libsndfile does not support, with the program ffmpeg if it is installed.

This uses a program instead of a library because PyAV's wheels bundle x264 and x265, which are under the GPL. The
program is the system's or the one from `pip install imageio-ffmpeg`.
"""

import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np

from resources.audio.undecodable import Undecodable

# First bytes of the files that may go to ffmpeg. Without this, ffmpeg would follow playlists to other files and URLs.
# Offset, bytes at that offset, container.
MAGIC = (
    (4, b"ftyp", "mp4"),
    (0, bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "asf"),
    (0, bytes.fromhex("1a45dfa3"), "matroska"),
    (0, b"MAC ", "ape"),
    (0, b"wvpk", "wavpack"),
    (0, b"MPCK", "musepack"),
    (0, b"MP+", "musepack"),
    (0, b"TTA1", "tta"),
    (0, b"DSD ", "dsf"),
    (0, b"ADIF", "aac"),
    (28, b"\x7fFLAC", "ogg"),  # libsndfile decodes only Vorbis and Opus in Ogg
    (28, b"Speex   ", "ogg"),
)
DEMUXERS = {"mp4": "mov", "musepack": "mpc8", "wavpack": "wv"}
USUAL_CODECS = {"mp4": "AAC or ALAC", "asf": "WMA", "aac": "AAC", "ogg": "FLAC or Speex"}
# Magic number, offset of the samples, their size, encoding (6 is float32), sample rate in Hz, channels.
AU_HEADER = struct.Struct(">4s5I")
MAX_LOG_BYTES = 1 << 16
COMPLAINTS = re.compile(rb"error|invalid|truncat|corrupt", re.IGNORECASE)


def container(head: bytes) -> str | None:
    """Return the container that the first bytes of a file identify, or None if it is not one for ffmpeg."""
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # ADTS: an MPEG sync word of layer 0
        return "aac"
    return next((name for at, magic, name in MAGIC if head.startswith(magic, at)), None)


def program() -> str | None:
    """Return the path of ffmpeg, or None if it is not installed."""
    path = shutil.which("ffmpeg")
    if path:
        return path
    try:
        return import_module("imageio_ffmpeg").get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        return None


class Pipe:
    """A file decoded by ffmpeg into an AU stream of floats, whose header has the sample rate and channels.

    Raise Undecodable if ffmpeg is missing or cannot decode the file.
    """

    def __init__(self, path: Path, container: str) -> None:
        executable = program()
        if executable is None:
            raise Undecodable(
                f"{container} ({USUAL_CODECS.get(container, 'its codec')}) needs ffmpeg."
                ' Install it with `apt install ffmpeg` or `pip install -e ".[ffmpeg]"`.'
            )
        demuxer = DEMUXERS.get(container, container)
        self._command = [executable, "-hide_banner", "-nostdin", "-nostats", "-protocol_whitelist", "file,pipe"]
        self._command += ["-f", demuxer, "-i", f"file:{path.absolute()}", "-map", "0:a:0"]
        self._command += ["-f", "au", "-c:a", "pcm_f32be", "pipe:1"]
        self.complaint: str | None = None
        self._fresh = False
        self._start()

    def _start(self) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
        self._process = subprocess.Popen(  # noqa: S603  the path is one argument and begins with file:
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log
        )
        header = self._read(AU_HEADER.size)
        if len(header) < AU_HEADER.size:
            reason = self._reason()
            self.close()
            raise Undecodable(f"cannot be decoded: {reason}")
        _, offset, _, _, self.sample_rate, self.channels = AU_HEADER.unpack(header)
        self._read(offset - AU_HEADER.size)
        log = self._logged()
        codec = re.search(rb"Stream #0:\d+.*?: Audio: (\w+)", log)
        self.codec = codec[1].decode() if codec else "unknown"
        length = re.search(rb"Duration: (\d+):(\d\d):(\d\d\.\d+)", log)
        hours, minutes, seconds = (float(n) for n in length.groups()) if length else (0.0, 0.0, 0.0)
        self.duration_s = hours * 3600 + minutes * 60 + seconds if length else None
        self._fresh = True

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """Yield the samples in blocks of `size` frames, float32 of shape [frames, channels]."""
        if not self._fresh:
            self.close()
            self._start()
        self._fresh = False
        step = 4 * self.channels
        while len(raw := self._read(size * step)) >= step:
            samples = np.frombuffer(raw, ">f4", len(raw) // step * self.channels)
            yield samples.astype(np.float32).reshape(-1, self.channels)
        if self._process.wait():
            self.complaint = f"corrupt: {self._reason()}"

    def _read(self, size: int) -> bytes:
        assert self._process.stdout
        return self._process.stdout.read(size)

    def _logged(self) -> bytes:
        self._log.flush()
        self._log.seek(0)
        return self._log.read(MAX_LOG_BYTES)

    def _reason(self) -> str:
        self._process.wait()
        lines = [line for line in self._logged().splitlines() if COMPLAINTS.search(line)]
        text = lines[-1].decode(errors="replace") if lines else "ffmpeg returned no sound"
        return re.sub(r"\[[^\]]*\] |file:\S*/", "", text).strip()[:200]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()
