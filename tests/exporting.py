"""Exports to test with: written as a file, read through the door."""

from datetime import UTC, datetime
from pathlib import Path

from resources.sources import exports
from resources.sources.records.feedback import Feedback
from resources.sources.records.listen import Listen, RecordResult
from resources.sources.records.playlist import Track

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def written(folder: Path, data: str | bytes, name: str = "anything.bin") -> Path:
    """A file of these bytes, under a name that says nothing."""
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(
    folder: Path, data: str | bytes, listener: str | None = "ann", name: str = "anything.bin"
) -> list[RecordResult]:
    """What becomes of each record of such a file."""
    return list(exports.read(written(folder, data, name), listener, NOW))


def listen_of(read: RecordResult) -> Listen | None:
    """The listen that a record is, if it is one."""
    return read.parsed if isinstance(read.parsed, Listen) else None


def listens(reads: list[RecordResult]) -> list[Listen]:
    """The listens among records, which must all be listens."""
    assert [r.reason or r.skipped for r in reads if not listen_of(r)] == []
    return [found for r in reads if (found := listen_of(r))]


def feedback(reads: list[RecordResult]) -> list[Feedback]:
    """The feedback among records."""
    return [r.parsed for r in reads if isinstance(r.parsed, Feedback)]


def tracks(reads: list[RecordResult]) -> list[Track]:
    """The tracks among records."""
    return [r.parsed for r in reads if isinstance(r.parsed, Track)]


def reasons(reads: list[RecordResult]) -> list[str]:
    """Why records are in quarantine."""
    return [r.reason for r in reads if r.reason]
