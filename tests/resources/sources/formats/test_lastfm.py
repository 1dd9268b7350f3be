"""Last.fm's and Libre.fm's API: pages of answers and lines written from them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from resources.sources.exports import UnsupportedFile
from resources.sources.formats import lastfm
from resources.sources.records.listen import Malformed, MissingListener, SkippedRecord
from tests.exporting import feedback, listen_of, listens, read

AT = datetime(2023, 9, 18, 14, 39, tzinfo=UTC)
MBID = "5441c29d-3602-4898-b1a1-b77fa23b8e50"


def track(n: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "artist": {"#text": "Clara Example", "mbid": MBID},
        "name": f"Prelude {n}",
        "mbid": MBID,
        "album": {"#text": "Études", "mbid": ""},
        "url": "https://www.last.fm/music/Clara+Example/_/Prelude",
        "streamable": "0",
        "image": [{"size": "small", "#text": "https://example.org/i.png"}],
        "date": {"uts": str(1_695_047_940 + 60 * n), "#text": "18 Sep 2023, 14:39"},
    } | changes


def loved(n: int = 0, **changes: Any) -> dict[str, Any]:
    fields = track(n, artist={"name": "Clara Example", "mbid": MBID, "url": "https://www.last.fm/music/x"})
    del fields["album"]
    return fields | changes


PLAYING = {k: v for k, v in track().items() if k != "date"} | {"@attr": {"nowplaying": "true"}}
ATTR = {"user": "ada", "page": "1", "perPage": "200", "totalPages": "1", "total": "2"}


def page(tracks: Any, key: str = "recenttracks", first: bool = False) -> dict[str, Any]:
    return {key: {"@attr": ATTR, "track": tracks} if first else {"track": tracks, "@attr": ATTR}}


@pytest.mark.parametrize("first", [True, False], ids=["attributes first", "attributes last"])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_page_yields_its_listens_without_the_playing_track(tmp_path: Path, first: bool, indent: int | None) -> None:
    reads = read(tmp_path, json.dumps(page([PLAYING, track(0), track(1)], first=first), indent=indent))
    assert [r.skipped for r in reads] == ["a track that is still playing", None, None]
    (one, _) = listens(reads[1:])
    assert (one.user_id, one.listened_at, one.source, one.ms_played) == ("ann", AT, "lastfm", None)
    assert (one.artist_name, one.recording_name, one.release_name) == ("Clara Example", "Prelude 0", "Études")


def test_mbids_are_not_read(tmp_path: Path) -> None:
    (one,) = listens(read(tmp_path, json.dumps(page([track()]))))
    assert (one.recording_mbid, one.artist_mbids) == (None, ())


def test_a_single_track_without_a_list_is_read(tmp_path: Path) -> None:
    assert len(listens(read(tmp_path, json.dumps(page(track()))))) == 1


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([page([track(0), track(1)]), page([track(2), track(3)])]),
        "\n".join(json.dumps(page(half)) for half in ([track(0), track(1)], [track(2), track(3)])),
        json.dumps([{"track": [track(0), track(1)], "@attr": ATTR}, {"track": [track(2), track(3)], "@attr": ATTR}]),
        json.dumps([track(n) for n in range(4)]),
        json.dumps([[track(0), track(1)], [track(2), track(3)]]),
    ],
    ids=["list of pages", "a page a line", "pages without a name", "tracks", "lists of tracks"],
)
def test_several_pages_in_one_file_are_one_history(tmp_path: Path, text: str) -> None:
    assert [x.recording_name for x in listens(read(tmp_path, text))] == [f"Prelude {n}" for n in range(4)]


def test_a_page_that_names_its_listener_first_needs_no_option(tmp_path: Path) -> None:
    assert {x.user_id for x in listens(read(tmp_path, json.dumps(page([track()], first=True)), None))} == {"ada"}


def test_a_page_without_a_listener_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFile, match="LISTENER="):
        read(tmp_path, json.dumps({"recenttracks": {"track": [track()]}}), None)


def test_each_line_may_name_its_own_listener(tmp_path: Path) -> None:
    lines = [json.dumps({"user_name": user, **row}) for user, row in (("ada", track()), ("bob", loved(1, loved="1")))]
    reads = read(tmp_path, "\n".join(lines), None)
    assert [listen_of(r).user_id for r in reads if listen_of(r)] == ["ada"]
    assert [(f.user_id, f.score) for f in feedback(reads)] == [("bob", 1)]


def test_loved_tracks_are_feedback_with_a_time(tmp_path: Path) -> None:
    reads = read(tmp_path, json.dumps(page([loved(0), loved(1, date=None)], "lovedtracks"), indent=2))
    one, other = feedback(reads)
    assert (one.user_id, one.artist_name, one.recording_name) == ("ann", "Clara Example", "Prelude 0")
    assert (one.score, one.created_at, one.source, one.recording_mbid) == (1, AT, "lastfm", None)
    assert other.created_at is None


def test_a_listen_to_a_loved_track_is_a_listen(tmp_path: Path) -> None:
    extended = track(artist={"name": "Clara Example", "url": "u", "mbid": ""}, loved="1")
    assert len(listens(read(tmp_path, json.dumps(page([extended]))))) == 1


def test_librefm_is_recognized_by_its_addresses() -> None:
    assert lastfm.parse(track(url="https://libre.fm/artist/Clara"), "ann").source == "librefm"
    assert lastfm.parse(track(url="https://example.org/libre.fm/"), "ann").source == "lastfm"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"date": None}, "date is missing"),
        ({"date": {"#text": "18 Sep 2023, 14:39"}}, "date is missing"),
        ({"date": {"uts": "soon"}}, "uts is not a number"),
        ({"date": {"uts": -1}}, "negative"),
        ({"date": {"uts": "1695047940000"}}, "milliseconds"),
        ({"artist": {"#text": ""}}, "artist is missing"),
        ({"artist": None}, "artist is missing"),
        ({"name": ["Prelude"]}, "name is not text"),
        ({"name": "a\0b"}, "NUL"),
    ],
)
def test_an_invalid_track_raises_the_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        lastfm.parse(track(**changes), "ann")


def test_a_missing_listener_and_a_playing_track_have_own_errors() -> None:
    with pytest.raises(MissingListener):
        lastfm.parse(track(), None)
    with pytest.raises(SkippedRecord):
        lastfm.parse(PLAYING, "ann")


def test_a_truncated_page_yields_every_track_before_the_cut(tmp_path: Path) -> None:
    text = json.dumps(page([track(n) for n in range(4)]))
    for length in range(text.index("Prelude 1"), len(text)):
        reads = read(tmp_path, text[:length])
        names = [listen_of(r).recording_name for r in reads if listen_of(r)]
        assert names == [f"Prelude {n}" for n in range(len(names))]
        assert all("download it again" in str(r.reason) for r in reads if r.reason)
