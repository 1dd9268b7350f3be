"""MusicXML: the words under the notes, and invalid or unsafe files."""

import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.errors import TuttiError
from resources.sources.formats import musicxml
from resources.sources.formats.musicxml import lyrics
from resources.sources.records.lyrics import WORDS


def note(text: str, syllabic: str = "single", number: int = 1) -> str:
    return f'<note><lyric number="{number}"><syllabic>{syllabic}</syllabic><text>{text}</text></lyric></note>'


SUNG = note("Hal", "begin") + note("le", "middle") + note("lu", "end") + note("to") + note("Two", number=2)
SCORE = f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">
<score-partwise version="4.0"><work><work-title>A  Hymn</work-title></work>
<identification><creator type="lyricist">Bob</creator><creator type="composer">Ann Lee</creator></identification>
<part id="P1"><measure>{SUNG}</measure></part><part id="P2"><measure>{SUNG}</measure></part></score-partwise>"""


def packed(path: Path, text: str, name: str = "score.xml") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr(name, text)
    return path


@pytest.mark.parametrize("suffix", ["mxl", "musicxml"])
def test_each_verse_is_read_once_even_if_several_voices_sing_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "mxl":
        packed(path, SCORE)
    else:
        path.write_text(SCORE)
    result = lyrics(path, "landing/lyrics/a")
    assert (result.lyrics_id, result.title, result.artist_credit) == ("score/landing/lyrics/a", "A Hymn", "Ann Lee")
    assert (result.status, result.text, result.lrc, result.recording_id) == (WORDS, "Hallelu to\nTwo", None, None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SCORE.replace("<text>", "<t>").replace("</text>", "</t>"), "no words"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><score-partwise>&b;</score-partwise>', "entities"),
        ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><score-partwise>&b;</score-partwise>', "entities"),
        ("<opus/>", "not a score"),
        ("<score-partwise>", "not XML"),
        ("la la la", "not XML"),
        ("", "not XML"),
    ],
)
def test_an_invalid_or_unsafe_score_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.musicxml").write_text(text)
    with pytest.raises(TuttiError, match=reason):
        lyrics(tmp_path / "a.musicxml", "a")
    with pytest.raises(TuttiError, match=reason):
        lyrics(packed(tmp_path / "a.mxl", text), "a")


def test_a_score_beyond_the_size_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(musicxml, "MAX_BYTES", 100)
    with pytest.raises(TuttiError, match="longer than"):
        lyrics(packed(tmp_path / "a.mxl", SCORE), "a")


def test_an_archive_without_a_score_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TuttiError, match="not a compressed score"):
        lyrics(packed(tmp_path / "a.mxl", "la", "a.txt"), "a")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scores")


@given(data=st.data(), kind=st.sampled_from(["mxl", "musicxml"]))
def test_any_damage_raises_only_tutti_error(place: Path, data: st.DataObject, kind: str) -> None:
    intact = packed(place / "whole.mxl", SCORE).read_bytes() if kind == "mxl" else SCORE.encode()
    at = data.draw(st.integers(0, len(intact)))
    damaged = intact[:at] + data.draw(st.binary(max_size=8)) + intact[data.draw(st.integers(at, len(intact))) :]
    (place / "damaged").write_bytes(damaged)
    with suppress(TuttiError):
        assert lyrics(place / "damaged", "a").text
