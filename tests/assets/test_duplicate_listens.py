"""Replaced listens: plays told by several feeds, and which records are left of them."""

from datetime import date, timedelta
from typing import Any

import pytest

from resources.frames.frame import Engine
from tests.oracle import Row
from tests.tables import LEAP, SECOND, at, raw
from tests.transformations import REPLACED, identified

NEXT = LEAP + timedelta(days=1)
NOON = at(LEAP, 720)


def told(*records: tuple[str, float] | tuple[str, float, int]) -> list[Row]:
    """Records of one song: the feed (source, or source/client), seconds after noon, and how many it was played."""
    rows = []
    for n, (feed, after, *played) in enumerate(records):
        source, _, client = feed.partition("/")
        more: dict[str, Any] = {"source": source, "client": client or None}
        rows.append(raw(NOON + after * SECOND, n, **more, ms_played=played[0] * 1000 if played else None))
    return rows


def gone(engine: Engine, rows: list[Row], first: date = LEAP, last: date = NEXT) -> dict[int, tuple[int, str]]:
    """For each record that gave way, to which and why."""
    span = first, last
    found = REPLACED.on(engine, identified(rows, span), span).to_pylist()
    assert len(found) == len({r["record"] for r in found})
    return {r["record"]: (r["canonical_record"], r["rule"]) for r in found}


START, END, INSTANT = "start_match", "end_start_match", "exact_time"
CASES: dict[str, tuple[list[Row], dict[int, tuple[int, str]]]] = {
    "one record": (told(("spotify", 0)), {}),
    "seconds apart by two feeds": (told(("lastfm", 7), ("spotify", 0)), {0: (1, START)}),
    "ten seconds apart": (told(("spotify", 0), ("lastfm", 10)), {1: (0, START)}),
    "more than ten seconds apart": (told(("spotify", 0), ("lastfm", 10.000001)), {}),
    "seconds apart by one feed": (told(("spotify", 0), ("spotify", 7)), {}),
    "seconds apart by two clients of one source": (told(("listenbrainz/b", 0), ("listenbrainz/a", 5)), {0: (1, START)}),
    "seconds apart by an export and the live door": (told(("scrobble", 0), ("listenbrainz", 4)), {0: (1, START)}),
    "seconds apart by the live door": (told(("scrobble", 0), ("scrobble", 4)), {}),
    "the same line twice": (told(("spotify", 0), ("spotify", 0)), {1: (0, INSTANT)}),
    "the same instant by two feeds": (told(("lastfm", 0), ("spotify", 0)), {0: (1, START)}),
    "by two sources that nobody has heard of": (told(("zither", 0), ("accordion", 1)), {0: (1, START)}),
    "by a known and an unknown source": (told(("accordion", 0), ("librefm", 1)), {0: (1, START)}),
    "by three feeds": (told(("lastfm", 3), ("spotify", 0), ("librefm", 6)), {0: (1, START), 2: (1, START)}),
    "looped, by two feeds": (
        told(("spotify", 0, 180), ("spotify", 180, 180), ("lastfm", 2), ("lastfm", 183)),
        {2: (0, START), 3: (1, START)},
    ),
    "looped, by one feed to the end and by the other once": (
        told(("spotify", 0, 180), ("spotify", 180, 180), ("lastfm", 2)),
        {2: (0, START)},
    ),
    "twice within seconds by both": (
        told(("spotify", 0), ("spotify", 10), ("lastfm", 5), ("lastfm", 15)),
        {2: (0, START), 3: (1, START)},
    ),
    "twice by one and once by the other": (told(("spotify", 0), ("spotify", 8), ("lastfm", 5)), {2: (1, START)}),
    "once between two, as near to either": (told(("spotify", 0), ("spotify", 8), ("lastfm", 4)), {2: (0, START)}),
    "the end for the start": (told(("spotify", 0, 180), ("lastfm", 184)), {1: (0, END)}),
    "the end for the start, by the feed that knows less": (told(("lastfm", 0, 180), ("spotify", 184)), {0: (1, END)}),
    "an end that fits nobody": (told(("spotify", 0, 180), ("lastfm", 195)), {}),
    "the end of a pause": (told(("spotify", 0, 7200), ("lastfm", 7200)), {1: (0, END)}),
    "the end of a longer pause": (told(("spotify", 0, 7201), ("lastfm", 7201)), {}),
    "no end known": (told(("spotify", 0), ("lastfm", 180)), {}),
    "minutes only": (told(("spotify_account", 0), ("lastfm", 55)), {0: (1, START)}),
    "minutes only, of Last.fm": (told(("lastfm_minutes", 0), ("lastfm", 59)), {0: (1, START)}),
    "looped, and by minutes only": (
        told(*(("spotify", 47 + 170 * n) for n in range(4)), *(("lastfm_minutes", m * 60) for m in (0, 3, 6, 9))),
        {4 + n: (n, START) for n in range(4)},
    ),
    "through one that gives way itself": (
        told(("spotify_account", 0), ("spotify_account", 0), ("lastfm", 55)),
        {0: (2, START), 1: (2, INSTANT)},
    ),
    "more than a minute": (told(("spotify_account", 0), ("lastfm", 61)), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_one_listen_and_what_is_two(pandas: Engine, case: str) -> None:
    rows, wanted = CASES[case]
    assert gone(pandas, rows) == wanted
    assert gone(pandas, rows[::-1]) == wanted  # in whatever order they lie


def test_listeners_and_recordings_are_each_their_own(pandas: Engine) -> None:
    one = raw(NOON, 0, source="spotify")
    assert gone(pandas, [one, raw(NOON, 1, "bob", source="lastfm")]) == {}
    assert gone(pandas, [one, raw(NOON, 1, source="lastfm", recording_name="Another")]) == {}
    assert gone(pandas, [one, raw(NOON, 1, source="lastfm", recording_name="SONG ")]) == {1: (0, START)}


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
def test_an_mbid_and_names_are_one_listen_though_the_catalog_knows_neither(
    pandas: Engine, title: str, mbid: str | None, same: bool
) -> None:
    one = raw(NOON, 0, source="listenbrainz", recording_name="Unheard Of", recording_mbid="y")
    other = raw(NOON + SECOND, 1, source="lastfm", recording_name=title, recording_mbid=mbid)
    assert gone(pandas, [one, other]) == ({1: (0, START)} if same else {})


def test_of_two_as_near_the_one_of_the_same_recording_is_the_same_listen(pandas: Engine) -> None:
    named = [("listenbrainz", "Unheard Of", "x"), ("lastfm", "Unheard Of", "w"), ("lastfm", "Another", "x")]
    rows = [
        raw(NOON, n, source=feed, recording_name=title, recording_mbid=mbid)
        for n, (feed, title, mbid) in enumerate(named)
    ]
    assert gone(pandas, rows) == {2: (0, START)}


def test_of_one_line_told_with_and_without_its_mbid_the_one_with_it_stays(pandas: Engine) -> None:
    early = raw(NOON, 1, source="listenbrainz", recording_name="Unheard Of", import_id="before it was mapped")
    mapped = early | {"recording_mbid": "z", "import_id": "later"}
    remapped = early | {"recording_mbid": "y", "import_id": "last", "record": 2}
    assert gone(pandas, [early | {"record": 0}, mapped]) == {0: (1, INSTANT)}
    assert gone(pandas, [early | {"record": 0}, mapped, remapped]) == {0: (2, INSTANT), 1: (2, INSTANT)}
    renamed = mapped | {"recording_name": "Heard Of", "record": 3}  # the same as the first through the second alone
    assert gone(pandas, [remapped, mapped, renamed]) == {1: (2, INSTANT), 3: (2, INSTANT)}


@pytest.mark.parametrize("first", [LEAP, NEXT])
def test_what_gives_way_over_midnight_belongs_to_its_own_day(local: Engine, first: date) -> None:
    midnight = at(NEXT)
    rows = [raw(midnight - 3 * SECOND, 0, source="lastfm"), raw(midnight + 2 * SECOND, 1, source="spotify")]
    assert gone(local, rows, first, first) == ({0: (1, START)} if first == LEAP else {})
    swapped = [r | {"source": s} for r, s in zip(rows, ("spotify", "lastfm"), strict=True)]
    assert gone(local, swapped, first, first) == ({1: (0, START)} if first == NEXT else {})


def test_the_record_that_was_kept_can_be_looked_up(pandas: Engine) -> None:
    kept = raw(NOON, 7, source="spotify", file="kept.zip/a", import_id="k", client="c")
    other = raw(NOON + SECOND, 9, source="lastfm", file="other.csv", import_id="o")
    span = LEAP, LEAP
    (row,) = REPLACED.on(pandas, identified([kept, other], span), span).to_pylist()
    assert (row["file"], row["record"], row["import_id"], row["source"]) == ("other.csv", 9, "o", "lastfm")
    assert (row["canonical_file"], row["canonical_record"], row["canonical_import_id"]) == ("kept.zip/a", 7, "k")
    assert (row["canonical_source"], row["canonical_client"], row["canonical_listened_at"]) == ("spotify", "c", NOON)
