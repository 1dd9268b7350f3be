"""The parsers of files from outside, which are fuzzed. Each is a line of `PARSERS`."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from assets.content import audio_files
from assets.content.audio_analyses import FEATURES
from assets.content.lyrics import LYRICS
from assets.content.recordings import RECORDINGS
from assets.imports.ledger import tables
from assets.imports.record_types import RECORD_TYPES
from resources.audio.features import Undecodable, features
from resources.errors import TuttiError
from resources.folders.music import FILE_COLUMNS, modified
from resources.scrobble_endpoint import submission
from resources.sources import exports
from resources.sources.exports import UnsupportedFile
from resources.sources.formats import embedded_lyrics, lrc, lrclib, musicbrainz, musicxml
from resources.sources.formats.musicbrainz import Kind
from resources.sources.records.listen import Listen, Malformed, RecordResult
from tests.fuzz import samples, sounds
from tests.resources.sources.formats.test_musicxml import SCORE

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LISTENER = "ann"


class Parser(NamedTuple):
    """A parser with valid sample files and the errors with which it refuses a file."""

    samples: Mapping[str, bytes]
    read: Callable[[Path], Iterator[object]]  # yields each parsed record, or None for one reported as broken
    refuses: type[Exception] | tuple[type[Exception], ...] = ()


def imported(path: Path) -> Iterator[object]:
    """Yield the records of an export. Each must fit the tables of an import."""
    ledger: dict[str, Any] = {}
    days = {kind.table: set[date]() for kind in RECORD_TYPES}
    records: list[object] = []

    def noted(results: Iterable[RecordResult]) -> Iterator[RecordResult]:
        for result in results:
            outcomes = (result.parsed, result.reason, result.skipped)
            assert sum(outcome is not None for outcome in outcomes) == 1, result
            assert result.reason is None or "\n" not in result.reason, result.reason
            records.append(result.parsed if result.reason is None else None)
            yield result

    results = noted(exports.read(path, LISTENER, NOW))
    for part in tables([("id", results)], NOW, ledger, days):
        for table in part:
            table.validate(full=True)
    counts = {key: n for key, n in ledger["id"].items() if key not in ("first_day", "last_day")}
    assert sum(counts.values()) == len(records), f"{counts} of {len(records)} records"
    yield from records


def entities(kind: Kind, schema: pa.Schema, path: Path) -> Iterator[object]:
    """Yield the entities of a catalog file. Each must fit its table."""
    for result in musicbrainz.read(path, kind):
        yield _validated(result.entity, schema) if isinstance(result, musicbrainz.EntityResult) else None


def lyrics(path: Path) -> Iterator[object]:
    """Yield LRCLIB's lyrics. Each must fit its table."""
    for result in lrclib.lyrics(path):
        yield None if isinstance(result, tuple) else _validated(result, LYRICS)


def _validated(record: Any, schema: pa.Schema) -> object:
    row = asdict(record)
    pa.Table.from_pylist([row], pa.schema([f for f in schema if f.name in row])).validate(full=True)
    return record


def submitted(path: Path) -> Iterator[object]:
    """Yield the listens of a submission, after they have been written to a file and imported."""
    accepted = submission.read(path.read_bytes(), NOW)
    path.write_bytes(accepted.lines(LISTENER))
    if accepted.listen_type is not submission.ListenType.PLAYING_NOW:
        for result in exports.read(path, None, NOW):
            assert isinstance(result.parsed, Listen), result
            yield result.parsed


def described(path: Path) -> Iterator[object]:
    """Yield the row of an audio file in the inventory, which must fit its table, and the lyrics in it."""
    state = os.stat(path)
    files = pa.Table.from_pylist(
        [{"path": path.name, "bytes": state.st_size, "modified_at": modified(state)}], FILE_COLUMNS
    )
    rows = audio_files.read_files(files, str(path.parent))
    rows.validate(full=True)
    yield from rows.drop_columns(["modified_at"]).to_pylist()
    with suppress(TuttiError):
        yield embedded_lyrics.tags(path)


def analyzed(path: Path) -> Iterator[object]:
    """Yield the features of an audio file, which must fit their table."""
    row = features(path)
    pa.Table.from_pylist([asdict(row)], pa.schema(FEATURES)).validate(full=True)
    yield row


def scores(path: Path) -> Iterator[object]:
    """Yield the lyrics of a score."""
    yield musicxml.lyrics(path, path.name)


PARSERS: Mapping[str, Parser] = {
    "exports": Parser({**samples.EXPORTS, **samples.MORE}, imported, UnsupportedFile),
    "recordings": Parser(
        {"recordings": samples.lines(samples.RECORDINGS)}, partial(entities, musicbrainz.RECORDINGS, RECORDINGS)
    ),
    "lyrics": Parser({"lyrics": samples.lines(samples.LYRICS)}, lyrics),
    "scrobbles": Parser(samples.SUBMISSIONS, submitted, Malformed),
    "tags": Parser(sounds.tagged(), described),
    "sounds": Parser({name: sounds.tagged()[name] for name in ("wav", "flac", "ogg", "mp3")}, analyzed, Undecodable),
    "lrc": Parser(
        {"lrc": f"[ti:Song]\n[offset:+20]\n{sounds.WORDS}\n".encode()}, lambda path: iter([lrc.read(path)]), TuttiError
    ),
    "scores": Parser({"score": SCORE.encode()}, scores, TuttiError),
}
