"""Identities: which recording of a small catalog a name is, by which rule, and how sure that is."""

import os
from pathlib import Path

import pytest

from assets.content import match_keys
from resources.frames.frame import Engine
from tests.benchmarks.matching import MIN_PRECISION, MIN_RECALL, Tally, hetrec, measure, sandbox
from tests.oracle import Row
from tests.tables import LEAP, at, known, raw
from tests.transformations import IDENTITIES_OF_NAMES

CATALOG = [
    known("plain", "Björk", "Hunter", first_release_date="1997"),
    known("live", "Björk", "Hunter (Live)", first_release_date="2003"),
    known("later", "Two Artists", "Shared Name", first_release_date="2001-02"),
    known("earlier", "Two Artists", "Shared Name", first_release_date="2001"),
    known("undated", "Two Artists", "Shared Name"),
    known("second", "Pianist", "Sonata No. 2 in C minor", isrcs=["GBAAA0000001"]),
    known("third", "Pianist", "Sonata No. 3 in C minor"),
    known("duo", "Ada Lovely & Bob Example", "Duet of Theirs"),
    known("near", "Somebody", "Longer Titles"),
    known("nearer", "Somebody", "Longer Titled"),
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
    ("Pianist", "Sonata No. 4 in C minor"),  # a number is no typo
    ("Pianist", "Sonata No. 2 in D minor"),  # nor is a key
    ("Ada Lovely & Another", "Duet of Theirs"),
    ("Somebody", "Longer Title"),  # as near to one as to another
    ("Nobody", "Nothing"),
]


def found(engine: Engine, *rows: Row, catalog: list[Row] = CATALOG) -> list[Row]:
    """What was decided."""
    return IDENTITIES_OF_NAMES.on(engine, [list(rows), catalog], (LEAP, LEAP)).to_pylist()


@pytest.mark.parametrize("backwards", [False, True])
def test_each_rule_finds_its_recording_and_says_so(pandas: Engine, backwards: bool) -> None:
    catalog = CATALOG[::-1] if backwards else CATALOG
    rows = [raw(at(LEAP), n, **({"artist_name": f"No {n}"} | told)) for n, (told, _, _, _) in enumerate(CASES)]
    decided = {
        (r["artist_name"], r["recording_name"], r["recording_mbid"]): r for r in found(pandas, *rows, catalog=catalog)
    }
    for row, (_, id, rule, confidence) in zip(rows, CASES, strict=True):
        got = decided[row["artist_name"], row["recording_name"], row["recording_mbid"]]
        assert (got["recording_id"], got["rule"], got["confidence"]) == (id, rule, pytest.approx(confidence)), row


def test_what_fits_no_recording_keeps_the_id_of_its_names(pandas: Engine) -> None:
    rows = [raw(at(LEAP), n, artist_name=a, recording_name=t) for n, (a, t) in enumerate(UNMAPPED)]
    decided = found(pandas, *rows)
    assert [(r["rule"], r["confidence"], r["title"]) for r in decided] == [("unmapped", 0.0, None)] * len(UNMAPPED)
    without = found(pandas, *rows, catalog=[])
    assert {r["recording_id"] for r in decided} == {r["recording_id"] for r in without}
    assert len({r["recording_id"] for r in decided}) == len(UNMAPPED)


def test_each_name_of_a_day_is_decided_once(pandas: Engine) -> None:
    rows = [raw(at(LEAP, n), n, user) for n, user in enumerate(("ada", "bob", "ada"))]
    assert len(found(pandas, *rows)) == 1


def test_what_the_catalog_knows_goes_with_the_recording(pandas: Engine) -> None:
    (row,) = found(pandas, raw(at(LEAP), 0, artist_name="bjork", recording_name="hunter", artist_mbids=["x"]))
    assert (row["artist_credit"], row["title"], row["artist_ids"]) == ("Björk", "Hunter", ["artist of plain"])
    (row,) = found(pandas, raw(at(LEAP), 0, recording_mbid="unknown", artist_mbids=["x", "y"]))
    assert (row["artist_credit"], row["title"], row["artist_ids"]) == (None, None, ["x", "y"])


def test_letters_that_too_many_recordings_share_are_passed_over(
    pandas: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = raw(at(LEAP), 0, artist_name="Somebdy", recording_name="Something Else")
    catalog = [
        known("a", "Somebody", "Something Else"),
        *(known(f"b{n}", "Somebody", f"Some{n}Else") for n in range(9)),
    ]
    assert found(pandas, asked, catalog=catalog)[0]["recording_id"] == "a"
    monkeypatch.setattr(match_keys, "CAP", 0)
    assert found(pandas, asked, catalog=catalog)[0]["rule"] == "unmapped"


def total(tallies: dict[str, Tally]) -> Tally:
    whole = Tally()
    for tally in tallies.values():
        whole.add(tally)
    return whole


@pytest.mark.slow
def test_names_of_the_sandbox_spelt_otherwise_are_told_as_well_as_wanted() -> None:
    tallies = measure(sandbox(), per_kind=60, odd=True)
    whole = total(tallies)
    assert whole.correct > 500
    assert whole.precision >= MIN_PRECISION
    assert whole.recall >= MIN_RECALL
    assert tallies["another number"].wrong <= 1
    assert {kind: t.recall for kind, t in tallies.items() if t.recall < 0.9} == {}


def test_names_of_real_artists_spelt_otherwise_are_told_as_well_as_wanted() -> None:
    folder = os.environ.get("TUTTI_SAMPLES")
    if not folder or not Path(folder, "hetrec_lastfm2k", "artists.dat").exists():
        pytest.skip("TUTTI_SAMPLES names no folder that has hetrec_lastfm2k/artists.dat")
    whole = total(measure(hetrec(Path(folder)), per_kind=100, odd=True, sides=(0,)))
    assert whole.correct > 500
    assert whole.precision >= MIN_PRECISION
    assert whole.recall >= MIN_RECALL
