"""Write minimal audio files, to which tests add tags."""

import struct
import wave
from pathlib import Path


def mp3(path: Path) -> Path:
    """Write ten silent frames of MPEG audio."""
    path.write_bytes((b"\xff\xfb\x90\x64" + bytes(413)) * 10)
    return path


def flac(path: Path) -> Path:
    """Write the header of a FLAC stream without frames."""
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + (44100 << 44 | 1 << 41 | 15 << 36).to_bytes(8) + bytes(16)
    path.write_bytes(b"fLaC" + bytes([0x80]) + len(info).to_bytes(3) + info)
    return path


def wav(path: Path) -> Path:
    """Write a tenth of a second of silence."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))
    return path


def m4a(path: Path) -> Path:
    """Write an MP4 file with one empty audio track."""

    def atom(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data) + 8) + name + data

    handler = atom(b"hdlr", bytes(8) + b"soun" + bytes(12))
    media = atom(b"mdia", handler + atom(b"mdhd", bytes(12) + struct.pack(">II", 1000, 1000) + bytes(4)))
    path.write_bytes(atom(b"ftyp", b"M4A \0\0\0\0") + atom(b"moov", atom(b"trak", media)))
    return path
