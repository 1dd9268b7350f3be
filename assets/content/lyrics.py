"""Lyrics: the texts of recordings from all sources, and the preferred one of each recording.

Texts come from two folders:

- landing folder `lyrics`: LRCLIB's records (one JSON object per line), LRC files and MusicXML scores
- music folder: LRC files beside audio files, and lyrics in their tags

A recording that LRCLIB does not have gets a row that says so, until LRCLIB provides a text. If the music folder is
unavailable, the lyrics read from it before stay.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, fields
from functools import partial
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import TypeAlias, TypeVar

import dagster as dg
import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from assets.checks import checks_of, expression_is_true, unique
from resources.errors import TuttiError
from resources.folders.landing import Landing
from resources.folders.music import SUFFIXES, Music, MusicScan
from resources.lake.io_manager import LakeIO
from resources.schema import INSTANT, column, declare
from resources.sources.formats import embedded_lyrics, lrc, lrclib, musicxml
from resources.sources.formats.embedded_lyrics import Tags
from resources.sources.formats.lrc import Lrc
from resources.sources.records.lyrics import (
    EMBEDDED,
    INSTRUMENTAL,
    LRC,
    LRCLIB,
    NOT_FOUND,
    SCORE,
    SOURCES,
    STATUSES,
    WORDS,
    Lyrics,
)
from resources.text.language import identify
from resources.text.names import parse_name

LYRICS = pa.schema(
    [
        column("lyrics_id", pa.string(), "id of the text: its source, and its id or path there"),
        column("source", pa.string(), f"source of the text: {', '.join(SOURCES)}"),
        column("origin", pa.string(), "LRCLIB's id, or the path of the file, below landing/ or music/", null=True),
        column("recording_id", pa.string(), "MusicBrainz recording, if the source provides it", null=True),
        column("title", pa.string(), "title in the source", null=True),
        column("artist_credit", pa.string(), "artist credit in the source", null=True),
        column("status", pa.string(), f"kind of entry: {', '.join(STATUSES)}"),
        column("instrumental", pa.bool_(), "whether the recording has no words"),
        column("synced", pa.bool_(), "whether the lines have times"),
        column("text", pa.string(), "text in lines", null=True),
        column("lrc", pa.string(), "text in LRC format, with the time of each line", null=True),
        column("language", pa.string(), "ISO 639-1 code, from the source or identified from the text", null=True),
        column("language_confidence", pa.float64(), "confidence of an identified language, from 0 to 1", null=True),
        column("fetched_at", INSTANT, "time of the request to the source, null for files", null=True),
        column("is_preferred", pa.bool_(), "whether this is the preferred text of its recording"),
    ]
)

MUSIC = "music/"  # prefix of the origin of lyrics from the music folder
T = TypeVar("T")
Result: TypeAlias = Lyrics | tuple[str, str]
"""Lyrics, or the file or line without readable lyrics and the reason."""
SOURCE_PRIORITY = {EMBEDDED: 0, LRC: 0, LRCLIB: 1, SCORE: 2}
"""The priority of each source, the smallest first, if a recording has several texts.

A text with a recording id goes before texts with names only. Words go before "instrumental", since that may be a
mistake. Then the source decides: texts in or beside the audio file go before texts found by names. Scores come last,
since they have each verse once instead of as sung. Of equals, a synced text goes first, then the one fetched last, then
a file."""


def read_all(landing: Landing, music: Music, look: MusicScan) -> Iterator[Result]:
    """Read all lyrics of the landing folder and of the scanned music folder."""
    for name, path in landing.files("lyrics"):
        origin = f"landing/{name}"
        match PurePosixPath(name).suffix.lower():
            case ".lrc":
                yield from_lrc(path, origin, Tags())
            case ".mxl" | ".musicxml" | ".xml":
                yield attempt(partial(musicxml.lyrics, path, origin), origin)
            case _:
                for line in lrclib.lyrics(path):
                    yield line if isinstance(line, Lyrics) else (f"{origin}, {line[0]}", line[1])
    yield from read_music(music, look)


def read_music(music: Music, look: MusicScan) -> Iterator[Result]:
    """Read the lyrics in the tags of audio files, and in LRC files with the same name except for the suffix."""
    by_stem: dict[Path, list[Path]] = defaultdict(list)
    for name, *_, error in sorted(look.rows, key=itemgetter(0)):
        if error:
            yield f"{MUSIC}{name}", error
        else:
            by_stem[Path(name).with_suffix("")].append(Path(name))
    for paths in by_stem.values():
        first_tags = Tags()
        for relative in sorted(paths, key=lambda path: path.suffix.lower() == ".lrc"):  # audio files first
            path, origin = Path(music.root, relative), f"{MUSIC}{relative.as_posix()}"
            if path.suffix.lower() == ".lrc":
                yield from_lrc(path, origin, first_tags)
                continue
            tags = attempt(partial(embedded_lyrics.tags, path), origin)
            if not isinstance(tags, Tags):
                yield tags
                continue
            first_tags = first_tags if first_tags.recording_id or first_tags.title else tags
            if tags.lyrics:
                yield as_lyrics(EMBEDDED, origin, tags, tags.lyrics)


def unavailable(stored: pa.Table, look: MusicScan) -> list[Lyrics]:
    """Return the stored lyrics of the music folder if it is unavailable or empty, and of its unreadable folders."""
    rows = stored.filter(pc.starts_with(stored["origin"], MUSIC)).select([f.name for f in fields(Lyrics)]).to_pylist()
    hidden = (row for row in rows if not look.rows or look.hidden(row["origin"].removeprefix(MUSIC)))
    return [Lyrics(**row | {"language": None}) for row in hidden]  # the language is identified again


def from_lrc(path: Path, origin: str, tags: Tags) -> Result:
    """Read the lyrics of an LRC file. The tags of the audio file beside it override its own."""
    words = attempt(partial(lrc.read, path), origin)
    if not isinstance(words, Lrc):
        return words
    return as_lyrics(LRC, origin, tags, words) if words.text or words.instrumental else (origin, "no words")


def as_lyrics(source: str, origin: str, tags: Tags, words: Lrc) -> Lyrics:
    """Return words as the lyrics of the recording in the tags."""
    return Lyrics(
        lyrics_id=f"{source}/{origin}",
        source=source,
        origin=origin,
        recording_id=tags.recording_id,
        title=tags.title or words.tags.get("ti"),
        artist_credit=tags.artist_credit or words.tags.get("ar"),
        status=INSTRUMENTAL if words.instrumental else WORDS,
        text=None if words.instrumental else words.text,
        lrc=lrc.write(Lrc({}, words.lines)) if words.synced and not words.instrumental else None,
    )


def attempt(read: Callable[[], T], origin: str) -> T | tuple[str, str]:
    """Return the result of `read`, or if it fails the origin and the reason."""
    try:
        return read()
    except TuttiError as error:
        return origin, str(error)
    except OSError as error:
        return origin, error.strerror or "it cannot be read"


def latest(lyrics: Iterable[Lyrics]) -> list[Lyrics]:
    """Return each text once, in its last version. Drop "not found" if LRCLIB has a text of the recording."""
    last = {row.lyrics_id: row for row in lyrics}
    with_text = {row.recording_id for row in last.values() if row.source == LRCLIB and row.status != NOT_FOUND}
    return [row for row in last.values() if row.status != NOT_FOUND or row.recording_id not in with_text]


def preferred(rows: Collection[Lyrics]) -> set[str]:
    """Return the lyrics_id of the preferred text of each recording, by the order at `SOURCE_PRIORITY`.

    Texts belong to one recording if they have its id. A text without an id belongs to the recording whose texts have
    the same normalized artist and title, if there is only one.
    """
    ids: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.recording_id and (name := _name(row)):
            ids[name].add(row.recording_id)

    def recording(row: Lyrics) -> str:
        name = _name(row)
        return row.recording_id or (next(iter(ids[name])) if name and len(ids[name]) == 1 else name) or row.lyrics_id

    def priority(row: Lyrics) -> tuple[object, ...]:
        fetched = row.fetched_at.timestamp() if row.fetched_at else 0.0
        status, source = STATUSES.index(row.status), SOURCE_PRIORITY[row.source]
        return row.recording_id is None, status, source, row.lrc is None, -fetched, row.source, row.lyrics_id

    best: dict[str, Lyrics] = {}
    for row in sorted(rows, key=priority):
        best.setdefault(recording(row), row)
    return {row.lyrics_id for row in best.values()}


def as_rows(lyrics: Collection[Lyrics]) -> list[dict[str, object]]:
    """Return the rows of the table. Identify the language of a text if its source does not provide it."""
    preferred_ids, rows = preferred(lyrics), []
    for row in lyrics:
        guess = identify(row.text) if row.text and not row.language else None
        rows.append(
            asdict(row)
            | {"instrumental": row.status == INSTRUMENTAL, "synced": row.lrc is not None}
            | {"language": guess[0] if guess else row.language, "language_confidence": guess[1] if guess else None}
            | {"is_preferred": row.lyrics_id in preferred_ids}
        )
    return rows


@dg.asset(key_prefix="content", metadata=declare(LYRICS, key=["lyrics_id"]))
def lyrics(
    context: dg.AssetExecutionContext, landing: Landing, music: Music, io_manager: dg.ResourceParam[LakeIO]
) -> pa.Table:
    """Lyrics of recordings, one row per text of a source, with the preferred text of each recording marked."""
    look = music.scan(SUFFIXES | {".lrc"}) or MusicScan()
    rows = unavailable(io_manager.lake.scan("content/lyrics", LYRICS).table(), look)
    if rows:
        message = "music folder, or a folder in it, is unavailable: %s. The table keeps its %s lyrics."
        context.log.warning(message, music.root, f"{len(rows):,}")
    for text in read_all(landing, music, look):
        if isinstance(text, Lyrics):
            rows.append(text)
        else:
            context.log.warning("skipped %s: %s", *text)
    return pa.Table.from_pylist(as_rows(latest(rows)), LYRICS)


def inconsistent() -> nw.Expr:
    """Match rows whose columns contradict each other."""
    words, times = nw.col("status") == WORDS, nw.col("synced")
    text, timed, spoken = (~nw.col(name).is_null() for name in ("text", "lrc", "language"))
    return (
        (words != text)
        | (times != timed)
        | (timed & ~text)
        | (spoken & ~text)
        | (nw.col("instrumental") != (nw.col("status") == INSTRUMENTAL))
        | ~nw.col("status").is_in(STATUSES)
        | ~nw.col("source").is_in(SOURCES)
    )


CONSISTENT = "Rows with status words have a text, and no others. Only rows with a text have times or a language."
checks = [
    checks_of(
        lyrics,
        unique("recording_id", among="is_preferred"),
        expression_is_true(
            CONSISTENT, inconsistent, "source", "status", "instrumental", "synced", "text", "lrc", "language"
        ),
    )
]


def _name(row: Lyrics) -> str | None:
    """Return artist and title normalized for comparison, or None if one is missing."""
    return parse_name(row.artist_credit, row.title).recording_key if row.artist_credit and row.title else None
