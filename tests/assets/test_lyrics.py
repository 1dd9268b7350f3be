"""Lyrics: every text of every source is a row, each recording has a preferred text, and no file makes a run fail."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutagen.flac import FLAC

from assets.content.lyrics import LYRICS, as_rows, latest, lyrics, preferred
from resources.engines.resource import EngineName, EngineResource
from resources.environments import music_folder
from resources.folders.landing import Landing
from resources.folders.music import Music
from resources.lake.io_manager import LakeIO
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
from tests.resources.sources import audio
from tests.resources.sources.formats.test_musicxml import SCORE as MUSICXML

Row = dict[str, Any]
RECORDING, OTHER = "c7d0bf6e-b2aa-4ffa-bded-2448415b39b0", "c7d0bf6e-b2aa-4ffa-bded-2448415b39b1"
ENGLISH = "Come all ye sailors bold and listen to my song"
GERMAN = "Am Brunnen vor dem Tore, da steht ein Lindenbaum"


class Home:
    """A data folder, and the asset's table for it."""

    def __init__(self, data: Path) -> None:
        self.landing, self.music = data / "landing" / "lyrics", data / "music"
        self.landing.mkdir(parents=True)
        self.music.mkdir()
        self.messages: list[str] = []

    def table(self) -> pa.Table:
        context: Any = dg.build_asset_context()
        context.log.addHandler(handler := _ListHandler(self.messages))
        try:
            landing, music = Landing(root=str(self.landing.parent)), Music(root=str(music_folder()))
            engine = EngineResource(name=EngineName("pandas"), spill_dir=str(self.music.parent / "spill"))
            io_manager = LakeIO(engine=engine, root=str(self.music.parent / "lake"))
            table: Any = lyrics(context, landing=landing, music=music, io_manager=io_manager)
            io_manager.lake.replace("content/lyrics", iter([table]), LYRICS, order=["lyrics_id"])
            return table
        finally:
            context.log.removeHandler(handler)

    def rows(self) -> dict[str, Row]:
        rows = self.table().to_pylist()
        by_id = {row["lyrics_id"]: row for row in rows}
        assert len(by_id) == len(rows)
        return by_id

    def flac(self, name: str, **tags: str) -> Path:
        path = self.music / name
        path.parent.mkdir(parents=True, exist_ok=True)
        file = FLAC(audio.flac(path))
        file.update(tags)
        file.save()
        return path

    def land(self, *records: Row, name: str = "a.jsonl") -> None:
        (self.landing / name).write_text("".join(f"{json.dumps(record)}\n" for record in records))


class _ListHandler(logging.Handler):
    def __init__(self, messages: list[str]) -> None:
        super().__init__()
        self.messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("TUTTI_MUSIC_DIR", raising=False)
    return Home(tmp_path)


def record(**changes: Any) -> Row:
    fields = {"id": 1, "trackName": "A Song", "artistName": "Ann Lee", "instrumental": False, "plainLyrics": ENGLISH}
    return fields | {"syncedLyrics": None} | changes


ASKED = {"recording_mbid": RECORDING, "fetched_at": "2025-03-01T12:00:00+00:00"}
UNKNOWN = {"statusCode": 404, "trackName": "A Song", "artistName": "Ann Lee"}


def test_each_source_gives_a_row_with_its_origin(home: Home) -> None:
    home.land(record(syncedLyrics=f"[00:01.00]{ENGLISH}", **ASKED))
    home.flac("ann/song.flac", TITLE="A Song", ARTIST="Ann Lee", MUSICBRAINZ_TRACKID=RECORDING, LYRICS=ENGLISH)
    (home.music / "ann" / "song.lrc").write_text(f"[00:02.00]{ENGLISH}")
    (home.landing / "hymn.musicxml").write_text(MUSICXML)
    (home.landing / "mine.lrc").write_text(f"[ti:Lied]\n[ar:Wilhelm]\n{GERMAN}")
    rows = home.rows()
    assert {
        key: (row["source"], row["recording_id"], row["synced"], row["is_preferred"]) for key, row in rows.items()
    } == {
        f"lrclib/1/{RECORDING}": (LRCLIB, RECORDING, True, False),
        "embedded/music/ann/song.flac": (EMBEDDED, RECORDING, False, False),
        "lrc/music/ann/song.lrc": (LRC, RECORDING, True, True),
        "score/landing/lyrics/hymn.musicxml": (SCORE, None, False, True),
        "lrc/landing/lyrics/mine.lrc": (LRC, None, False, True),
    }
    mine = rows["lrc/landing/lyrics/mine.lrc"]
    assert (mine["title"], mine["artist_credit"], mine["text"], mine["language"]) == ("Lied", "Wilhelm", GERMAN, "de")
    assert mine["language_confidence"] > 0.9
    assert rows[f"lrclib/1/{RECORDING}"]["fetched_at"] == datetime(2025, 3, 1, 12, tzinfo=UTC)
    assert home.messages == []


def test_instrumentals_and_unknown_recordings_have_no_language(home: Home) -> None:
    home.land(
        record(id=1, instrumental=True, plainLyrics=None), UNKNOWN | ASKED, record(id=3, language="la"), record(id=4)
    )
    rows = home.rows()
    languages = {
        key: (r["status"], r["instrumental"], r["language"], r["language_confidence"] is None)
        for key, r in rows.items()
    }
    assert languages == {
        "lrclib/1": (INSTRUMENTAL, True, None, True),
        f"lrclib/-/{RECORDING}": (NOT_FOUND, False, None, True),
        "lrclib/3": (WORDS, False, "la", True),  # from the source
        "lrclib/4": (WORDS, False, "en", False),
    }


def test_a_text_that_says_instrumental_has_no_words(home: Home) -> None:
    home.flac("a.flac", TITLE="A Song", ARTIST="Ann Lee", LYRICS="[au: instrumental]")
    home.flac("b.flac", TITLE="B Song", ARTIST="Ann Lee")
    (home.music / "b.lrc").write_text("[00:00.00]Instrumental\n")
    rows = home.rows()
    assert [(row["title"], row["status"], row["text"], row["lrc"]) for row in rows.values()] == [
        ("A Song", INSTRUMENTAL, None, None),
        ("B Song", INSTRUMENTAL, None, None),
    ]


def test_a_text_from_lrclib_supersedes_its_not_found(home: Home) -> None:
    home.land(UNKNOWN | ASKED, UNKNOWN | ASKED | {"fetched_at": "2025-04-01T00:00:00+00:00"}, name="1.jsonl")
    (row,) = home.rows().values()
    assert (row["status"], row["fetched_at"].month) == (NOT_FOUND, 4)
    home.land(record(**ASKED), name="2.jsonl")
    (row,) = home.rows().values()
    assert row["status"] == WORDS


def test_names_come_from_the_tags_first_then_from_the_lrc_file(home: Home) -> None:
    home.flac("a.flac", TITLE="Tagged")
    (home.music / "a.lrc").write_text("[ti:Other]\n[ar:Ann Lee]\nla")
    (home.music / "alone.LRC").write_text("[ti:Alone]\nla")
    (home.music / "b.lrc").write_text("la")
    rows = home.rows()
    names = {key: (row["title"], row["artist_credit"]) for key, row in rows.items()}
    assert names == {
        "lrc/music/a.lrc": ("Tagged", "Ann Lee"),
        "lrc/music/alone.LRC": ("Alone", None),
        "lrc/music/b.lrc": (None, None),
    }


def test_an_lrc_file_belongs_to_the_audio_file_of_its_name_and_folder(home: Home) -> None:
    home.flac("x/song.flac", MUSICBRAINZ_TRACKID=RECORDING)
    home.flac("y/song.flac", MUSICBRAINZ_TRACKID=OTHER)
    for place in ("x/song.lrc", "y/song.lrc", "song.lrc", "x/song.live.lrc"):
        (home.music / place).write_text("la")
    ids = {key.removeprefix("lrc/music/"): row["recording_id"] for key, row in home.rows().items()}
    assert ids == {"x/song.lrc": RECORDING, "y/song.lrc": OTHER, "song.lrc": None, "x/song.live.lrc": None}


def test_unreadable_files_are_logged_and_the_others_are_read(home: Home) -> None:
    home.land(record(), {"trackName": "A"}, name="a.jsonl")
    (home.landing / "broken.mxl").write_bytes(b"PK")
    (home.landing / "empty.lrc").write_bytes(b"")
    (home.landing / "huge.lrc").write_bytes(b"a" * (1 << 20) + b"a")
    (home.music / "broken.mp3").write_bytes(b"la")
    (home.music / "broken.lrc").write_text(ENGLISH)
    (home.music / ".hidden.lrc").write_text(ENGLISH)
    (home.music / "cover.jpg").write_bytes(b"la")
    assert set(home.rows()) == {"lrclib/1", "lrc/music/broken.lrc"}
    for name, reason in (
        ("landing/lyrics/a.jsonl, line 2", "invalid record"),
        ("landing/lyrics/broken.mxl", "not XML"),
        ("landing/lyrics/empty.lrc", "no words"),
        ("landing/lyrics/huge.lrc", "longer than 1 MB"),
        ("music/broken.mp3", "broken tags"),
    ):
        assert [line for line in home.messages if name in line and reason in line], (name, home.messages)


def test_without_lyrics_the_table_is_empty(home: Home) -> None:
    home.music.rmdir()
    assert len(home.table()) == 0


@pytest.mark.parametrize("empty", [False, True], ids=["missing", "empty"])
def test_an_unavailable_music_folder_keeps_its_lyrics(home: Home, empty: bool) -> None:
    home.land(record())
    home.flac("song.flac", TITLE="B Song", ARTIST="Ann Lee", LYRICS=f"[00:01.00]{GERMAN}")
    (home.music / "song.lrc").write_text(ENGLISH)
    before = home.rows()
    home.music.rename(home.music.with_name("elsewhere"))
    if empty:
        home.music.mkdir()
    assert home.rows() == before
    assert str(home.music) in home.messages[-1]
    assert "keeps its 2 lyrics" in home.messages[-1]
    home.music.mkdir(exist_ok=True)
    (home.music / "other.lrc").write_text(ENGLISH)
    assert set(home.rows()) == {"lrclib/1", "lrc/music/other.lrc"}


def test_an_unreadable_subfolder_keeps_its_lyrics(home: Home, stale: Callable[[Path], None]) -> None:
    for name in ("here", "drive"):
        (home.music / name).mkdir()
        (home.music / name / "a.lrc").write_text(ENGLISH)
    before = home.rows()
    stale(home.music / "drive")
    assert home.rows() == before


def test_reads_the_music_folder_that_is_configured(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.lrc").write_text("la")
    monkeypatch.setenv("TUTTI_MUSIC_DIR", str(tmp_path / "elsewhere"))
    assert set(home.rows()) == {"lrc/music/a.lrc"}


# The preferred text.


def text(key: str, source: str = LRCLIB, status: str = WORDS, **changes: Any) -> Lyrics:
    names = {"origin": key, "recording_id": RECORDING, "title": "A Song", "artist_credit": "Ann Lee"}
    return Lyrics(**({"lyrics_id": key, "source": source, "status": status, "text": "la"} | names | changes))


PREFERRED = [
    text("inside", EMBEDDED, lrc="[00:01.00]la"),
    text("beside", LRC, lrc="[00:01.00]la"),
    text("inside without times", EMBEDDED),
    text("beside without times", LRC),
    text("asked", LRCLIB, lrc="[00:01.00]la"),
    text("asked later", LRCLIB, fetched_at=datetime(2025, 3, 2, tzinfo=UTC)),
    text("asked before", LRCLIB, fetched_at=datetime(2025, 3, 1, tzinfo=UTC)),
    text("written", SCORE),
    text("no words", LRCLIB, INSTRUMENTAL, text=None),
    text("not known", LRCLIB, NOT_FOUND, text=None),
]


def test_the_preferred_text_does_not_depend_on_the_order_of_reading() -> None:
    assert preferred(PREFERRED) == preferred(PREFERRED[::-1]) == {"inside"}
    for best, other in combinations(PREFERRED, 2):
        assert preferred([best, other]) == preferred([other, best]) == {best.lyrics_id}


def test_a_text_without_an_id_belongs_to_the_recording_of_its_names() -> None:
    without_id = text("b", LRC, recording_id=None, title="a song (remastered)", artist_credit="ANN LEE")
    assert preferred([text("a", status=INSTRUMENTAL, text=None), without_id]) == {"a"}  # it has a recording id
    two_recordings = [text("a"), text("c", recording_id=OTHER)]
    assert preferred([*two_recordings, without_id]) == {"a", "b", "c"}  # it may belong to either
    assert preferred([text("d", recording_id=None, title=None), text("e", recording_id=None, title=None)]) == {"d", "e"}
    assert preferred([text("f", EMBEDDED, recording_id=None), text("g", LRC, recording_id=None)]) == {"f"}


TEXTS = st.builds(
    text,
    st.text("abc", min_size=1),
    st.sampled_from(SOURCES),
    st.sampled_from(STATUSES),
    recording_id=st.sampled_from([None, RECORDING, OTHER]),
    title=st.sampled_from([None, "A Song", "a song", "B"]),
    fetched_at=st.none() | st.integers(0, 3).map(lambda n: datetime(2025, 3, 1, tzinfo=UTC) + timedelta(days=n)),
)


@given(st.lists(TEXTS, max_size=8))
def test_every_recording_has_one_preferred_text(texts: list[Lyrics]) -> None:
    rows = latest(texts)
    ids = [row["recording_id"] for row in as_rows(rows) if row["is_preferred"]]
    assert sorted(filter(None, ids)) == sorted({row.recording_id for row in rows if row.recording_id})
    assert bool(ids) == bool(rows)


# Languages.


def test_identifies_the_language_of_songs_but_not_of_syllables() -> None:
    latin = "Gaudeamus igitur, iuvenes dum sumus"
    texts = {
        "en": ENGLISH,
        "de": GERMAN,
        "la": latin,
        "ja": "愛してる君だけを",
        "ru": "Я тебя никогда не забуду, любимая",
    }
    assert {language: (identify(text) or ("", 0))[0] for language, text in texts.items()} == {k: k for k in texts}
    for without_words in ("", "1 2 3", "la la la la", "♪♪♪"):
        assert identify(without_words) is None
