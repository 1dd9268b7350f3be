"""CSV tables of Last.fm and Libre.fm histories from several exporters."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.sources.exports import UnsupportedFile
from tests.exporting import listen_of, listens, read, reasons

AT = datetime(2023, 9, 18, 14, 39, tzinfo=UTC)
UTS = int(AT.timestamp())
HEADED = [
    f"uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid\n{UTS},\"18 Sep 2023, 14:39\",A,,B,,C,\n",
    f'"uts","utc_time","artist","artist_mbid","album","album_mbid","track","track_mbid"\n"{UTS}","","A","","B","","C",""\n',
    f"\ufeffArtist;Album;AlbumId;Track;Date#ada\nA;B;b;C;{UTS}000\n",
    f"Artist,Track,Album,Time\r\nA,C,B,{UTS}\r\n",
    f"# exported by hand\n# 2025-07\nuserid,Artist,track,Album,time\n1,A,C,B,{UTS}\n",
    f"+ACM- Data export,,,\n+ACM- 2025+AC0-07,,,\nArtist,Track,Album,Time\nA,C,B,{UTS}\n",
    f"artist\talbum\ttrack\ttimestamp\nA\tB\tC\t{UTS}\n",
    "track,artist,album,date\nC,A,B,2023-09-18 14:39:00\n",
    "Track Name,Artist Name,Album Name,Date\nC,A,B,2023-09-18T14:39:00Z\n",
    "artist,album,track,date\nA,B,C,2023-09-18T16:39:00+02:00\n",
    "artist,album,title,utc_time\nA,B,C,18 Sep 2023 14:39\n",
]  # fmt: skip
BARE = [
    'A,B,C,"18 Sep 2023, 14:39"\n',
    "A,B,C,18 Sep 2023 14:39\n",
    f"A;B;C;{UTS}\n",
    "A,B,C,2023-09-18 14:39:00\n",
]


@pytest.mark.parametrize("text", HEADED + BARE)
def test_the_table_of_every_exporter_yields_the_same_listen(tmp_path: Path, text: str) -> None:
    (one,) = listens(read(tmp_path, text, name="export.json"))
    assert (one.user_id, one.listened_at, one.artist_name, one.recording_name) == ("ann", AT, "A", "C")
    assert (one.release_name, one.ms_played, one.recording_mbid) == ("B", None, None)
    libre = "ime\n" in text.replace("\r", "") and "utc_time" not in text
    minutes = "14:39" in text and "14:39:00" not in text and str(UTS) not in text
    assert one.source == ("librefm" if libre else "lastfm_minutes" if minutes else "lastfm")


def test_the_album_may_be_missing_as_a_column_and_as_a_value(tmp_path: Path) -> None:
    assert [x.release_name for x in listens(read(tmp_path, f"Artist,Track,Time\nA,C,{UTS}\n"))] == [None]
    assert [x.release_name for x in listens(read(tmp_path, f"Artist,Track,Album,Time\nA,C,,{UTS}\n"))] == [None]


def test_a_table_whose_headings_name_no_listener_asks_for_one(tmp_path: Path) -> None:
    assert [x.user_id for x in listens(read(tmp_path, HEADED[2], None))] == ["ada"]
    with pytest.raises(UnsupportedFile, match="LISTENER="):
        read(tmp_path, HEADED[0], None)


def test_quoted_fields_may_have_delimiters_quotes_and_line_ends(tmp_path: Path) -> None:
    text = f'Artist,Track,Album,Time\n"A, with ""B""\nand C",C;D,"#1",{UTS}\n#2,E,F,{UTS}\n'
    first, second = read(tmp_path, text)
    assert listen_of(first) is not None
    assert listen_of(first).artist_name == 'A, with "B"\nand C'
    assert (first.record, second.record) == (2, 4)
    assert listen_of(second) is not None
    assert listen_of(second).artist_name == "#2"  # no comment, once there are headings


def test_a_table_in_utf7_is_decoded(tmp_path: Path) -> None:
    text = f"+ACM- Data export,,,\nArtist,Track,Album,Time\nBj+APY-rk,J+APM-ga,Florence + Machine,{UTS}\n"
    (one,) = listens(read(tmp_path, text))
    assert (one.artist_name, one.recording_name, one.release_name) == ("Björk", "Jóga", "Florence + Machine")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("A,C,B", "3 columns"),
        (f"A,C,B,{UTS},x", "5 columns"),
        (f",C,B,{UTS}", "artist is missing"),
        (f"A,,B,{UTS}", "title is missing"),
        ("A,C,B,", "time is missing"),
        ("A,C,B,yesterday", "time is not in a known format"),
        ("A,C,B,31 Feb 2023 10:00", "time is not in a known format"),
        ("A,C,B,1", "before 2002-10-01"),
        ("A,C,B,4102444800", "in the future"),
        (f'"A,C,B,{UTS}', "quote"),
        (f'"A"x,C,B,{UTS}', "not CSV"),
        (f"A\0,C,B,{UTS}", "NUL"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_broken_row_is_quarantined_with_its_line_and_reason(
    tmp_path: Path, row: str, reason: str, place: int
) -> None:
    rows = [f"A,Song {n},B,{UTS}" for n in range(2)]
    rows.insert(place, row)
    reads = read(tmp_path, "Artist,Track,Album,Time\n" + "\n".join(rows) + "\n")
    assert [listen_of(r).recording_name for r in reads if listen_of(r)] == ["Song 0", "Song 1"]
    (bad,) = [r for r in reads if r.reason]
    assert bad.record == place + 2
    assert reason in str(bad.reason)
    assert bad.raw is not None


def test_invalid_utf8_loses_only_its_row(tmp_path: Path) -> None:
    data = b"Artist,Track,Album,Time\nBj\xf6rk,C,B,%d\nA,C,B,%d\n" % (UTS, UTS)
    reads = read(tmp_path, data)
    assert reasons(reads) == ["not UTF-8 text: save it as UTF-8"]
    assert len(reads) == 2


def test_an_oversized_line_is_quarantined(tmp_path: Path) -> None:
    text = f"Artist,Track,Album,Time\nA,{'x' * 3_000_000},B,{UTS}\nA,C,B,{UTS}\n"
    reads = read(tmp_path, text)
    assert reasons(reads) == ["longer than 1 MB"]
    assert [(r.record, listen_of(r).recording_name) for r in reads if listen_of(r)] == [(3, "C")]


def test_a_truncated_table_yields_the_rows_before_the_cut(tmp_path: Path) -> None:
    rows = [f'"Ä, {n}","Song {n}",B,{UTS + n}' for n in range(4)]
    data = ("Artist,Track,Album,Time\n" + "\n".join(rows)).encode()
    first = data.index(b"\n", data.index(b"Song 0")) + 1
    for length in range(first, len(data)):
        reads = read(tmp_path, data[:length])
        names_before = [listen_of(r).recording_name for r in reads if listen_of(r) and listen_of(r).listened_at >= AT]
        assert names_before == [f"Song {n}" for n in range(len(names_before))]
        assert len(names_before) >= data[:length].count(b"\n") - 1
        assert len(reads) - len(names_before) <= 1


def test_lastfmstats_writes_the_same_as_json(tmp_path: Path) -> None:
    row = {"track": "C", "artist": "A", "album": "B", "albumId": "b", "date": UTS * 1000}
    document = {"username": "ada", "scrobbles": [row]}
    (one,) = listens(read(tmp_path, json.dumps(document), None))
    assert (one.user_id, one.listened_at, one.recording_name, one.source) == ("ada", AT, "C", "lastfm")


def test_a_json_list_of_releases_is_not_a_history(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFile, match="supported format"):
        read(tmp_path, json.dumps([{"artist": "A", "title": "C", "date": 2003, "length": 5}]))


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    for text in ("name,price\nbread,2\n", "artist,album\nA,B\n", "just words, and more\n" * 5, "a,b,c,d\n"):
        with pytest.raises(UnsupportedFile, match="supported format"):
            read(tmp_path, text)


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12).filter(str.strip)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(names, names, st.one_of(st.just(""), names)), min_size=1, max_size=8),
    st.sampled_from(",;\t"),
    st.sampled_from(("\n", "\r\n")),
)
def test_any_row_of_a_csv_writer_is_read_back(
    tmp_path: Path, rows: list[tuple[str, str, str]], delimiter: str, end: str
) -> None:
    text = io.StringIO(newline="")
    table = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    table.writerow(["artist", "track", "album", "uts"])
    table.writerows([*row, UTS + n] for n, row in enumerate(rows))
    rows_read = listens(read(tmp_path, text.getvalue()))
    assert [(x.artist_name, x.recording_name, x.release_name) for x in rows_read] == [
        (artist.strip(), title.strip(), album.strip() or None) for artist, title, album in rows
    ]
    assert [int(x.listened_at.timestamp()) - UTS for x in rows_read] == list(range(len(rows)))
