"""Playlists: JSPF and XSPF, with MusicBrainz's extension and without."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.sources.exports import UnsupportedFile
from tests.exporting import read, reasons, tracks

MBID, OTHER = "c7d0bf6e-b2aa-4ffa-bded-2448415b39b0", "20ddea3a-1ad2-4036-9ca7-5f3383ad31c1"
ID = "https://listenbrainz.org/playlist/f4fdbb4c-e4b7-47a0-b83b-d91bbfcfa387"
URI = "https://musicbrainz.org/recording/"
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


def track(n: int, **changes: Any) -> dict[str, Any]:
    names = {"title": f"Prelude {n}", "creator": "Clara Example", "album": "Études", "duration": 200_000}
    return {"identifier": [URI + MBID], **names, "extension": {"x": {"added_by": "ada"}}} | changes


def jspf(*listed: Any, last: bool = False, **changes: Any) -> str:
    header = {
        "identifier": ID,
        "title": "Morning",
        "creator": "ada",
        "date": "2023-09-18T14:39:00+00:00",
        "extension": {"https://musicbrainz.org/doc/jspf#playlist": {"public": True, "collaborators": []}},
    } | changes
    return json.dumps({"playlist": {"track": list(listed), **header} if last else {**header, "track": list(listed)}})


def xspf(body: str, header: str = "<title>Morning</title><creator>ada</creator>") -> str:
    return f'{XML}<playlist version="1" xmlns="http://xspf.org/ns/0/">{header}<trackList>{body}</trackList></playlist>'


@pytest.mark.parametrize("last", [False, True], ids=["header first", "header last"])
def test_jspf_tracks_are_in_order_with_the_fields_of_the_playlist(tmp_path: Path, last: bool) -> None:
    results = tracks(read(tmp_path, jspf(track(1), track(2, identifier=MBID), last=last)))
    assert [(t.position, t.recording_name, t.recording_mbid) for t in results] == [
        (1, "Prelude 1", MBID),
        (2, "Prelude 2", MBID),
    ]
    one = results[0]
    assert (one.playlist_id, one.title, one.creator, one.user_id) == (ID, "Morning", "ada", "ann")
    assert one.created_at == datetime(2023, 9, 18, 14, 39, tzinfo=UTC)
    assert (one.artist_name, one.release_name, one.duration_ms, one.source) == (
        "Clara Example",
        "Études",
        200_000,
        "jspf",
    )


def test_a_playlist_needs_no_listener(tmp_path: Path) -> None:
    (one,) = tracks(read(tmp_path, jspf(track(1)), None))
    assert one.user_id is None


@pytest.mark.parametrize(
    ("identifier", "mbid"),
    [
        ([URI + OTHER], OTHER),
        ([URI.replace("https", "http") + OTHER.upper() + "/"], OTHER),
        (OTHER, OTHER),
        (["https://example.org/1", URI + OTHER], OTHER),
        (["https://example.org/recording/" + OTHER], None),
        ([], None),
        (None, None),
        ([7], None),
    ],
)
def test_a_recording_is_identified_by_its_address_or_mbid(tmp_path: Path, identifier: Any, mbid: str | None) -> None:
    (one,) = tracks(read(tmp_path, jspf(track(1, identifier=identifier))))
    assert one.recording_mbid == mbid


def test_several_playlists_in_one_file_stay_separate(tmp_path: Path) -> None:
    texts = [jspf(track(1), track(2)), jspf(track(3), identifier="other")]
    wanted = [(ID, 1), (ID, 2), ("other", 1)]
    answers = '{"count": 2, "playlists": [' + ",".join(texts) + "]}"
    for text in ("\n".join(texts), "[" + ",".join(texts) + "]", answers):
        assert [(t.playlist_id, t.position) for t in tracks(read(tmp_path, text))] == wanted


def test_a_playlist_without_identifier_gets_an_id_from_its_content(tmp_path: Path) -> None:
    def ids(*listed: Any) -> set[str]:
        return {t.playlist_id for t in tracks(read(tmp_path, jspf(*listed, identifier=None)))}

    (one,) = ids(track(1), track(2))
    assert ids(track(1), track(2)) == {one}
    assert ids(track(2), track(1)) != {one}
    assert len(one) == 36


def test_a_broken_track_keeps_its_position(tmp_path: Path) -> None:
    nothing = track(2, title=None, identifier=None)
    reads = read(tmp_path, jspf(track(1), nothing, track(3)))
    assert [(t.position, t.recording_name) for t in tracks(reads)] == [(1, "Prelude 1"), (3, "Prelude 3")]
    assert reasons(reads) == ["both title and MusicBrainz recording are missing"]
    hurt = jspf(track(1), track(2), track(3)).replace('"title": "Prelude 2"', '"title": Prelude 2')
    assert [t.position for t in tracks(read(tmp_path, hurt))] == [1, 3]


def test_an_xspf_playlist_equals_its_jspf(tmp_path: Path) -> None:
    body = (
        f"<track><identifier>{URI}{MBID}</identifier><title>Prelude &amp; Fugue</title><creator>Clara</creator>"
        "<album>Études</album><duration>200000</duration><extension application='x'><a/></extension></track>"
        "<track><location>file:///home/ada/song.mp3</location><title>Gigue</title></track>"
        "<track><location>file:///home/ada/other.mp3</location></track>"
    )
    reads = read(tmp_path, xspf(body), name="x.csv")
    one, other = tracks(reads)
    assert (one.title, one.creator, one.position, one.source) == ("Morning", "ada", 1, "xspf")
    assert (one.recording_mbid, one.recording_name, one.artist_name) == (MBID, "Prelude & Fugue", "Clara")
    assert (one.release_name, one.duration_ms) == ("Études", 200_000)
    assert (other.recording_name, other.recording_mbid, other.position) == ("Gigue", None, 2)
    assert reasons(reads) == ["both title and MusicBrainz recording are missing"]


def test_a_header_after_the_tracks_is_used(tmp_path: Path) -> None:
    text = xspf("<track><title>a</title></track>", "")
    text = text.replace("</playlist>", "<identifier>mine</identifier></playlist>")
    (one,) = tracks(read(tmp_path, text))
    assert one.playlist_id == "mine"


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("doctype", [BOMB, OUTSIDE, "<!DOCTYPE playlist>"])
def test_entities_and_document_types_are_refused(tmp_path: Path, doctype: str) -> None:
    text = xspf("<track><title>&a;</title></track>").replace(XML, XML + doctype)
    with pytest.raises(UnsupportedFile, match="supported format"):
        read(tmp_path, text)


def test_a_truncated_xspf_yields_the_tracks_before_the_cut(tmp_path: Path) -> None:
    text = xspf("".join(f"<track><title>{n}</title></track>" for n in range(2_000)))
    reads = read(tmp_path, text[: len(text) // 2])
    assert len(tracks(reads)) > 500
    assert [t.position for t in tracks(reads)] == list(range(1, len(tracks(reads)) + 1))
    assert reasons(reads) == ["invalid XML from here on, so later tracks were not imported"]


def test_an_endless_track_does_not_fill_the_memory(tmp_path: Path) -> None:
    body = "<track><title>a</title></track><track><title>" + "x" * 3_000_000 + "</title></track>"
    reads = read(tmp_path, xspf(body))
    assert [t.recording_name for t in tracks(reads)] == ["a"]
    assert reasons(reads) == ["a track longer than 1 MB"]
    deep = "<track><title>a</title></track><track>" + "<a>" * 100_000
    assert len(tracks(read(tmp_path, xspf(deep)))) == 1


words = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1, max_size=12).filter(str.strip)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(words, words, st.integers(1, 10_000_000)), min_size=1, max_size=6))
def test_a_playlist_is_equal_in_both_formats(tmp_path: Path, listed: list[tuple[str, str, int]]) -> None:
    objects = [{"title": t, "creator": c, "duration": d} for t, c, d in listed]
    elements = "".join(
        f"<track><title>{escape(t)}</title><creator>{escape(c)}</creator><duration>{d}</duration></track>"
        for t, c, d in listed
    )
    header = {"identifier": None, "creator": "ada", "title": "Morning", "date": None}
    ours, theirs = tracks(read(tmp_path, jspf(*objects, **header))), tracks(read(tmp_path, xspf(elements)))
    assert [replace(t, source="") for t in ours] == [replace(t, source="") for t in theirs]
    assert [(t.recording_name, t.artist_name, t.duration_ms) for t in ours] == [
        (title.strip(), creator.strip(), ms) for title, creator, ms in listed
    ]


@pytest.mark.parametrize(
    "record", [{}, {"playlist_id": "x", "track": "y"}, {"playlist_id": 1, "track": {}, "position": 1}]
)
def test_an_unknown_record_beside_a_playlist_is_quarantined(tmp_path: Path, record: dict[str, Any]) -> None:
    playlist = {"playlist": {"title": "Morning", "track": [{"title": "a"}]}}
    results = read(tmp_path, "\n".join(map(json.dumps, [playlist, record])))
    assert [r.recording_name for r in (f.parsed for f in results) if r] == ["a"]
    assert [f.reason for f in results if not f.parsed] == ["not a track of a playlist"]
    with pytest.raises(UnsupportedFile):
        read(tmp_path, json.dumps(record))
