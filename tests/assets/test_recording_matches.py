"""Recording matches: the recording of a small catalog for each name, with rule and confidence."""

import os
from pathlib import Path

import pytest

from assets.content import match_keys
from resources.frames.frame import Engine
from tests.benchmarks.matching import MIN_PRECISION, MIN_RECALL, Tally, hetrec, measure, sandbox
from tests.oracle import Row
from tests.tables import LEAP, at, catalog_recording, raw
from tests.transformations import MATCHES_OF_NAMES

CATALOG = [
    catalog_recording("plain", "Björk", "Hunter", first_release_date="1997"),
    catalog_recording("live", "Björk", "Hunter (Live)", first_release_date="2003"),
    catalog_recording("later", "Two Artists", "Shared Name", first_release_date="2001-02"),
    catalog_recording("earlier", "Two Artists", "Shared Name", first_release_date="2001"),
    catalog_recording("undated", "Two Artists", "Shared Name"),
    catalog_recording("second", "Pianist", "Sonata No. 2 in C minor", isrcs=["GBAAA0000001"]),
    catalog_recording("third", "Pianist", "Sonata No. 3 in C minor"),
    catalog_recording("duo", "Ada Lovely & Bob Example", "Duet of Theirs"),
    catalog_recording("near", "Somebody", "Longer Titles"),
    catalog_recording("nearer", "Somebody", "Longer Titled"),
]
CASES = [
    ({"recording_mbid": "plain", "artist_name": "Anything"}, "plain", "mbid", 1.0),
    ({"recording_mbid": "unknown"}, "unknown", "mbid", 1.0),
    ({"isrc": "GBAAA0000001"}, "second", "isrc", 0.98),
    ({"artist_name": "BJÖRK ", "recording_name": "hunter"}, "plain", "name", 0.95),
    ({"artist_name": "Bjork", "recording_name": "Hunter"}, "plain", "name", 0.9),
    ({"artist_name": "Björk", "recording_name": "Hunter [live]"}, "live", "name", 0.9),
    ({"artist_name": "Björk", "recording_name": "Hunter (Demo)"}, "plain", "version", 0.4),
    ({"artist_name": "Björk", "recording_name": "Hunter - 2011 Remaster"}, "plain", "qualifier", 0.8),
    ({"artist_name": "Björk feat. Somebody", "recording_name": "Hunter"}, "plain", "qualifier", 0.8),
    ({"artist_name": "Ada Lovely", "recording_name": "Duet of Theirs"}, "duo", "qualifier", 0.6),
    ({"artist_name": "Pianist", "recording_name": "Sonata 3 in C mnor"}, "third", "fuzzy", 0.7),
    ({"artist_name": "Pianst", "recording_name": "Sonata 3 in C mnor"}, "third", "fuzzy", 0.55),
    ({"artist_name": "Two Artists", "recording_name": "Shared Name"}, "earlier", "name", 0.57),
]
UNMAPPED = [
    ("Pianist", "Sonata No. 4 in C minor"),  # numbers must be equal
    ("Pianist", "Sonata No. 2 in D minor"),  # keys must be equal
    ("Ada Lovely & Another", "Duet of Theirs"),
    ("Somebody", "Longer Title"),  # equally near to two recordings
    ("Nobody", "Nothing"),
]


def matches(engine: Engine, *rows: Row, catalog: list[Row] = CATALOG) -> list[Row]:
    return MATCHES_OF_NAMES.on(engine, [list(rows), catalog], (LEAP, LEAP)).to_pylist()


@pytest.mark.parametrize("backwards", [False, True])
def test_each_rule_matches_its_recording_with_its_confidence(pandas: Engine, backwards: bool) -> None:
    catalog = CATALOG[::-1] if backwards else CATALOG
    rows = [raw(at(LEAP), n, **({"artist_name": f"No {n}"} | fields)) for n, (fields, _, _, _) in enumerate(CASES)]
    by_name = {
        (r["artist_name"], r["recording_name"], r["recording_mbid"]): r for r in matches(pandas, *rows, catalog=catalog)
    }
    for row, (_, recording, rule, confidence) in zip(rows, CASES, strict=True):
        match = by_name[row["artist_name"], row["recording_name"], row["recording_mbid"]]
        expected = (recording, rule, pytest.approx(confidence))
        assert (match["recording_id"], match["rule"], match["confidence"]) == expected, row


def test_an_unmatched_name_gets_the_id_of_its_names(pandas: Engine) -> None:
    rows = [raw(at(LEAP), n, artist_name=a, recording_name=t) for n, (a, t) in enumerate(UNMAPPED)]
    unmapped = matches(pandas, *rows)
    assert [(r["rule"], r["confidence"], r["title"]) for r in unmapped] == [("unmapped", 0.0, None)] * len(UNMAPPED)
    without_catalog = matches(pandas, *rows, catalog=[])
    assert {r["recording_id"] for r in unmapped} == {r["recording_id"] for r in without_catalog}
    assert len({r["recording_id"] for r in unmapped}) == len(UNMAPPED)


def test_each_name_of_a_day_has_one_row(pandas: Engine) -> None:
    rows = [raw(at(LEAP, n), n, user) for n, user in enumerate(("ada", "bob", "ada"))]
    assert len(matches(pandas, *rows)) == 1


def test_a_match_has_the_names_and_artists_of_the_catalog(pandas: Engine) -> None:
    (row,) = matches(pandas, raw(at(LEAP), 0, artist_name="bjork", recording_name="hunter", artist_mbids=["x"]))
    assert (row["artist_credit"], row["title"], row["artist_ids"]) == ("Björk", "Hunter", ["artist of plain"])
    (row,) = matches(pandas, raw(at(LEAP), 0, recording_mbid="unknown", artist_mbids=["x", "y"]))
    assert (row["artist_credit"], row["title"], row["artist_ids"]) == (None, None, ["x", "y"])


def test_blocking_keys_of_too_many_recordings_are_not_used(pandas: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    misspelled = raw(at(LEAP), 0, artist_name="Somebdy", recording_name="Something Else")
    catalog = [
        catalog_recording("a", "Somebody", "Something Else"),
        *(catalog_recording(f"b{n}", "Somebody", f"Some{n}Else") for n in range(9)),
    ]
    assert matches(pandas, misspelled, catalog=catalog)[0]["recording_id"] == "a"
    monkeypatch.setattr(match_keys, "MAX_CANDIDATES", 0)
    assert matches(pandas, misspelled, catalog=catalog)[0]["rule"] == "unmapped"


def total(tallies: dict[str, Tally]) -> Tally:
    whole = Tally()
    for tally in tallies.values():
        whole.add(tally)
    return whole


@pytest.mark.slow
def test_misspelled_names_of_the_sandbox_match_well_enough() -> None:
    tallies = measure(sandbox(), per_kind=60, odd=True)
    whole = total(tallies)
    assert whole.correct > 500
    assert whole.precision >= MIN_PRECISION
    assert whole.recall >= MIN_RECALL
    assert tallies["another number"].wrong <= 1
    assert {kind: t.recall for kind, t in tallies.items() if t.recall < 0.9} == {}


def test_misspelled_names_of_real_artists_match_well_enough() -> None:
    folder = os.environ.get("TUTTI_SAMPLES")
    if not folder or not Path(folder, "hetrec_lastfm2k", "artists.dat").exists():
        pytest.skip("TUTTI_SAMPLES names no folder that has hetrec_lastfm2k/artists.dat")
    whole = total(measure(hetrec(Path(folder)), per_kind=100, odd=True, sides=(0,)))
    assert whole.correct > 500
    assert whole.precision >= MIN_PRECISION
    assert whole.recall >= MIN_RECALL
