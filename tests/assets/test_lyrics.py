"""Lyrics: every text of every source is a row, one of them counts for its recording, and no file ends the run."""

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

from assets.content.lyrics import LYRICS, as_rows, chosen, lyrics, without_unknown
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
    """A data folder, and what the asset makes of it."""

    def __init__(self, data: Path) -> None:
        self.landing, self.music = data / "landing" / "lyrics", data / "music"
        self.landing.mkdir(parents=True)
        self.music.mkdir()
        self.told: list[str] = []

    def table(self) -> pa.Table:
        context: Any = dg.build_asset_context()
        context.log.addHandler(handler := _Kept(self.told))
        try:
            landing, music = Landing(root=str(self.landing.parent)), Music(root=str(music_folder()))
            engine = EngineResource(name=EngineName("pandas"), spill_dir=str(self.music.parent / "spill"))
            io_manager = LakeIO(engine=engine, root=str(self.music.parent / "lake"))
            made: Any = lyrics(context, landing=landing, music=music, io_manager=io_manager)
            io_manager.lake.replace("content/lyrics", iter([made]), LYRICS, order=["lyrics_id"])
            return made
        finally:
            context.log.removeHandler(handler)

    def rows(self) -> dict[str, Row]:
        found = self.table().to_pylist()
        by_id = {row["lyrics_id"]: row for row in found}
        assert len(by_id) == len(found)
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


class _Kept(logging.Handler):
    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self.told = told

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("TUTTI_MUSIC_DIR", raising=False)
    return Home(tmp_path)


def record(**changes: Any) -> Row:
    told = {"id": 1, "trackName": "A Song", "artistName": "Ann Lee", "instrumental": False, "plainLyrics": ENGLISH}
    return told | {"syncedLyrics": None} | changes


ASKED = {"recording_mbid": RECORDING, "fetched_at": "2025-03-01T12:00:00+00:00"}
UNKNOWN = {"statusCode": 404, "trackName": "A Song", "artistName": "Ann Lee"}


def test_each_source_is_a_row_that_tells_where_it_is_from(home: Home) -> None:
    home.land(record(syncedLyrics=f"[00:01.00]{ENGLISH}", **ASKED))
    home.flac("ann/song.flac", TITLE="A Song", ARTIST="Ann Lee", MUSICBRAINZ_TRACKID=RECORDING, LYRICS=ENGLISH)
    (home.music / "ann" / "song.lrc").write_text(f"[00:02.00]{ENGLISH}")
    (home.landing / "hymn.musicxml").write_text(MUSICXML)
    (home.landing / "mine.lrc").write_text(f"[ti:Lied]\n[ar:Wilhelm]\n{GERMAN}")
    rows = home.rows()
    assert {
        id: (row["source"], row["recording_id"], row["synced"], row["is_preferred"]) for id, row in rows.items()
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
    assert home.told == []


def test_an_instrumental_has_no_language_and_what_is_not_known_neither(home: Home) -> None:
    home.land(
        record(id=1, instrumental=True, plainLyrics=None), UNKNOWN | ASKED, record(id=3, language="la"), record(id=4)
    )
    rows = home.rows()
    told = {
        id: (r["status"], r["instrumental"], r["language"], r["language_confidence"] is None) for id, r in rows.items()
    }
    assert told == {
        "lrclib/1": (INSTRUMENTAL, True, None, True),
        f"lrclib/-/{RECORDING}": (NOT_FOUND, False, None, True),
        "lrclib/3": (WORDS, False, "la", True),  # as the source says
        "lrclib/4": (WORDS, False, "en", False),
    }


def test_a_file_that_says_that_nothing_is_sung_is_an_instrumental(home: Home) -> None:
    home.flac("a.flac", TITLE="A Song", ARTIST="Ann Lee", LYRICS="[au: instrumental]")
    home.flac("b.flac", TITLE="B Song", ARTIST="Ann Lee")
    (home.music / "b.lrc").write_text("[00:00.00]Instrumental\n")
    rows = home.rows()
    assert [(row["title"], row["status"], row["text"], row["lrc"]) for row in rows.values()] == [
        ("A Song", INSTRUMENTAL, None, None),
        ("B Song", INSTRUMENTAL, None, None),
    ]


def test_a_recording_that_was_not_known_and_is_now_is_there_once(home: Home) -> None:
    home.land(UNKNOWN | ASKED, UNKNOWN | ASKED | {"fetched_at": "2025-04-01T00:00:00+00:00"}, name="1.jsonl")
    (row,) = home.rows().values()
    assert (row["status"], row["fetched_at"].month) == (NOT_FOUND, 4)
    home.land(record(**ASKED), name="2.jsonl")
    (row,) = home.rows().values()
    assert row["status"] == WORDS


def test_names_of_a_file_come_from_its_tags_then_from_the_lyrics(home: Home) -> None:
    home.flac("a.flac", TITLE="Tagged")
    (home.music / "a.lrc").write_text("[ti:Other]\n[ar:Ann Lee]\nla")
    (home.music / "alone.LRC").write_text("[ti:Alone]\nla")
    (home.music / "b.lrc").write_text("la")
    rows = home.rows()
    found = {id: (row["title"], row["artist_credit"]) for id, row in rows.items()}
    assert found == {
        "lrc/music/a.lrc": ("Tagged", "Ann Lee"),
        "lrc/music/alone.LRC": ("Alone", None),
        "lrc/music/b.lrc": (None, None),
    }


def test_a_file_belongs_to_the_one_of_its_name_in_its_own_folder(home: Home) -> None:
    home.flac("x/song.flac", MUSICBRAINZ_TRACKID=RECORDING)
    home.flac("y/song.flac", MUSICBRAINZ_TRACKID=OTHER)
    for place in ("x/song.lrc", "y/song.lrc", "song.lrc", "x/song.live.lrc"):
        (home.music / place).write_text("la")
    found = {id.removeprefix("lrc/music/"): row["recording_id"] for id, row in home.rows().items()}
    assert found == {"x/song.lrc": RECORDING, "y/song.lrc": OTHER, "song.lrc": None, "x/song.live.lrc": None}


def test_what_cannot_be_read_is_told_and_the_rest_is_there(home: Home) -> None:
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
        assert [line for line in home.told if f"{name} is passed over" in line and reason in line], (name, home.told)


def test_without_lyrics_the_table_is_empty(home: Home) -> None:
    home.music.rmdir()
    assert len(home.table()) == 0


@pytest.mark.parametrize("left", [False, True], ids=["gone", "empty"])
def test_a_music_folder_that_is_away_keeps_its_lyrics(home: Home, left: bool) -> None:
    home.land(record())
    home.flac("song.flac", TITLE="B Song", ARTIST="Ann Lee", LYRICS=f"[00:01.00]{GERMAN}")
    (home.music / "song.lrc").write_text(ENGLISH)
    before = home.rows()
    home.music.rename(home.music.with_name("elsewhere"))
    if left:
        home.music.mkdir()
    assert home.rows() == before
    assert home.told[-1].endswith(f"{home.music} is away, or a folder in it: its 2 lyrics known stay")
    home.music.mkdir(exist_ok=True)
    (home.music / "other.lrc").write_text(ENGLISH)
    assert set(home.rows()) == {"lrclib/1", "lrc/music/other.lrc"}


def test_a_folder_within_that_cannot_be_looked_into_keeps_its_lyrics(home: Home, stale: Callable[[Path], None]) -> None:
    for name in ("here", "drive"):
        (home.music / name).mkdir()
        (home.music / name / "a.lrc").write_text(ENGLISH)
    before = home.rows()
    stale(home.music / "drive")
    assert home.rows() == before


def test_music_may_lie_elsewhere(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.lrc").write_text("la")
    monkeypatch.setenv("TUTTI_MUSIC_DIR", str(tmp_path / "elsewhere"))
    assert set(home.rows()) == {"lrc/music/a.lrc"}


# Which text counts.


def text(id: str, source: str = LRCLIB, status: str = WORDS, **changes: Any) -> Lyrics:
    told = {"origin": id, "recording_id": RECORDING, "title": "A Song", "artist_credit": "Ann Lee"}
    return Lyrics(**({"lyrics_id": id, "source": source, "status": status, "text": "la"} | told | changes))


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


def test_of_several_texts_the_best_counts_in_whatever_order_they_are_read() -> None:
    assert chosen(PREFERRED) == chosen(PREFERRED[::-1]) == {"inside"}
    for best, other in combinations(PREFERRED, 2):
        assert chosen([best, other]) == chosen([other, best]) == {best.lyrics_id}


def test_a_text_without_an_id_is_of_the_recording_that_has_its_names() -> None:
    unnamed = text("b", LRC, recording_id=None, title="a song (remastered)", artist_credit="ANN LEE")
    assert chosen([text("a", status=INSTRUMENTAL, text=None), unnamed]) == {"a"}  # which says what it is of
    twice = [text("a"), text("c", recording_id=OTHER)]
    assert chosen([*twice, unnamed]) == {"a", "b", "c"}  # of which of the two it is, nobody knows
    assert chosen([text("d", recording_id=None, title=None), text("e", recording_id=None, title=None)]) == {"d", "e"}
    assert chosen([text("f", EMBEDDED, recording_id=None), text("g", LRC, recording_id=None)]) == {"f"}


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
def test_every_recording_has_one_text_that_counts(texts: list[Lyrics]) -> None:
    rows = without_unknown(texts)
    ids = [row["recording_id"] for row in as_rows(rows) if row["is_preferred"]]
    assert sorted(filter(None, ids)) == sorted({row.recording_id for row in rows if row.recording_id})
    assert bool(ids) == bool(rows)


# Languages.


def test_languages_of_songs_are_told_and_what_is_in_none_is_not() -> None:
    latin = "Gaudeamus igitur, iuvenes dum sumus"
    told = {
        "en": ENGLISH,
        "de": GERMAN,
        "la": latin,
        "ja": "愛してる君だけを",
        "ru": "Я тебя никогда не забуду, любимая",
    }
    assert {language: (identify(text) or ("", 0))[0] for language, text in told.items()} == {k: k for k in told}
    for nothing in ("", "1 2 3", "la la la la", "♪♪♪"):
        assert identify(nothing) is None
