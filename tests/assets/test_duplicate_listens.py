"""Duplicate listens: plays recorded by several feeds, and their canonical records."""

from datetime import date, timedelta
from typing import Any

import pytest

from resources.frames.frame import Engine
from tests.oracle import Row
from tests.tables import LEAP, SECOND, at, raw
from tests.transformations import DUPLICATES_OF_LISTENS, with_matches

NEXT = LEAP + timedelta(days=1)
NOON = at(LEAP, 720)


def of_song(*records: tuple[str, float] | tuple[str, float, int]) -> list[Row]:
    """Return records of one song from feeds (source, or source/client), seconds after noon, and seconds played."""
    rows = []
    for n, (feed, after, *played) in enumerate(records):
        source, _, client = feed.partition("/")
        more: dict[str, Any] = {"source": source, "client": client or None}
        rows.append(raw(NOON + after * SECOND, n, **more, ms_played=played[0] * 1000 if played else None))
    return rows


def duplicates(engine: Engine, rows: list[Row], first: date = LEAP, last: date = NEXT) -> dict[int, tuple[int, str]]:
    """Return the canonical record and the rule of each duplicate, by the number of the record."""
    span = first, last
    result = DUPLICATES_OF_LISTENS.on(engine, with_matches(rows, span), span).to_pylist()
    assert len(result) == len({r["record"] for r in result})
    return {r["record"]: (r["canonical_record"], r["rule"]) for r in result}


START, END, INSTANT = "start_match", "end_start_match", "exact_time"
CASES: dict[str, tuple[list[Row], dict[int, tuple[int, str]]]] = {
    "one record": (of_song(("spotify", 0)), {}),
    "seconds apart by two feeds": (of_song(("lastfm", 7), ("spotify", 0)), {0: (1, START)}),
    "ten seconds apart": (of_song(("spotify", 0), ("lastfm", 10)), {1: (0, START)}),
    "more than ten seconds apart": (of_song(("spotify", 0), ("lastfm", 10.000001)), {}),
    "seconds apart by one feed": (of_song(("spotify", 0), ("spotify", 7)), {}),
    "seconds apart by two clients of one source": (
        of_song(("listenbrainz/b", 0), ("listenbrainz/a", 5)),
        {0: (1, START)},
    ),
    "seconds apart by an export and the scrobble endpoint": (
        of_song(("scrobble", 0), ("listenbrainz", 4)),
        {0: (1, START)},
    ),
    "seconds apart by the scrobble endpoint": (of_song(("scrobble", 0), ("scrobble", 4)), {}),
    "the same line twice": (of_song(("spotify", 0), ("spotify", 0)), {1: (0, INSTANT)}),
    "the same instant by two feeds": (of_song(("lastfm", 0), ("spotify", 0)), {0: (1, START)}),
    "by two unknown sources": (of_song(("zither", 0), ("accordion", 1)), {0: (1, START)}),
    "by a known and an unknown source": (of_song(("accordion", 0), ("librefm", 1)), {0: (1, START)}),
    "by three feeds": (of_song(("lastfm", 3), ("spotify", 0), ("librefm", 6)), {0: (1, START), 2: (1, START)}),
    "looped, by two feeds": (
        of_song(("spotify", 0, 180), ("spotify", 180, 180), ("lastfm", 2), ("lastfm", 183)),
        {2: (0, START), 3: (1, START)},
    ),
    "looped, by one feed to the end and by the other once": (
        of_song(("spotify", 0, 180), ("spotify", 180, 180), ("lastfm", 2)),
        {2: (0, START)},
    ),
    "twice within seconds by both": (
        of_song(("spotify", 0), ("spotify", 10), ("lastfm", 5), ("lastfm", 15)),
        {2: (0, START), 3: (1, START)},
    ),
    "twice by one and once by the other": (of_song(("spotify", 0), ("spotify", 8), ("lastfm", 5)), {2: (1, START)}),
    "once between two, equally near to both": (of_song(("spotify", 0), ("spotify", 8), ("lastfm", 4)), {2: (0, START)}),
    "the end for the start": (of_song(("spotify", 0, 180), ("lastfm", 184)), {1: (0, END)}),
    "the end for the start, by the worse feed": (of_song(("lastfm", 0, 180), ("spotify", 184)), {0: (1, END)}),
    "an end without a start nearby": (of_song(("spotify", 0, 180), ("lastfm", 195)), {}),
    "the end of a pause": (of_song(("spotify", 0, 7200), ("lastfm", 7200)), {1: (0, END)}),
    "the end of a longer pause": (of_song(("spotify", 0, 7201), ("lastfm", 7201)), {}),
    "no end known": (of_song(("spotify", 0), ("lastfm", 180)), {}),
    "minutes only": (of_song(("spotify_account", 0), ("lastfm", 55)), {0: (1, START)}),
    "minutes only, of Last.fm": (of_song(("lastfm_minutes", 0), ("lastfm", 59)), {0: (1, START)}),
    "looped, and by minutes only": (
        of_song(*(("spotify", 47 + 170 * n) for n in range(4)), *(("lastfm_minutes", m * 60) for m in (0, 3, 6, 9))),
        {4 + n: (n, START) for n in range(4)},
    ),
    "through a canonical record that is a duplicate": (
        of_song(("spotify_account", 0), ("spotify_account", 0), ("lastfm", 55)),
        {0: (2, START), 1: (2, INSTANT)},
    ),
    "more than a minute": (of_song(("spotify_account", 0), ("lastfm", 61)), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_finds_the_duplicates_of_each_case_in_any_order(pandas: Engine, case: str) -> None:
    rows, expected = CASES[case]
    assert duplicates(pandas, rows) == expected
    assert duplicates(pandas, rows[::-1]) == expected


def test_records_of_other_listeners_or_recordings_are_no_duplicates(pandas: Engine) -> None:
    one = raw(NOON, 0, source="spotify")
    assert duplicates(pandas, [one, raw(NOON, 1, "bob", source="lastfm")]) == {}
    assert duplicates(pandas, [one, raw(NOON, 1, source="lastfm", recording_name="Another")]) == {}
    assert duplicates(pandas, [one, raw(NOON, 1, source="lastfm", recording_name="SONG ")]) == {1: (0, START)}


@pytest.mark.parametrize(
    ("title", "mbid", "same"),
    [
        ("Unheard Of", "z", True),
        ("Unheard Of - 2011 Remaster", "z", True),
        ("Unheard Of (feat. Somebody)", None, True),
        ("Known by Its Id Alone", "y", True),
        ("Unheard Of (Live)", None, False),
        ("Unheard Of, Part 2", None, False),
        ("Something Else", "z", False),
    ],
)
def test_an_mbid_and_names_match_without_a_catalog_entry(
    pandas: Engine, title: str, mbid: str | None, same: bool
) -> None:
    one = raw(NOON, 0, source="listenbrainz", recording_name="Unheard Of", recording_mbid="y")
    other = raw(NOON + SECOND, 1, source="lastfm", recording_name=title, recording_mbid=mbid)
    assert duplicates(pandas, [one, other]) == ({1: (0, START)} if same else {})


def test_of_two_equally_near_the_same_recording_is_the_duplicate(pandas: Engine) -> None:
    records = [("listenbrainz", "Unheard Of", "x"), ("lastfm", "Unheard Of", "w"), ("lastfm", "Another", "x")]
    rows = [
        raw(NOON, n, source=feed, recording_name=title, recording_mbid=mbid)
        for n, (feed, title, mbid) in enumerate(records)
    ]
    assert duplicates(pandas, rows) == {2: (0, START)}


def test_prefers_the_record_with_an_mbid(pandas: Engine) -> None:
    early = raw(NOON, 1, source="listenbrainz", recording_name="Unheard Of", import_id="before it had an MBID")
    mapped = early | {"recording_mbid": "z", "import_id": "later"}
    remapped = early | {"recording_mbid": "y", "import_id": "last", "record": 2}
    assert duplicates(pandas, [early | {"record": 0}, mapped]) == {0: (1, INSTANT)}
    assert duplicates(pandas, [early | {"record": 0}, mapped, remapped]) == {0: (2, INSTANT), 1: (2, INSTANT)}
    renamed = mapped | {"recording_name": "Heard Of", "record": 3}  # the same as the first only through the second
    assert duplicates(pandas, [remapped, mapped, renamed]) == {1: (2, INSTANT), 3: (2, INSTANT)}


@pytest.mark.parametrize("first", [LEAP, NEXT])
def test_a_duplicate_over_midnight_belongs_to_its_own_day(local: Engine, first: date) -> None:
    midnight = at(NEXT)
    rows = [raw(midnight - 3 * SECOND, 0, source="lastfm"), raw(midnight + 2 * SECOND, 1, source="spotify")]
    assert duplicates(local, rows, first, first) == ({0: (1, START)} if first == LEAP else {})
    swapped = [r | {"source": s} for r, s in zip(rows, ("spotify", "lastfm"), strict=True)]
    assert duplicates(local, swapped, first, first) == ({1: (0, START)} if first == NEXT else {})


def test_a_duplicate_names_its_canonical_record(pandas: Engine) -> None:
    canonical = raw(NOON, 7, source="spotify", file="kept.zip/a", import_id="k", client="c")
    other = raw(NOON + SECOND, 9, source="lastfm", file="other.csv", import_id="o")
    span = LEAP, LEAP
    (row,) = DUPLICATES_OF_LISTENS.on(pandas, with_matches([canonical, other], span), span).to_pylist()
    assert (row["file"], row["record"], row["import_id"], row["source"]) == ("other.csv", 9, "o", "lastfm")
    assert (row["canonical_file"], row["canonical_record"], row["canonical_import_id"]) == ("kept.zip/a", 7, "k")
    assert (row["canonical_source"], row["canonical_client"], row["canonical_listened_at"]) == ("spotify", "c", NOON)
