"""Helpers for tests that write an export file and read it with `exports.read`."""

from datetime import UTC, datetime
from pathlib import Path

from resources.sources import exports
from resources.sources.records.feedback import Feedback
from resources.sources.records.listen import Listen, RecordResult
from resources.sources.records.playlist import Track

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def written(folder: Path, data: str | bytes, name: str = "anything.bin") -> Path:
    """Write a file with these bytes, under a name that does not reveal its format."""
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(
    folder: Path, data: str | bytes, listener: str | None = "ann", name: str = "anything.bin"
) -> list[RecordResult]:
    """Write a file and return the result for each of its records."""
    return list(exports.read(written(folder, data, name), listener, NOW))


def listen_of(result: RecordResult) -> Listen | None:
    """Return the listen of a result, or None if it is not a listen."""
    return result.parsed if isinstance(result.parsed, Listen) else None


def listens(results: list[RecordResult]) -> list[Listen]:
    """Return the listens of results, which must all be listens."""
    assert [r.reason or r.skipped for r in results if not listen_of(r)] == []
    return [listen for r in results if (listen := listen_of(r))]


def feedback(results: list[RecordResult]) -> list[Feedback]:
    """Return the feedback of results."""
    return [r.parsed for r in results if isinstance(r.parsed, Feedback)]


def tracks(results: list[RecordResult]) -> list[Track]:
    """Return the tracks of results."""
    return [r.parsed for r in results if isinstance(r.parsed, Track)]


def reasons(results: list[RecordResult]) -> list[str]:
    """Return the reasons of quarantined records."""
    return [r.reason for r in results if r.reason]
