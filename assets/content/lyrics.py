"""Lyrics: the words of recordings, each text that a source has of them, and which of them counts.

Read from the landing folder ("lyrics": LRCLIB's records, one JSON object a line; LRC files; MusicXML scores) and from
the music folder (LRC files beside audio files, and what is inside those). A recording that LRCLIB does not know is a
row too, until a text of it comes from there. Of a music folder that is away, what was known stays.
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
        column("lyrics_id", pa.string(), "source, and what it knows the text by"),
        column("source", pa.string(), f"who has the text: {', '.join(SOURCES)}"),
        column("origin", pa.string(), "LRCLIB's id, or where the file is: in the folder landing or music", null=True),
        column("recording_id", pa.string(), "MusicBrainz recording, where the source tells", null=True),
        column("title", pa.string(), "title as the source has it", null=True),
        column("artist_credit", pa.string(), "artist as the source has it", null=True),
        column("status", pa.string(), ", ".join(STATUSES)),
        column("instrumental", pa.bool_(), "whether there is nothing to sing"),
        column("synced", pa.bool_(), "whether it is told when lines are sung"),
        column("text", pa.string(), "the words, in lines", null=True),
        column("lrc", pa.string(), "the words in LRC, with the times at which they are sung", null=True),
        column("language", pa.string(), "ISO 639-1 code, told by the source or found in the words", null=True),
        column("language_confidence", pa.float64(), "from 0 to 1, where it was found in the words", null=True),
        column("fetched_at", INSTANT, "when the source was asked; null for files", null=True),
        column("is_preferred", pa.bool_(), "whether this is the text that counts for its recording"),
    ]
)

MUSIC = "music/"  # begins the origin of what lies in the music folder
T = TypeVar("T")
Told: TypeAlias = Lyrics | tuple[str, str]  # or which file, or line of it, holds none, and why
NEAREST = {EMBEDDED: 0, LRC: 0, LRCLIB: 1, SCORE: 2}
"""What counts first where a recording has several texts. One that says which recording it is of goes before those that
only name it. Then words before the word that there are none, since who says so may have missed them; what lies in or
beside the very file before what was found by names, before a score, which has each verse once and not as it is sung.
Of equals the one with times, then the one asked for last, then what lies in a file."""


def found(landing: Landing, music: Music, look: MusicScan) -> Iterator[Told]:
    """All lyrics there are in two folders, of which one was looked into."""
    for name, path in landing.files("lyrics"):
        origin = f"landing/{name}"
        match PurePosixPath(name).suffix.lower():
            case ".lrc":
                yield of_file(path, origin, Tags())
            case ".mxl" | ".musicxml" | ".xml":
                yield told(partial(musicxml.lyrics, path, origin), origin)
            case _:
                for line in lrclib.lyrics(path):
                    yield line if isinstance(line, Lyrics) else (f"{origin}, {line[0]}", line[1])
    yield from of_music(music, look)


def of_music(music: Music, look: MusicScan) -> Iterator[Told]:
    """What is inside the audio files of a folder, and in the LRC files beside them, whose names end otherwise alone."""
    beside: dict[Path, list[Path]] = defaultdict(list)
    for name, *_, wrong in sorted(look.rows, key=itemgetter(0)):
        if wrong:
            yield f"{MUSIC}{name}", wrong
        else:
            beside[Path(name).with_suffix("")].append(Path(name))
    for paths in beside.values():
        known = Tags()
        for below in sorted(paths, key=lambda path: path.suffix.lower() == ".lrc"):  # after those it lies beside
            path, origin = Path(music.root, below), f"{MUSIC}{below.as_posix()}"
            if path.suffix.lower() == ".lrc":
                yield of_file(path, origin, known)
                continue
            tags = told(partial(embedded_lyrics.tags, path), origin)
            if not isinstance(tags, Tags):
                yield tags
                continue
            known = known if known.recording_id or known.title else tags
            if tags.lyrics:
                yield of_words(EMBEDDED, origin, tags, tags.lyrics)


def away(known: pa.Table, look: MusicScan) -> list[Lyrics]:
    """What was known of a music folder that is away or empty now, or of folders in it that cannot be looked into."""
    rows = known.filter(pc.starts_with(known["origin"], MUSIC)).select([f.name for f in fields(Lyrics)]).to_pylist()
    hidden = (row for row in rows if not look.rows or look.hidden(row["origin"].removeprefix(MUSIC)))
    return [Lyrics(**row | {"language": None}) for row in hidden]  # which is found in the words once more


def of_file(path: Path, origin: str, tags: Tags) -> Told:
    """The lyrics of an LRC file; what the audio file beside it says of itself goes before what this says."""
    words = told(partial(lrc.read, path), origin)
    if not isinstance(words, Lrc):
        return words
    return of_words(LRC, origin, tags, words) if words.text or words.instrumental else (origin, "no words")


def of_words(source: str, origin: str, tags: Tags, words: Lrc) -> Lyrics:
    """Lyrics of what the tags are of."""
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


def told(read: Callable[[], T], origin: str) -> T | tuple[str, str]:
    """What is read, or which file it was and why it could not be."""
    try:
        return read()
    except TuttiError as error:
        return origin, str(error)
    except OSError as error:
        return origin, error.strerror or "it cannot be read"


def without_unknown(lyrics: Iterable[Lyrics]) -> list[Lyrics]:
    """Each text once, as it was told last; that LRCLIB does not know a recording only where it told no text of it."""
    last = {row.lyrics_id: row for row in lyrics}
    known = {row.recording_id for row in last.values() if row.source == LRCLIB and row.status != NOT_FOUND}
    return [row for row in last.values() if row.status != NOT_FOUND or row.recording_id not in known]


def chosen(rows: Collection[Lyrics]) -> set[str]:
    """Which text counts for each recording, by what `NEAREST` says.

    Texts are of one recording if they say so, or if they are of one artist and title, however spelled, and not of
    several recordings.
    """
    ids: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.recording_id and (name := _name(row)):
            ids[name].add(row.recording_id)

    def recording(row: Lyrics) -> str:
        name = _name(row)
        return row.recording_id or (next(iter(ids[name])) if name and len(ids[name]) == 1 else name) or row.lyrics_id

    def place(row: Lyrics) -> tuple[object, ...]:
        asked = row.fetched_at.timestamp() if row.fetched_at else 0.0
        status, near = STATUSES.index(row.status), NEAREST[row.source]
        return row.recording_id is None, status, near, row.lrc is None, -asked, row.source, row.lyrics_id

    best: dict[str, Lyrics] = {}
    for row in sorted(rows, key=place):
        best.setdefault(recording(row), row)
    return {row.lyrics_id for row in best.values()}


def as_rows(lyrics: Collection[Lyrics]) -> list[dict[str, object]]:
    """Rows of the table; the language of words is found in them where no source tells it."""
    counts, rows = chosen(lyrics), []
    for row in lyrics:
        seen = identify(row.text) if row.text and not row.language else None
        rows.append(
            asdict(row)
            | {"instrumental": row.status == INSTRUMENTAL, "synced": row.lrc is not None}
            | {"language": seen[0] if seen else row.language, "language_confidence": seen[1] if seen else None}
            | {"is_preferred": row.lyrics_id in counts}
        )
    return rows


@dg.asset(key_prefix="content", metadata=declare(LYRICS, key=["lyrics_id"]))
def lyrics(
    context: dg.AssetExecutionContext, landing: Landing, music: Music, io_manager: dg.ResourceParam[LakeIO]
) -> pa.Table:
    """The words of recordings: a row for each text of a source."""
    look = music.scan(SUFFIXES | {".lrc"}) or MusicScan()
    rows = away(io_manager.lake.scan("content/lyrics", LYRICS).table(), look)
    if rows:
        context.log.warning("%s is away, or a folder in it: its %s lyrics known stay", music.root, f"{len(rows):,}")
    for text in found(landing, music, look):
        if isinstance(text, Lyrics):
            rows.append(text)
        else:
            context.log.warning("%s is passed over: %s", *text)
    return pa.Table.from_pylist(as_rows(without_unknown(rows)), LYRICS)


def wrong() -> nw.Expr:
    """Rows that contradict themselves."""
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


SAYS = "Words have a text, and nothing else has; times, and a language, only a text has."
checks = [
    checks_of(
        lyrics,
        unique("recording_id", among="is_preferred"),
        expression_is_true(SAYS, wrong, "source", "status", "instrumental", "synced", "text", "lrc", "language"),
    )
]


def _name(row: Lyrics) -> str | None:
    """Artist and title as they are compared."""
    return parse_name(row.artist_credit, row.title).recording_key if row.artist_credit and row.title else None
