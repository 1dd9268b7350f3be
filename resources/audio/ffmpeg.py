"""What libsndfile does not decode, by the program ffmpeg, if there is one.

A program of its own and no library: PyAV's wheels bundle x264 and x265, which are under the GPL, whatever PyAV's own
license says. The program is the system's, or the one that `pip install imageio-ffmpeg` brings.
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

# What may go to ffmpeg, by its first bytes: ffmpeg alone would also follow playlists to other files and addresses.
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
    (28, b"\x7fFLAC", "ogg"),  # libsndfile knows Ogg with Vorbis and Opus in it alone
    (28, b"Speex   ", "ogg"),
)
DEMUXERS = {"mp4": "mov", "musepack": "mpc8", "wavpack": "wv"}
USUAL = {"mp4": "AAC or ALAC", "asf": "WMA", "aac": "AAC", "ogg": "FLAC or Speex"}
AU = struct.Struct(">4s5I")  # magic, where samples begin, their size, encoding (6: float32), Hz, channels
READ = 1 << 16
COMPLAINTS = re.compile(rb"error|invalid|truncat|corrupt", re.IGNORECASE)


def container(head: bytes) -> str | None:
    """The container that the first bytes of a file tell, if it is one for ffmpeg."""
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # ADTS: an MPEG sync word of layer 0
        return "aac"
    return next((name for at, magic, name in MAGIC if head.startswith(magic, at)), None)


def program() -> str | None:
    """Where ffmpeg is, if anywhere."""
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        return import_module("imageio_ffmpeg").get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        return None


class Pipe:
    """A file that ffmpeg decodes, as floats in an AU stream: its header tells what the first stream of sound is."""

    def __init__(self, path: Path, container: str) -> None:
        where = program()
        if where is None:
            raise Undecodable(
                f"{container} ({USUAL.get(container, 'its codec')}) needs ffmpeg:"
                ' install it (apt install ffmpeg), or `pip install -e ".[ffmpeg]"`'
            )
        demuxer = DEMUXERS.get(container, container)
        self._command = [where, "-hide_banner", "-nostdin", "-nostats", "-protocol_whitelist", "file,pipe"]
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
        header = self._read(AU.size)
        if len(header) < AU.size:
            reason = self._reason()
            self.close()
            raise Undecodable(f"not audio that can be decoded: {reason}")
        _, offset, _, _, self.sample_rate, self.channels = AU.unpack(header)
        self._read(offset - AU.size)
        said = self._said()
        codec = re.search(rb"Stream #0:\d+.*?: Audio: (\w+)", said)
        self.codec = codec[1].decode() if codec else "unknown"
        length = re.search(rb"Duration: (\d+):(\d\d):(\d\d\.\d+)", said)
        hours, minutes, seconds = (float(n) for n in length.groups()) if length else (0.0, 0.0, 0.0)
        self.duration_s = hours * 3600 + minutes * 60 + seconds if length else None
        self._fresh = True

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """The samples, float32 of shape [frames, channels]."""
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

    def _said(self) -> bytes:
        self._log.flush()
        self._log.seek(0)
        return self._log.read(READ)

    def _reason(self) -> str:
        self._process.wait()
        lines = [line for line in self._said().splitlines() if COMPLAINTS.search(line)]
        text = lines[-1].decode(errors="replace") if lines else "ffmpeg gives no sound"
        return re.sub(r"\[[^\]]*\] |file:\S*/", "", text).strip()[:200]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()
