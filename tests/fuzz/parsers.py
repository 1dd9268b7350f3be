"""Whatever reads files from outside, each a line of `PARSERS`."""

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
    """Sound files, what becomes of each record of a file (None for one that is told of as broken), and how a file is
    refused."""

    samples: Mapping[str, bytes]
    read: Callable[[Path], Iterator[object]]
    refuses: type[Exception] | tuple[type[Exception], ...] = ()


def imported(path: Path) -> Iterator[object]:
    """The records of an export, each of which must fit the tables of an import."""
    told: dict[str, Any] = {}
    days = {kind.table: set[date]() for kind in RECORD_TYPES}
    found: list[object] = []

    def noted(reads: Iterable[RecordResult]) -> Iterator[RecordResult]:
        for each in reads:
            assert sum(told is not None for told in (each.parsed, each.reason, each.skipped)) == 1, each
            assert each.reason is None or "\n" not in each.reason, each.reason
            found.append(each.parsed if each.reason is None else None)
            yield each

    reads = noted(exports.read(path, LISTENER, NOW))
    for part in tables([("id", reads)], NOW, told, days):
        for table in part:
            table.validate(full=True)
    counted = {key: n for key, n in told["id"].items() if key not in ("first_day", "last_day")}
    assert sum(counted.values()) == len(found), f"{counted} of {len(found)} records"
    yield from found


def catalogd(kind: Kind, schema: pa.Schema, path: Path) -> Iterator[object]:
    """The records of a file of the catalog, each of which must fit its table."""
    for each in musicbrainz.read(path, kind):
        yield _fitting(each.entity, schema) if isinstance(each, musicbrainz.EntityResult) else None


def sung(path: Path) -> Iterator[object]:
    """LRCLIB's records, each of which must fit its table."""
    for each in lrclib.lyrics(path):
        yield None if isinstance(each, tuple) else _fitting(each, LYRICS)


def _fitting(found: Any, schema: pa.Schema) -> object:
    row = asdict(found)
    pa.Table.from_pylist([row], pa.schema([f for f in schema if f.name in row])).validate(full=True)
    return found


def submitted(path: Path) -> Iterator[object]:
    """What a scrobbler sends; what is accepted is read as listens when it is imported."""
    told = submission.read(path.read_bytes(), NOW)
    path.write_bytes(told.lines(LISTENER))
    if told.listen_type is not submission.ListenType.PLAYING_NOW:
        for each in exports.read(path, None, NOW):
            assert isinstance(each.parsed, Listen), each
            yield each.parsed


def described(path: Path) -> Iterator[object]:
    """What the inventory of a music folder tells of a file, which must fit its table, and the words in it."""
    told = os.stat(path)
    lying = pa.Table.from_pylist(
        [{"path": path.name, "bytes": told.st_size, "modified_at": modified(told)}], FILE_COLUMNS
    )
    rows = audio_files.described(lying, str(path.parent))
    rows.validate(full=True)
    yield from rows.drop_columns(["modified_at"]).to_pylist()
    with suppress(TuttiError):
        yield embedded_lyrics.tags(path)


def heard(path: Path) -> Iterator[object]:
    """How a file sounds, which must fit its table."""
    found = features(path)
    pa.Table.from_pylist([asdict(found)], pa.schema(FEATURES)).validate(full=True)
    yield found


def scored(path: Path) -> Iterator[object]:
    """The words of a score."""
    yield musicxml.lyrics(path, path.name)


PARSERS: Mapping[str, Parser] = {
    "exports": Parser({**samples.EXPORTS, **samples.MORE}, imported, UnsupportedFile),
    "recordings": Parser(
        {"recordings": samples.lines(samples.RECORDINGS)}, partial(catalogd, musicbrainz.RECORDINGS, RECORDINGS)
    ),
    "lyrics": Parser({"lyrics": samples.lines(samples.LYRICS)}, sung),
    "scrobbles": Parser(samples.SUBMISSIONS, submitted, Malformed),
    "tags": Parser(sounds.tagged(), described),
    "sounds": Parser({name: sounds.tagged()[name] for name in ("wav", "flac", "ogg", "mp3")}, heard, Undecodable),
    "lrc": Parser(
        {"lrc": f"[ti:Song]\n[offset:+20]\n{sounds.WORDS}\n".encode()}, lambda path: iter([lrc.read(path)]), TuttiError
    ),
    "scores": Parser({"score": SCORE.encode()}, scored, TuttiError),
}
