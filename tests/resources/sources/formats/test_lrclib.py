"""LRCLIB: an answer becomes words, an instrumental or not found."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.sources.formats.lrclib import lyrics, parse
from resources.sources.records.lyrics import INSTRUMENTAL, NOT_FOUND, WORDS, Lyrics

RECORDING = "c7d0bf6e-b2aa-4ffa-bded-2448415b39b0"
RECORD = {  # as https://lrclib.net/docs shows one, with words of our own
    "id": 3396226,
    "name": "A Song",
    "trackName": "A Song",
    "artistName": "Ann Lee",
    "albumName": "Songs",
    "duration": 233.0,
    "instrumental": False,
    "plainLyrics": "I sing of a river\nI sing of the sea\n\nOh\n",
    "syncedLyrics": "[00:17.12] I sing of a river\n[00:20.41] I sing of the sea\n[03:10.00] Oh\n[03:20.31] ",
}
ASKED = {"recording_mbid": RECORDING.upper(), "fetched_at": "2025-03-01T12:00:00+01:00"}
UNKNOWN = {"statusCode": 404, "trackName": "A Song", "artistName": "Ann Lee"}


def test_a_record_with_words_is_read_with_times() -> None:
    result = parse(RECORD | ASKED)
    assert (result.lyrics_id, result.origin) == (f"lrclib/3396226/{RECORDING}", "3396226")
    assert (result.recording_id, result.title, result.artist_credit) == (RECORDING, "A Song", "Ann Lee")
    assert (result.status, result.text) == (WORDS, "I sing of a river\nI sing of the sea\n\nOh")
    assert result.lrc == "[00:17.120]I sing of a river\n[00:20.410]I sing of the sea\n[03:10.000]Oh\n[03:20.310]\n"
    assert result.fetched_at and result.fetched_at.isoformat() == "2025-03-01T11:00:00+00:00"


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"instrumental": True, "plainLyrics": None, "syncedLyrics": None}, INSTRUMENTAL, None),
        ({"instrumental": True, "plainLyrics": "[instrumental]"}, INSTRUMENTAL, None),
        ({"plainLyrics": "[au: instrumental]", "syncedLyrics": None}, INSTRUMENTAL, None),
        ({"plainLyrics": None, "syncedLyrics": "[00:00.00] ♪ Instrumental ♪"}, INSTRUMENTAL, None),
        ({"plainLyrics": None}, WORDS, "I sing of a river\nI sing of the sea\nOh"),
        ({"plainLyrics": "la", "syncedLyrics": None}, WORDS, "la"),
        ({"plainLyrics": None, "syncedLyrics": None}, NOT_FOUND, None),
        ({"plainLyrics": " \n ", "syncedLyrics": ""}, NOT_FOUND, None),
    ],
)
def test_an_answer_is_words_instrumental_or_not_found(changes: dict[str, Any], status: str, text: str | None) -> None:
    result = parse(RECORD | changes)
    assert (result.status, result.text) == (status, text)
    assert result.lrc is None or status == WORDS


def test_a_404_answer_is_kept_with_its_time() -> None:
    result = parse(UNKNOWN | ASKED)
    assert (result.status, result.recording_id, result.origin, result.text) == (NOT_FOUND, RECORDING, None, None)
    assert result.fetched_at
    for lacking in ASKED:
        with pytest.raises(ValueError, match="recording_mbid"):
            parse({k: v for k, v in (UNKNOWN | ASKED).items() if k != lacking})


def test_a_language_is_kept_if_it_is_valid_and_there_are_words() -> None:
    assert parse(RECORD | {"language": "la"}).language == "la"
    assert parse(RECORD | {"language": "Latin"}).language is None
    assert parse(RECORD | {"language": "la", "instrumental": True}).language is None


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": "x"},
        {"trackName": None},
        {"artistName": 3},
        {"plainLyrics": ["la"]},
        {"syncedLyrics": 7},
        {"recording_mbid": "x"},
        {"recording_mbid": 3},
        {"fetched_at": "yesterday"},
        {"fetched_at": 3},
        {"fetched_at": "0001-01-01T00:00:00+14:00"},
        {"language": 3},
    ],
)
def test_an_invalid_record_is_reported_and_loses_no_other(tmp_path: Path, changes: dict[str, Any]) -> None:
    lines = [RECORD, RECORD | changes, RECORD | {"id": 2}]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    first, second, third = lyrics(tmp_path / "a.jsonl")
    assert isinstance(first, Lyrics) and isinstance(third, Lyrics)
    assert isinstance(second, tuple) and second[0] == "line 2"


def test_half_a_character_is_replaced() -> None:
    result = parse(
        json.loads('{"id": 1, "trackName": "\\ud83d", "artistName": "A\\u0000", "plainLyrics": "l\\udc00a"}')
    )
    for text in (result.title, result.artist_credit, result.text):
        assert text is not None and text.encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), st.lists, max_leaves=3
)


@given(st.dictionaries(st.sampled_from([*RECORD, *ASKED, "statusCode", "language"]), JSON))
def test_any_record_is_read_or_refused_with_a_reason(changes: dict[str, Any]) -> None:
    try:
        result = parse(RECORD | changes)
    except (KeyError, TypeError, ValueError, AttributeError):
        return
    assert (result.text is not None) == (result.status == WORDS)
    assert result.lrc is None or result.status == WORDS
