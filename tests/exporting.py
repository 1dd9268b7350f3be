"""Exports to test with: written as a file, read through the door."""

from datetime import UTC, datetime
from pathlib import Path

from resources.sources import exports
from resources.sources.records.feedback import Feedback
from resources.sources.records.listen import Listen, Read
from resources.sources.records.playlist import Track

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def written(folder: Path, data: str | bytes, name: str = "anything.bin") -> Path:
    """A file of these bytes, under a name that says nothing."""
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(folder: Path, data: str | bytes, listener: str | None = "ann", name: str = "anything.bin") -> list[Read]:
    """What becomes of each record of such a file."""
    return list(exports.read(written(folder, data, name), listener, NOW))


def listen_of(read: Read) -> Listen | None:
    """The listen that a record is, if it is one."""
    return read.found if isinstance(read.found, Listen) else None


def listens(reads: list[Read]) -> list[Listen]:
    """The listens among records, which must all be listens."""
    assert [r.reason or r.skipped for r in reads if not listen_of(r)] == []
    return [found for r in reads if (found := listen_of(r))]


def feedback(reads: list[Read]) -> list[Feedback]:
    """The feedback among records."""
    return [r.found for r in reads if isinstance(r.found, Feedback)]


def tracks(reads: list[Read]) -> list[Track]:
    """The tracks among records."""
    return [r.found for r in reads if isinstance(r.found, Track)]


def reasons(reads: list[Read]) -> list[str]:
    """Why records are in quarantine."""
    return [r.reason for r in reads if r.reason]
